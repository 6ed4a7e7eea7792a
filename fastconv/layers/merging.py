"""Several inputs to one: element by element, or side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._core.validation import integer, wrong_value
from ..ops import elementwise
from .arguments import Shape
from .base import Layer
from .options import FixedOption

#: Numbers by which the parts of a buffer begin: a vector of any instruction set.
_ALIGNMENT = 16


class Merge(Layer):
    """Base of layers that take a list of arrays; `backward` returns a list of gradients."""

    takes_list = True

    def _checked(self, inputs: Any) -> list[Any]:
        """Return a list of arrays or shapes, or raise TypeError."""
        given = list(inputs) if isinstance(inputs, (list, tuple)) else []
        if not given or not all(isinstance(one, (list, tuple, np.ndarray)) for one in given):
            raise TypeError(f"{self.owner}: the input must be a list, as in layer([a, b])")
        return given

    def _check_two(self, count: int) -> None:
        if count != 2:
            raise ValueError(f"{self.owner}: the input is a list of {count}; it must be one of two")

    def _parts(self, key: str, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
        """Return arrays of `shapes` in one buffer."""
        sizes = [-(-math.prod(shape) // _ALIGNMENT) * _ALIGNMENT for shape in shapes]
        memory, parts, start = self.buffer(key, (sum(sizes),)), [], 0
        for shape, size in zip(shapes, sizes, strict=True):
            parts.append(memory[start : start + math.prod(shape)].reshape(shape))
            start += size
        return parts


class _Broadcast:
    """How arrays of some shapes meet: sizes from the back, the batch always first, 1 repeats."""

    def __init__(self, shapes: Sequence[Shape], owner: str) -> None:
        rank = max(map(len, shapes))
        #: The shapes with as many axes as the longest.
        self.expanded = [(s[0], *(1,) * (rank - len(s)), *s[1:]) for s in shapes]
        self.output: Any = self.expanded[0]
        for shape, expanded in zip(shapes, self.expanded, strict=True):
            merged = [_common(*pair) for pair in zip(self.output[1:], expanded[1:], strict=True)]
            if "differ" in merged or self.output[0] != expanded[0]:
                raise ValueError(
                    f"{owner}: inputs of shapes {_first_unlike(shapes, shape)} and {shape} do not "
                    "fit; sizes must be equal along each axis, or 1 in one of them"
                )
            self.output = (self.output[0], *merged)

    def repeated_axes(self, place: int) -> tuple[int, ...]:
        """Return the axes along which the input at `place` is repeated."""
        sizes = enumerate(zip(self.expanded[place], self.output, strict=True))
        return tuple(axis for axis, (size, whole) in sizes if size != whole)


def _common(first: int | None, second: int | None) -> Any:
    """Return the size that two sizes make together, "differ" if they do not fit."""
    if first == second or second == 1:
        return first
    if first == 1:
        return second
    return None if first is None or second is None else "differ"


def _first_unlike(shapes: Sequence[Shape], shape: Shape) -> Shape:
    """Return the first of `shapes` that does not go with `shape`, else the first."""
    for other in shapes:
        pairs = zip(reversed(other[1:]), reversed(shape[1:]), strict=False)
        if other[0] != shape[0] or any(_common(*pair) == "differ" for pair in pairs):
            return tuple(other)
    return tuple(shapes[0])


class _Elementwise(Merge):
    """What is computed number by number.

    Shapes meet as in Keras: sizes are compared from the last axis on, a size of 1 and missing
    axes are repeated, the batch stays the first axis.
    """

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shapes = [(None, *shape[1:]) for shape in self._checked(input_shape)]
        self._check_count(len(shapes))
        return (None, *_Broadcast(shapes, self.owner).output[1:])

    def call(self, x: Any, training: bool = False) -> np.ndarray:
        inputs = self._checked(x)
        self._check_count(len(inputs))
        shapes = tuple(array.shape for array in inputs)
        plan = self.plan(shapes, lambda: _Broadcast(shapes, self.owner))
        arrays = [a.reshape(shape) for a, shape in zip(inputs, plan.expanded, strict=True)]
        out = self.buffer("output", plan.output)
        self._merge(arrays, out)
        kept = (arrays, out) if self._reads_inputs else None
        self._workspace.saved_for_backward = (shapes, plan, kept) if training else None
        return out

    def backward(self, dy: np.ndarray) -> Any:
        shapes, plan, kept = self._saved_for_backward()
        dy = self.checked_gradient(dy, plan.output)
        if not self.needs_input_gradient:
            return [None] * len(shapes)
        return self._gradients(dy, shapes, plan, kept)

    #: Whether the gradients depend on the inputs.
    _reads_inputs = False

    def _check_count(self, count: int) -> None:
        """Refuse a number of inputs that the layer cannot take."""

    def _merge(self, arrays: list[np.ndarray], out: np.ndarray) -> None:
        """Write the result of arrays that broadcast to `out`."""
        raise NotImplementedError

    def _gradient(self, place: int, dy: np.ndarray, kept: Any, out: np.ndarray) -> np.ndarray:
        """Return the gradient of the input at `place` where it is not repeated.

        That is `dy` itself, or was written to `out`.
        """
        raise NotImplementedError

    def _gradients(self, dy: np.ndarray, shapes: Any, plan: Any, kept: Any) -> list[np.ndarray]:
        parts = self._parts("dx", [dy.shape if self._writes(n) else () for n in range(len(shapes))])
        gradients = []
        for place, (shape, part) in enumerate(zip(shapes, parts, strict=True)):
            whole = self._gradient(place, dy, kept, part)
            axes = plan.repeated_axes(place)
            if axes:  # in float64, since many numbers may come together
                whole = np.add.reduce(whole, axis=axes, dtype=np.float64).astype(np.float32)
            gradients.append(whole.reshape(shape))
        return gradients

    def _writes(self, place: int) -> bool:
        """Whether `_gradient` needs memory to write to."""
        return True


class Add(_Elementwise):
    """The sum of all inputs."""

    def _merge(self, arrays: list[np.ndarray], out: np.ndarray) -> None:
        _folded(_sum, arrays, out)

    def _gradient(self, place: int, dy: np.ndarray, kept: Any, out: np.ndarray) -> np.ndarray:
        return dy

    def _writes(self, place: int) -> bool:
        return False


class Subtract(_Elementwise):
    """The first of two inputs less the second."""

    def _check_count(self, count: int) -> None:
        self._check_two(count)

    def _merge(self, arrays: list[np.ndarray], out: np.ndarray) -> None:
        np.subtract(arrays[0], arrays[1], out=out)

    def _gradient(self, place: int, dy: np.ndarray, kept: Any, out: np.ndarray) -> np.ndarray:
        return np.negative(dy, out=out) if place else dy

    def _writes(self, place: int) -> bool:
        return place == 1


class Multiply(_Elementwise):
    """The product of all inputs."""

    _reads_inputs = True

    def _merge(self, arrays: list[np.ndarray], out: np.ndarray) -> None:
        _folded(np.multiply, arrays, out)

    def _gradient(self, place: int, dy: np.ndarray, kept: Any, out: np.ndarray) -> np.ndarray:
        arrays = kept[0]
        _folded(np.multiply, [dy, *arrays[:place], *arrays[place + 1 :]], out)
        return out


class Average(_Elementwise):
    """The mean of all inputs."""

    def _merge(self, arrays: list[np.ndarray], out: np.ndarray) -> None:
        _folded(_sum, arrays, out)
        np.divide(out, len(arrays), out=out)

    def _gradients(self, dy: np.ndarray, shapes: Any, plan: Any, kept: Any) -> list[np.ndarray]:
        # Each input's is the same array.
        share = np.divide(dy, len(shapes), out=self.buffer("dz", dy.shape))
        return super()._gradients(share, shapes, plan, kept)

    def _gradient(self, place: int, dy: np.ndarray, kept: Any, out: np.ndarray) -> np.ndarray:
        return dy

    def _writes(self, place: int) -> bool:
        return False


class _Extreme(_Elementwise):
    """Of all inputs the one furthest to one side.

    Where several are, the first of them has the gradient, as with Keras on TensorFlow (on
    PyTorch two share it).
    """

    _reads_inputs = True
    _furthest: np.ufunc

    def _merge(self, arrays: list[np.ndarray], out: np.ndarray) -> None:
        _folded(self._furthest, arrays, out)

    def _gradient(self, place: int, dy: np.ndarray, kept: Any, out: np.ndarray) -> np.ndarray:
        arrays, y = kept
        earlier = [array == y for array in arrays[:place]]
        # The last one has what no other took, and so the gradient of a NaN.
        takes = arrays[place] == y if place < len(arrays) - 1 else np.ones(y.shape, bool)
        for taken in earlier:
            takes &= ~taken
        np.multiply(dy, takes, out=out)
        return out


class Maximum(_Extreme):
    """The largest of all inputs, number by number.

    Where several are, the first of them has the gradient, as with Keras on TensorFlow (on
    PyTorch two share it).
    """

    _furthest = np.maximum


class Minimum(_Extreme):
    """The smallest of all inputs, number by number.

    Where several are, the first of them has the gradient, as with Keras on TensorFlow (on
    PyTorch two share it).
    """

    _furthest = np.minimum


class Concatenate(Merge):
    """All inputs one behind the other along `axis`, which is not the batch's."""

    axis = FixedOption(integer)

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shapes = [(None, *shape[1:]) for shape in self._checked(input_shape)]
        axis = self._checked_axis(shapes)
        sizes = [shape[axis] for shape in shapes]
        known = [size for size in sizes if size is not None]
        total = sum(known) if len(known) == len(sizes) else None
        common = [next((s for s in along if s is not None), None) for along in zip(*shapes)]  # noqa: B905
        return (*common[:axis], total, *common[axis + 1 :])

    def call(self, x: Any, training: bool = False) -> np.ndarray:
        arrays = self._checked(x)
        shapes = tuple(array.shape for array in arrays)
        axis = self.plan(shapes, lambda: self._checked_axis(shapes))
        total = sum(shape[axis] for shape in shapes)
        out = self.buffer("output", (*shapes[0][:axis], total, *shapes[0][axis + 1 :]))
        elementwise.concatenate(arrays, axis, out)
        self._workspace.saved_for_backward = (shapes, axis, out.shape) if training else None
        return out

    def backward(self, dy: np.ndarray) -> Any:
        shapes, axis, output_shape = self._saved_for_backward()
        dy = self.checked_gradient(dy, output_shape)
        if not self.needs_input_gradient:
            return [None] * len(shapes)
        bounds = np.cumsum([shape[axis] for shape in shapes])[:-1]
        views = np.split(dy, bounds, axis=axis)
        if all(view.flags.c_contiguous for view in views):
            return views
        parts = self._parts("dx", shapes)
        for part, view in zip(parts, views, strict=True):
            np.copyto(part, view)
        return parts

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}

    def _checked_axis(self, shapes: Sequence[Shape]) -> int:
        """Return the axis, counted from the front, of inputs that agree along the others."""
        first = shapes[0]
        axis = self.axis % len(first)
        if axis == 0 or not -len(first) < self.axis < len(first):
            condition = f"an axis behind the batch of inputs of shape {tuple(first)}"
            raise wrong_value(self.axis, "axis", self.owner, condition)
        for shape in shapes:
            others = zip(first, shape, strict=False)
            unlike = any(
                place != axis and None not in pair and pair[0] != pair[1]
                for place, pair in enumerate(others)
            )
            if unlike or len(shape) != len(first):
                raise ValueError(
                    f"{self.owner}: inputs of shapes {tuple(first)} and {tuple(shape)} do not fit; "
                    f"all sizes but those along axis {self.axis} must be equal"
                )
        return axis


