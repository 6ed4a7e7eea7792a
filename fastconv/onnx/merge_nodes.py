"""Layers of several inputs as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import layers
from ..layers.dot import _SHORTEST
from .writing import Value, Writer

#: What writes a layer with a list of inputs: (writer, layer, inputs, output's shape) to the output.
WriteMerge = Callable[[Writer, Any, list[Value], Any], Value]


def _alike(writer: Writer, values: Sequence[Value], rank: int) -> tuple[list[str], str]:
    """Return names of tensors in one order of axes, with as many axes as `rank`, and which it is.

    Where one has fewer axes, it gets axes of size 1 behind the batch, as fastconv has it.
    """
    if rank == 4 and all(len(value.shape) == 4 for value in values):
        order = "first" if any(value.is_first for value in values) else "last"
        return [getattr(writer, order)(value) for value in values], order
    names = []
    for value in values:
        missing = rank - len(value.shape)
        sizes = (*(1,) * missing, *value.shape[1:])
        names.append(writer.reshaped(value, sizes) if missing else writer.last(value))
    return names, "last"


def _elementwise(operator: str, takes_any: bool) -> WriteMerge:
    """Return what writes an operator, again and again where it takes but two inputs."""

    def write(writer: Writer, layer: Any, inputs: list[Value], shape: Any) -> Value:
        names, order = _alike(writer, inputs, len(shape))
        if takes_any:
            return Value(shape, **{order: writer.node(operator, names)})
        name = names[0]
        for other in names[1:]:
            name = writer.node(operator, [name, other])
        return Value(shape, **{order: name})

    return write


def _concatenate(writer: Writer, layer: Any, inputs: list[Value], shape: Any) -> Value:
    names, order = _alike(writer, inputs, len(shape))
    made = Value(shape, **{order: "made below"})
    axis = writer.axis(made, layer.axis % len(shape))
    return Value(shape, **{order: writer.node("Concat", names, axis=axis)})


def _dot(writer: Writer, layer: Any, inputs: list[Value], shape: Any) -> Value:
    first, second = (value.shape for value in inputs)
    axes = layer._checked_axes(first, second)
    names = [writer.last(value) for value in inputs]
    if layer.normalize:
        names = [_unit(writer, name, axis) for name, axis in zip(names, axes, strict=True)]
    letters = []
    one, other, both = layer._letters(len(first), len(second))
    for subscripts, axis in zip((one, other), axes, strict=True):
        kept = list(subscripts[:-1])
        kept.insert(axis, subscripts[-1])
        letters.append("".join(kept))
    name = writer.node("Einsum", names, equation=f"{letters[0]},{letters[1]}->{both}")
    whole = (*first[1 : axes[0]], *first[axes[0] + 1 :], *second[1 : axes[1]],
             *second[axes[1] + 1 :])  # fmt: skip
    if whole != tuple(shape[1:]):
        name = writer.reshaped(inputs[0], shape[1:], name)
    return Value(shape, name)


def _unit(writer: Writer, name: str, axis: int) -> str:
    length = writer.node("ReduceL2", [name], axes=[axis])
    length = writer.node("Max", [length, writer.constant(_SHORTEST, "shortest")])
    return writer.node("Div", [name, length])


WRITERS: dict[type, WriteMerge] = {
    layers.Add: _elementwise("Sum", True),
    layers.Average: _elementwise("Mean", True),
    layers.Concatenate: _concatenate,
    layers.Dot: _dot,
    layers.Maximum: _elementwise("Max", True),
    layers.Minimum: _elementwise("Min", True),
    layers.Multiply: _elementwise("Mul", False),
    layers.Subtract: _elementwise("Sub", False),
}
