"""Tensors of a graph that is read: in which order their axes lie, and how they are rearranged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..layers import Flatten, Permute, Reshape
from ..layers.arguments import Shape
from ..layers.symbolic import Tensor


@dataclass(frozen=True)
class Value:
    """A tensor of the model that is made, and where ONNX's axes are in it.

    ONNX's axis i is the tensor's axis `order[i]`: images, whose axes ONNX has as (batch, channels,
    rows, columns), are computed with their channels last, and a Transpose is another order of the
    same tensor.  Where `rows` is there, the tensor is an image of that shape (rows, columns,
    channels) that was flattened, while ONNX has its numbers by channels first.
    """

    tensor: Tensor
    order: tuple[int, ...]
    rows: tuple[int, int, int] | None = None

    @property
    def shape(self) -> Shape:
        """The shape in ONNX's order."""
        return tuple(self.tensor.shape[axis] for axis in self.order)

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.order)

    def with_tensor(self, tensor: Tensor) -> Value:
        """Return what was computed number by number."""
        return replace(self, tensor=tensor)


#: Calls a layer, made of (class, arguments), on a tensor.
Call = Callable[..., Tensor]


def channels_back(rank: int) -> tuple[int, ...]:
    """Return the order in which ONNX's axis 1, the channels, is the last."""
    return (0, rank - 1, *range(1, rank - 1)) if rank > 1 else (0,)


def plain(rank: int) -> tuple[int, ...]:
    """Return the order of ONNX itself."""
    return tuple(range(rank))


def in_order(value: Value, order: Sequence[int], call: Call) -> Value:
    """Return a value with its axes in `order`, rearranged if need be."""
    value = by_channels(value, call)
    order = tuple(order)
    if value.order == order:
        return value
    dims = [0] * value.rank
    for axis, place in enumerate(order):
        dims[place] = value.order[axis]
    shape = [value.tensor.shape[axis] for axis in dims]
    long = [axis for axis in dims[1:] if value.tensor.shape[axis] != 1]
    if long == sorted(long) and None not in shape[1:]:  # only axes of size 1 change places
        return Value(call(Reshape, value.tensor, target_shape=shape[1:]), order)
    return Value(call(Permute, value.tensor, dims=dims[1:]), order)


def by_channels(value: Value, call: Call) -> Value:
    """Return a value whose numbers, if it is a flattened image, are in ONNX's order."""
    if value.rows is None:
        return value
    image = call(Reshape, value.tensor, target_shape=value.rows)
    return Value(call(Flatten, call(Permute, image, dims=(3, 1, 2))), value.order)


def reshaped(value: Value, sizes: Sequence[int], call: Call) -> Value:
    """Return a value of other sizes behind the batch, its numbers in ONNX's order."""
    sizes = tuple(sizes)
    if value.shape[1:] == sizes:
        return value
    given = value.shape
    if len(sizes) == 1 and value.order == (0, 3, 1, 2) and None not in given[1:]:
        _, channels, height, width = given
        if channels != 1 and (height, width) != (1, 1):
            return _flattened(value, call)
    value = in_order(value, plain(value.rank), call)
    if len(sizes) == 3 and sizes[1:] == (1, 1):  # (batch, channels) as images of a pixel
        return Value(call(Reshape, value.tensor, target_shape=(1, 1, sizes[0])), (0, 3, 1, 2))
    if len(sizes) == 1:
        return Value(call(Flatten, value.tensor), (0, 1))
    return Value(call(Reshape, value.tensor, target_shape=sizes), plain(len(sizes) + 1))


def _flattened(value: Value, call: Call) -> Value:
    _, rows, columns, channels = value.tensor.shape
    if rows is None or columns is None or channels is None:
        raise ValueError("an image whose size is not known is flattened")
    return Value(call(Flatten, value.tensor), (0, 1), (rows, columns, channels))


def count(shape: Shape) -> int:
    """Return how many numbers a sample has; sizes that are not known count as 1."""
    return math.prod(size for size in shape[1:] if size is not None)
