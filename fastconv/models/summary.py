"""The table that `summary()` prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

_WIDTH = 65
# Where the columns end, as shares of the width: layer, output shape, parameters.
_POSITIONS = (0.45, 0.85, 1.0)


def summary_lines(
    layers: Iterable[Any],
    line_length: Any = None,
    positions: Any = None,
    owner: str = "summary",
    *,
    trainable: bool = True,
) -> list[str]:
    """Return the lines of Keras's table for built or unbuilt layers of a model.

    `line_length` is the width in characters, 65 by default; `positions` are the
    ends of the three columns, as shares of it or in characters.
    """
    layers = list(layers)
    width = _width(line_length, owner)
    columns = _columns(positions, width, owner)
    titles = ("Layer (type)", "Output Shape", "Param #")
    lines = ["_" * width, _row(titles, columns), "=" * width]
    for index, layer in enumerate(layers):
        shape = layer.output_shape if layer.built else "?"
        count = layer.count_params() if layer.built else "?"
        lines.append(_row((f"{layer.name} ({type(layer).__name__})", shape, count), columns))
        lines.append(("=" if index == len(layers) - 1 else "_") * width)
    total = _count(p for layer in layers for p in layer.weights)
    trained = _count(p for layer in layers for p in layer.trainable_weights) if trainable else 0
    return [
        *lines,
        f"Total params: {total:,}",
        f"Trainable params: {trained:,}",
        f"Non-trainable params: {total - trained:,}",
        "_" * width,
    ]


def _width(line_length: Any, owner: str) -> int:
    if line_length is None:
        return _WIDTH
    if isinstance(line_length, bool) or not isinstance(line_length, int) or line_length < 10:
        raise ValueError(
            f"{owner}: line_length is {line_length!r}; it must be a whole number of at least 10"
        )
    return line_length


def _columns(positions: Any, width: int, owner: str) -> list[int]:
    """Return where the columns end, in characters."""
    given = _POSITIONS if positions is None else positions
    try:
        ends = [float(end) for end in given]
        if ends[-1] <= 1:
            ends = [int(width * end) for end in ends]
        if len(ends) == len(_POSITIONS) and 0 < ends[0] < ends[1] < ends[2]:
            return [int(end) for end in ends]
    except (TypeError, ValueError, IndexError):
        pass
    raise ValueError(
        f"{owner}: positions is {positions!r}; it must be three ends of columns, each beyond the "
        "one before: (0.45, 0.85, 1.0)"
    )


def _row(fields: Sequence[Any], columns: Sequence[int]) -> str:
    """Set fields in their columns; one that is too long is cut short of the next."""
    line = ""
    for field, end in zip(fields, columns, strict=True):
        line = f"{line}{field}"[: end - 1].ljust(end)
    return line.rstrip()


def _count(parameters: Iterable[Any]) -> int:
    return sum(parameter.size for parameter in parameters)
