"""The dot product of two inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core.validation import truth, wrong_value
from .arguments import Axes, Shape, checked_axis_numbers
from .merging import Merge
from .options import FixedOption

# Below this a length counts as this, as in Keras.
_SHORTEST = 1e-7


def _axes(value: Any, argument: str, owner: str) -> Axes:
    axes = checked_axis_numbers(value, argument, owner)
    if isinstance(axes, tuple) and len(axes) != 2:
        raise wrong_value(value, argument, owner, "an axis, or one of each input")
    return axes


class Dot(Merge):
    """For each sample the dot product of two inputs along an axis of each, `axes`.

    (batch, *first, n) and (batch, *second, n) give (batch, *first, *second), (batch, 1) where
    nothing is left.  With `normalize`, what is multiplied has length 1: the result is the
    cosine of the angle.
    """

    axes, normalize = FixedOption(_axes), FixedOption(truth)

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.axes, self.normalize = axes, normalize

    def compute_output_shape(self, input_shape: Any) -> Shape:
        first, second = self._checked_pair(input_shape)
        one, other = self._checked_axes(first, second)
        rest = [*first[1:one], *first[one + 1 :], *second[1:other], *second[other + 1 :]]
        return (None, *(rest or [1]))

    def call(self, x: Any, training: bool = False) -> np.ndarray:
        arrays = self._checked_pair(x)
        first, second = arrays
        if len(first) != len(second):
            raise ValueError(
                f"{self.owner}: inputs of shapes {first.shape} and {second.shape} do not fit; "
                "the batch must be the same"
            )
        axes = self._checked_axes(first.shape, second.shape)
        # (batch, ..., n) each.
        rows = [np.moveaxis(a, axis, -1) for a, axis in zip(arrays, axes, strict=True)]
        inverses = [_inverse_length(row) if self.normalize else None for row in rows]
        units = [
            row if inverse is None else row * inverse
            for row, inverse in zip(rows, inverses, strict=True)
        ]
        letters = self._letters(first.ndim, second.ndim)
        shape = self.compute_output_shape([first.shape, second.shape])
        out = self.buffer("output", (len(first), *(size or 1 for size in shape[1:])))
        whole = (*rows[0].shape[:-1], *rows[1].shape[1:-1])
        np.einsum("{},{}->{}".format(*letters), *units, out=out.reshape(whole))
        saved = (arrays, axes, letters, whole, out.shape, units, inverses)
        self._workspace.saved_for_backward = saved if training else None
        return out

    def backward(self, dy: np.ndarray) -> Any:
        arrays, axes, letters, whole, output_shape, units, inverses = self._saved_for_backward()
        dy = self.checked_gradient(dy, output_shape).reshape(whole)
        if not self.needs_input_gradient:
            return [None, None]
        first, second, both = letters
        gradients = [
            np.einsum(f"{both},{second}->{first}", dy, units[1]),
            np.einsum(f"{both},{first}->{second}", dy, units[0]),
        ]
        parts = self._parts("dx", [array.shape for array in arrays])
        for part, axis, gradient, unit, inverse in zip(
            parts, axes, gradients, units, inverses, strict=True
        ):
            if inverse is not None:  # less what changes the length
                gradient -= unit * (gradient * unit).sum(axis=-1, keepdims=True)
                gradient *= inverse
            np.copyto(part, np.moveaxis(gradient, -1, axis))
        return parts

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}

    def _checked_pair(self, inputs: Any) -> list[Any]:
        pair = self._checked(inputs)
        self._check_two(len(pair))
        return pair

    def _checked_axes(self, first: Shape, second: Shape) -> tuple[int, int]:
        """Return the axis of each input, counted from the front."""
        axes = self.axes if isinstance(self.axes, tuple) else (self.axes, self.axes)
        places = [axis % len(shape) for axis, shape in zip(axes, (first, second), strict=True)]
        inside = all(-len(s) < a < len(s) for a, s in zip(axes, (first, second), strict=True))
        if 0 in places or not inside:
            condition = (
                f"axes behind the batch of inputs of shapes {tuple(first)} and {tuple(second)}"
            )
            raise wrong_value(self.axes, "axes", self.owner, condition)
        one, other = places
        if None not in (first[one], second[other]) and first[one] != second[other]:
            raise ValueError(
                f"{self.owner}: inputs of shapes {tuple(first)} and {tuple(second)} do not fit; "
                f"the sizes along axes {self.axes} must be equal"
            )
        return one, other

    def _letters(self, first: int, second: int) -> tuple[str, str, str]:
        """Return the subscripts of the inputs, their axes moved to the end, and of the output."""
        one = "ijklmnop"[: first - 2]
        other = "qrstuvwx"[: second - 2]
        return f"b{one}z", f"b{other}z", f"b{one}{other}"


def _inverse_length(rows: np.ndarray) -> np.ndarray:
    squares = np.square(rows).sum(axis=-1, dtype=np.float64, keepdims=True)
    inverse: np.ndarray = (1 / np.sqrt(np.maximum(squares, _SHORTEST**2))).astype(np.float32)
    return inverse


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **options: Any) -> Any:
    """Return `Dot(axes, **options)(inputs)`."""
    return Dot(axes, **options)(inputs)
