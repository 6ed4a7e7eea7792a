"""The table that `summary()` prints."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

# Where the columns end, as shares of the width: layer, output shape, parameters, connections.
_CHAIN = (0.45, 0.85, 1.0)
_GRAPH = (0.33, 0.58, 0.7, 1.0)


def print_summary(
    model: Any,
    print_fn: Callable[[str], Any] | None = None,
    line_length: Any = None,
    positions: Any = None,
    expand_nested: bool = False,
) -> None:
    """Print Keras's table of a model, line by line; see `Model.summary`."""
    owner = f"{model.owner}: summary"
    if print_fn is not None and not callable(print_fn):
        raise TypeError(
            f"{owner}: print_fn is {print_fn!r}; it must be a function; a width is given as "
            "line_length="
        )
    for line in summary_lines(model, line_length, positions, owner, expand_nested=expand_nested):
        (print_fn or print)(line)


def summary_lines(
    model: Any,
    line_length: Any = None,
    positions: Any = None,
    owner: str = "summary",
    *,
    expand_nested: bool = False,
) -> list[str]:
    """Return the lines of Keras's table for a built or unbuilt model.

    `line_length` is the width in characters, 65 by default; `positions` are the
    ends of the columns, as shares of it or in characters. A graph that is no chain
    has a fourth column: what each layer reads.
    """
    connected = _connections(model)
    width = _width(line_length, owner, 65 if connected is None else 98)
    columns = _columns(positions, width, owner, _CHAIN if connected is None else _GRAPH)
    titles = ("Layer (type)", "Output Shape", "Param #", "Connected to")[: len(columns)]
    lines = ["_" * width, _row(titles, columns), "=" * width]
    rows = list(_rows(model.layers, connected, expand_nested))
    for index, row in enumerate(rows):
        lines.append(_row(row[: len(columns)], columns))
        lines.append(("=" if index == len(rows) - 1 else "_") * width)
    total = _count(model.weights)
    trained = _count(model.trainable_weights)
    return [
        *lines,
        f"Total params: {total:,}",
        f"Trainable params: {trained:,}",
        f"Non-trainable params: {total - trained:,}",
        "_" * width,
    ]


def _connections(model: Any) -> dict[int, str] | None:
    """Return what each layer reads, by its id; None where each reads the one before it."""
    if not model.built or not any(len(node.inputs) > 1 for node in model.graph.nodes):
        return None
    read: dict[int, list[str]] = {}
    for node in model.graph.nodes:
        read.setdefault(id(node.layer), []).extend(tensor.name for tensor in node.inputs)
    return {key: ", ".join(names) for key, names in read.items()}


def _rows(
    layers: Iterable[Any], connected: dict[int, str] | None, expand: bool, indent: str = ""
) -> Iterable[tuple[Any, ...]]:
    for layer in layers:
        shape = layer.output_shape if layer.built else "?"
        count = layer.count_params() if layer.built else "?"
        name = f"{indent}{layer.name} ({type(layer).__name__})"
        yield name, shape, count, (connected or {}).get(id(layer), "")
        if expand and hasattr(layer, "layers"):
            yield from _rows(layer.layers, connected, expand, indent + "  ")


def _width(line_length: Any, owner: str, usual: int) -> int:
    if line_length is None:
        return usual
    if isinstance(line_length, bool) or not isinstance(line_length, int) or line_length < 10:
        raise ValueError(
            f"{owner}: line_length is {line_length!r}; it must be a whole number of at least 10"
        )
    return line_length


def _columns(positions: Any, width: int, owner: str, usual: Sequence[float]) -> list[int]:
    """Return where the columns end, in characters."""
    given = usual if positions is None else positions
    try:
        ends = [float(end) for end in given]
        if ends[-1] <= 1:
            ends = [int(width * end) for end in ends]
        rising = all(first < second for first, second in itertools.pairwise(ends))
        if len(ends) == len(usual) and ends[0] > 0 and rising:
            return [int(end) for end in ends]
    except (TypeError, ValueError, IndexError):
        pass
    count = {3: "three", 4: "four"}[len(usual)]
    raise ValueError(
        f"{owner}: positions is {positions!r}; it must be {count} ends of columns, each beyond the "
        f"one before: {tuple(usual)}"
    )


def _row(fields: Sequence[Any], columns: Sequence[int]) -> str:
    """Set fields in their columns; one that is too long is cut short of the next."""
    line = ""
    for field, end in zip(fields, columns, strict=True):
        line = f"{line}{field}"[: end - 1].ljust(end)
    return line.rstrip()


def _count(parameters: Iterable[Any]) -> int:
    return sum(parameter.size for parameter in parameters)
