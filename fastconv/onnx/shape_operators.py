"""ONNX's operators that give the same numbers in another shape or order, or some of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import layers
from ..layers.arguments import Shape
from .building import Builder
from .file import Operation
from .folding import BATCH, axes_of, bounds_of, numbers
from .values import Value, channels_back, in_order, plain, reshaped

# From here on an end is that of any axis.
_END = 2**31 - 1


def _sample(shape: Shape) -> list[int]:
    """Return the sizes behind the batch; raise ValueError where one is not known."""
    sizes = [size for size in shape[1:] if size is not None]
    if len(sizes) < len(shape) - 1:
        raise ValueError("it reshapes images whose size is not known")
    return sizes


def _flatten(builder: Builder, operation: Operation) -> Value:
    value = builder.value(operation)
    if operation.attributes.get("axis", 1) % value.rank != 1:
        raise ValueError(f"its axis is {operation.attributes['axis']}; it must be 1")
    return reshaped(value, (math.prod(_sample(value.shape)),), builder.rearrange)


def _reshape(builder: Builder, operation: Operation) -> Value:
    value, given = builder.value(operation), builder.weight(operation, 1, "shape")
    shape = list(given.reshape(-1))
    if operation.attributes.get("allowzero", 0) and any(one is not BATCH and one == 0
                                                        for one in shape):  # fmt: skip
        raise ValueError("it reshapes to a size of 0")
    batch, sizes = shape[0], _sizes(value, shape[1:])
    total = math.prod(_sample(value.shape))
    if -1 in sizes:
        rest = -math.prod(sizes)
        if (batch is not BATCH and batch == -1) or not rest or total % rest:
            raise ValueError(f"it reshapes {value.shape} to {shape}")
        sizes[sizes.index(-1)] = total // rest
    kept = batch is BATCH or batch in (0, -1) or batch == builder.fixed_batch
    if not kept or math.prod(sizes) != total or min(sizes, default=1) < 1:
        raise ValueError(
            f"it reshapes {value.shape} to {shape}, which mixes images of a batch or does not fit"
        )
    return reshaped(value, sizes, builder.rearrange)


def _sizes(value: Value, wanted: list[Any]) -> list[int]:
    """Return the sizes behind the batch, where 0 is the one that is there."""
    array = np.empty(len(wanted), object)
    array[:] = wanted
    if any(not isinstance(one, (int, np.integer)) for one in wanted):
        raise ValueError("its shape depends on the data's shape")
    sizes = [int(one) for one in wanted]
    known = dict(enumerate(_sample(value.shape)))
    sizes = [known[place] if size == 0 else size for place, size in enumerate(sizes)]
    if sizes.count(-1) > 1 or min(sizes, default=1) < -1:
        raise ValueError(f"its shape is {wanted}")
    return sizes


def _squeeze(builder: Builder, operation: Operation) -> Value:
    value = builder.numbered(operation)
    shape = value.shape
    axes = axes_of(operation, [None, builder.constant(operation, 1, "axes")], 1, value.rank)
    if axes is None:
        axes = [axis for axis in range(1, value.rank) if shape[axis] == 1]
    if 0 in axes or any(shape[axis] != 1 for axis in axes):
        raise ValueError(f"it takes axes {axes} of a shape {shape}")
    kept = [size for axis, size in enumerate(shape) if axis not in axes]
    return reshaped(value, _sample(tuple(kept)), builder.rearrange)


def _unsqueeze(builder: Builder, operation: Operation) -> Value:
    value = builder.numbered(operation)
    axes = operation.attributes.get("axes")
    if axes is None:
        axes = numbers(builder.weight(operation, 1, "axes"), "axes")
    rank = value.rank + len(axes)
    places = sorted(axis % rank for axis in axes)
    if 0 in places or len(set(places)) < len(axes) or rank > 8:
        raise ValueError(f"it puts axes at {axes}")
    sizes: list[int | None] = list(value.shape)
    for place in places:
        sizes.insert(place, 1)
    return reshaped(value, _sample(tuple(sizes)), builder.rearrange)


def _transpose(builder: Builder, operation: Operation) -> Value:
    """Nothing is moved: the axes of the same tensor are taken in another order."""
    value = builder.numbered(operation)
    perm = operation.attributes.get("perm", list(reversed(range(value.rank))))
    if sorted(perm) != list(range(value.rank)):
        raise ValueError(f"its perm is {perm}")
    if perm[0] != 0:
        raise ValueError(f"its perm is {perm}, which moves the batch")
    return Value(value.tensor, tuple(value.order[axis] for axis in perm))


def _pad(builder: Builder, operation: Operation) -> Value:
    """A number around images, as ZeroPadding2D; where they are less, Cropping2D."""
    mode = operation.attributes.get("mode", "constant")
    filling = builder.constant(operation, 2, "value")
    number = operation.attributes.get("value", 0.0) if filling is None else filling.reshape(-1)[0]
    if mode != "constant" or not np.isfinite(number):
        raise ValueError(f"its mode is {mode!r} and its value {number}; a number is put there")
    value = builder.images(operation)
    pads: Any = operation.attributes.get("pads")
    if pads is None:
        pads = numbers(builder.weight(operation, 1, "pads"), "pads")
    axes = axes_of(operation, [None] * 3 + [builder.constant(operation, 3, "axes")], 3, 4)
    axes = [0, 1, 2, 3] if axes is None else axes
    if len(pads) != 2 * len(axes):
        raise ValueError(f"its pads are {pads}")
    sides = dict.fromkeys(range(4), (0, 0))
    sides |= dict(zip(axes, zip(pads[: len(axes)], pads[len(axes) :], strict=True), strict=True))
    if sides[0] != (0, 0) or sides[1] != (0, 0):
        raise ValueError("it pads the batch or the channels; only rows and columns are padded")
    made = _with_margins(builder, value, (sides[2], sides[3]))
    return _filled(builder, made, (sides[2], sides[3]), float(number)) if number else made


def _filled(builder: Builder, value: Value, sides: Any, number: float) -> Value:
    """Return images to whose margins of zeros a number is added."""
    _, rows, columns, _ = value.tensor.shape
    if rows is None or columns is None:
        raise ValueError(f"its value is {number}, around images whose size is not known")
    builder.file.budget.take(4 * rows * columns)
    offset = np.full((rows, columns, 1), number, np.float32)
    (top, bottom), (left, right) = (tuple(max(side, 0) for side in both) for both in sides)
    offset[top : rows - bottom, left : columns - right] = 0
    tensor = builder.call(layers.Rescaling, value.tensor, scale=1.0, offset=builder.options(offset))
    return value.with_tensor(tensor)


def _with_margins(builder: Builder, value: Value, sides: Any) -> Value:
    tensor = value.tensor
    more, less = (
        tuple(tuple(max(sign * side, 0) for side in both) for both in sides) for sign in (1, -1)
    )
    if any(map(any, less)):
        tensor = builder.call(layers.Cropping2D, tensor, cropping=less)
    if any(map(any, more)):
        tensor = builder.call(layers.ZeroPadding2D, tensor, padding=more)
    return value.with_tensor(tensor)


def _slice(builder: Builder, operation: Operation) -> Value:
    """A part of images, as Cropping2D."""
    value = builder.images(operation)
    given = [None, *(builder.constant(operation, place, "bounds") for place in range(1, 5))]
    given = given[: len(operation.inputs)]
    sides = [(0, 0), (0, 0)]
    for axis, start, end, step in bounds_of(operation, given, 4):
        size = value.shape[axis]
        if step == 1 and start == 0 and axis < 2 and end >= (size or _END):
            continue
        if axis < 2 or step != 1 or size is None:
            raise ValueError("only rows and columns of known sizes are cut, without steps")
        first, last, _ = slice(start, end).indices(size)
        sides[axis - 2] = (-first, last - size)
    return _with_margins(builder, value, sides)


def _concat(builder: Builder, operation: Operation) -> Value:
    values = [builder.numbered(operation, place) for place in range(len(operation.inputs))]
    rank = values[0].rank
    axis = operation.attributes["axis"]
    if any(value.rank != rank for value in values) or axis % rank == 0:
        raise ValueError(f"its axis is {axis}, of shapes {[value.shape for value in values]}")
    images = channels_back(rank)
    order = images if any(value.order == images for value in values) else plain(rank)
    tensors = [in_order(value, order, builder.rearrange).tensor for value in values]
    if len(tensors) == 1:
        return values[0]
    made = builder.call(layers.Concatenate, tensors, axis=order[axis % rank])
    return Value(made, order)


def _shape(builder: Builder, operation: Operation) -> np.ndarray:
    sizes = builder.sizes(builder.value(operation))
    start, end = operation.attributes.get("start", 0), operation.attributes.get("end")
    return sizes[start:end]


def _same(builder: Builder, operation: Operation) -> Value:
    return builder.value(operation)


def _cast(builder: Builder, operation: Operation) -> Value:
    if operation.attributes.get("to") != 1:
        raise ValueError("it casts to another type than float32")
    return builder.value(operation)


def _dropout(builder: Builder, operation: Operation) -> Value:
    value, ratio = builder.value(operation), builder.constant(operation, 1, "ratio")
    if not operation.attributes.get("is_test", 1):
        raise ValueError("its is_test is 0; it must be 1")
    mode = builder.constant(operation, 2, "training_mode")
    if mode is not None and mode.any():
        raise ValueError("its training_mode is true; it must be false")
    rate = operation.attributes.get("ratio", 0.5) if ratio is None else float(ratio.reshape(-1)[0])
    return value.with_tensor(builder.call(layers.Dropout, value.tensor, rate=rate))


HANDLERS = {
    "Cast": _cast,
    "Concat": _concat,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Identity": _same,
    "Pad": _pad,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
