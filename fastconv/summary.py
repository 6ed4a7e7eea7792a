"""The table that `summary()` prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

_WIDTH = 65
# Where the columns end: layer, output shape, parameters.
_COLUMNS = (int(0.45 * _WIDTH), int(0.85 * _WIDTH), _WIDTH)


def summary_lines(layers: Iterable[Any], trainable: bool = True) -> list[str]:
    """Return the lines of Keras's table for built or unbuilt layers of a model."""
    layers = list(layers)
    lines = ["_" * _WIDTH, _row(("Layer (type)", "Output Shape", "Param #")), "=" * _WIDTH]
    for index, layer in enumerate(layers):
        shape = layer.output_shape if layer.built else "?"
        count = layer.count_params() if layer.built else "?"
        lines.append(_row((f"{layer.name} ({type(layer).__name__})", shape, count)))
        lines.append(("=" if index == len(layers) - 1 else "_") * _WIDTH)
    total = _count(p for layer in layers for p in layer.weights)
    trained = _count(p for layer in layers for p in layer.trainable_weights) if trainable else 0
    return [
        *lines,
        f"Total params: {total:,}",
        f"Trainable params: {trained:,}",
        f"Non-trainable params: {total - trained:,}",
        "_" * _WIDTH,
    ]


def _row(fields: Sequence[Any]) -> str:
    """Set fields in their columns; one that is too long is cut short of the next."""
    line = ""
    for field, end in zip(fields, _COLUMNS, strict=True):
        line = f"{line}{field}"[: end - 1].ljust(end)
    return line.rstrip()


def _count(parameters: Iterable[Any]) -> int:
    return sum(parameter.size for parameter in parameters)