def _sum(first: np.ndarray, second: np.ndarray, out: np.ndarray) -> None:
    if first.shape == second.shape == out.shape:
        elementwise.add(first, second, out)
    else:
        np.add(first, second, out=out)


def _folded(operation: Callable[..., Any], arrays: Sequence[np.ndarray], out: np.ndarray) -> None:
    """Write operation(operation(first, second), third) ... to `out`."""
    if len(arrays) == 1:
        np.copyto(out, arrays[0])
        return
    operation(arrays[0], arrays[1], out=out)
    for array in arrays[2:]:
        operation(out, array, out=out)


def add(inputs: Sequence[Any], **options: Any) -> Any:
    """Return `Add(**options)(inputs)`."""
    return Add(**options)(inputs)


def subtract(inputs: Sequence[Any], **options: Any) -> Any:
    """Return `Subtract(**options)(inputs)`."""
    return Subtract(**options)(inputs)


def multiply(inputs: Sequence[Any], **options: Any) -> Any:
    """Return `Multiply(**options)(inputs)`."""
    return Multiply(**options)(inputs)


def average(inputs: Sequence[Any], **options: Any) -> Any:
    """Return `Average(**options)(inputs)`."""
    return Average(**options)(inputs)


def maximum(inputs: Sequence[Any], **options: Any) -> Any:
    """Return `Maximum(**options)(inputs)`."""
    return Maximum(**options)(inputs)


def minimum(inputs: Sequence[Any], **options: Any) -> Any:
    """Return `Minimum(**options)(inputs)`."""
    return Minimum(**options)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **options: Any) -> Any:
    """Return `Concatenate(axis, **options)(inputs)`."""
    return Concatenate(axis, **options)(inputs)
