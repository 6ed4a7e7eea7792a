"""How many parts an ONNX file has, counted before a parser makes objects of them.

Two bytes of a file can ask a parser for an object of a hundred: the objects, not the bytes, have
to be bounded. A message of Protocol Buffers is a row of fields, each a key, (number << 3 | kind),
and its content: kind 0 a number of 7 bits a byte, 1 and 5 eight and four bytes, 2 a length and as
many bytes, which may be a message again.
"""

from __future__ import annotations

from collections.abc import Iterator

#: Fields of all messages together; the largest networks have some 100,000.
LARGEST_COUNT = 500_000

# Which fields of a message are messages of another kind: those that repeat, or lead to such.
_WITHIN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "pair", 14: "pair", 20: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 8: "pair", 11: "value", 12: "value", 13: "value",
              14: "pair", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute", 9: "pair"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 14: "type", 15: "type",
                  22: "sparse", 23: "sparse"},
    "tensor": {13: "pair"},
    "sparse": {1: "tensor", 2: "tensor"},
    "value": {2: "type", 4: "pair"},
    "type": {1: "shaped", 4: "holder", 5: "holder", 8: "shaped", 9: "holder"},
    "holder": {1: "type", 2: "type"},
    "shaped": {2: "shape"},
    "shape": {1: "pair"},
    "pair": {},
}  # fmt: skip


def check_count(content: bytes) -> None:
    """Raise ValueError for a file that has too many fields, or that is no message."""
    view = memoryview(content)
    waiting, count = [("model", 0, len(view))], 0
    while waiting:
        kind, at, end = waiting.pop()
        within = _WITHIN[kind]
        for number, start, stop in _fields(view, at, end):
            count += 1
            if count > LARGEST_COUNT:
                raise ValueError(
                    f"it has more than {LARGEST_COUNT:,} parts, which no file may have"
                )
            if stop >= 0 and number in within:
                waiting.append((within[number], start, stop))


def _fields(view: memoryview, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (number, start, end) of the fields of a message; the end is -1 of what is no bytes."""
    while at < end:
        key, at = _number(view, at, end)
        kind, start, stop = key & 7, at, -1
        if kind == 0:
            _, at = _number(view, at, end)
        elif kind == 2:
            length, start = _number(view, at, end)
            at = stop = start + length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError("it is no ONNX model")
        if at > end:
            raise ValueError("it is no ONNX model, or ends early")
        yield key >> 3, start, stop


def _number(view: memoryview, at: int, end: int) -> tuple[int, int]:
    """Return a number of 7 bits a byte, lowest first, and where it ends."""
    value = shift = 0
    while at < end and shift < 70:
        byte = view[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("it is no ONNX model, or ends early")
