"""The table that `summary()` prints."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

# Where the columns end, as shares of the width: layer, output shape, parameters, connections.
_CHAIN: tuple[float, ...] = (0.45, 0.85, 1.0)
_GRAPH: tuple[float, ...] = (0.33, 0.58, 0.7, 1.0)
_TRAINABLE = 11  # characters that the column of `show_trainable` takes more


def print_summary(model: Any, print_fn: Callable[[str], Any] | None = None, **options: Any) -> None:
    """Print Keras's table of a model, line by line; see `Model.summary`."""
    owner = f"{model.owner}: summary"
    if print_fn is not None and not callable(print_fn):
        raise TypeError(
            f"{owner}: print_fn is {print_fn!r}; it must be a function; a width is given as "
            "line_length="
        )
    for line in summary_lines(model, owner=owner, **options):
        (print_fn or print)(line)


def summary_lines(
    model: Any,
    line_length: Any = None,
    positions: Any = None,
    owner: str = "summary",
    *,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Any = None,
) -> list[str]:
    """Return the lines of Keras's table for a built or unbuilt model.

    `line_length` is the width in characters, 65 by default; `positions` are the
    ends of the columns, as shares of it or in characters. A graph that is no chain
    has a fourth column: what each layer reads.
    """
    connected = _connections(model)
    width, ends = (65, _CHAIN) if connected is None else (98, _GRAPH)
    titles = ["Layer (type)", "Output Shape", "Param #", "Connected to"][: len(ends)]
    if show_trainable:
        ends = (*(end * width / (width + _TRAINABLE) for end in ends), 1.0)
        width += _TRAINABLE
        titles.append("Trainable")
    width = _width(line_length, owner, width)
    columns = _columns(positions, width, owner, ends)
    lines = ["_" * width, _row(titles, columns), "=" * width]
    rows = list(_rows(_within(model, layer_range, owner), connected, expand_nested))
    for index, (*row, trainable) in enumerate(rows):
        row = [*row[: len(columns) - show_trainable], *([trainable] if show_trainable else [])]
        lines.append(_row(row, columns))
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


def _within(model: Any, layer_range: Any, owner: str) -> list[Any]:
    """Return the layers from the first that a pattern finds to the last that another does."""
    layers = list(model.layers)
    if layer_range is None:
        return layers
    names = [layer.name for layer in layers]
    try:
        first, last = (re.compile(pattern).match for pattern in layer_range)
        begin = min(place for place, name in enumerate(names) if first(name))
        end = max(place for place, name in enumerate(names) if last(name))
    except (TypeError, ValueError, re.error):
        raise ValueError(
            f"{owner}: layer_range is {layer_range!r}; it must be the names of two layers, or "
            f"patterns that find them, of {', '.join(names)}"
        ) from None
    return layers[min(begin, end) : max(begin, end) + 1]


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
        trainable = "-" if not layer.weights else "Y" if layer.trainable else "N"
        yield name, shape, count, (connected or {}).get(id(layer), ""), trainable
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
    count = {3: "three", 4: "four", 5: "five"}[len(usual)]
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
