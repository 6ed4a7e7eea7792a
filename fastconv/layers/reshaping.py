"""The same numbers in another shape or order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core.memory import contiguous
from .._core.validation import is_integer, positive_integer, wrong_type, wrong_value
from .arguments import Shape
from .base import Layer
from .options import FixedOption


def _sequence(value: Any, argument: str, owner: str) -> tuple[int, ...]:
    """Return whole numbers as a tuple."""
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, np.ndarray)):
        raise wrong_type(value, argument, owner, "a list of whole numbers")
    if not all(map(is_integer, value)):
        raise wrong_type(value, argument, owner, "a list of whole numbers")
    return tuple(map(int, value))


def _target_shape(value: Any, argument: str, owner: str) -> tuple[int, ...]:
    sizes = _sequence(value, argument, owner)
    if any(size < 1 and size != -1 for size in sizes) or sizes.count(-1) > 1:
        raise wrong_value(value, argument, owner, "sizes of at least 1, or one -1 for what is left")
    return sizes


def _dims(value: Any, argument: str, owner: str) -> tuple[int, ...]:
    axes = _sequence(value, argument, owner)
    if sorted(axes) != list(range(1, len(axes) + 1)):
        condition = "every axis behind the batch once, counted from 1, as in (2, 1, 3)"
        raise wrong_value(value, argument, owner, condition)
    return axes


class Reshape(Layer):
    """(batch, ...) to (batch, *target_shape), as a view; a size -1 takes what is left."""

    target_shape = FixedOption(_target_shape)

    def __init__(self, target_shape: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.target_shape = target_shape

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = [size for size in input_shape[1:] if size is not None]
        if len(sizes) < len(input_shape) - 1:
            return (None, *(None if size == -1 else size for size in self.target_shape))
        return (None, *self._resolved(sizes))

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        shape = (len(x), *self._resolved(x.shape[1:]))
        self._workspace.saved_for_backward = (x.shape, shape) if training else None
        return contiguous(x, np.float32).reshape(shape)

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        input_shape, shape = self._saved_for_backward()
        dy = self.checked_gradient(dy, shape)
        return dy.reshape(input_shape) if self.needs_input_gradient else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}

    def _resolved(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """Return the target shape of a sample of `sizes` without -1."""
        total, given = math.prod(sizes), math.prod(s for s in self.target_shape if s != -1)
        fits = total % given == 0 if -1 in self.target_shape else total == given
        if not fits:
            raise ValueError(
                f"{self.owner}: a sample of shape {tuple(sizes)} has {total} numbers, which do not "
                f"fill target_shape {self.target_shape}"
            )
        return tuple(total // given if size == -1 else size for size in self.target_shape)


class Permute(Layer):
    """The axes behind the batch in another order: axis i of the output is axis dims[i - 1]."""

    dims = FixedOption(_dims)

    def __init__(self, dims: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.dims = dims

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._check(input_shape)
        return (None, *(input_shape[axis] for axis in self.dims))

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self._check(x.shape)
        turned = x.transpose(0, *self.dims)
        out = self.buffer("output", turned.shape)
        np.copyto(out, turned)
        self._workspace.saved_for_backward = (x.shape, out.shape) if training else None
        return out

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        input_shape, shape = self._saved_for_backward()
        dy = self.checked_gradient(dy, shape)
        if not self.needs_input_gradient:
            return None
        dx = self.buffer("dx", input_shape)
        np.copyto(dx.transpose(0, *self.dims), dy)
        return dx

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": self.dims}

    def _check(self, shape: Shape) -> None:
        if len(shape) != len(self.dims) + 1:
            raise ValueError(
                f"{self.owner}: the input has shape {tuple(shape)}; dims {self.dims} need "
                f"{len(self.dims)} axes behind the batch"
            )


class RepeatVector(Layer):
    """(batch, features) to (batch, n, features): each row `n` times."""

    n = FixedOption(positive_integer)

    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        self.n = n

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 2:
            raise ValueError(
                f"{self.owner}: the input has shape {tuple(input_shape)}; (batch, features) is "
                "needed"
            )
        return (None, self.n, input_shape[1])

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.compute_output_shape(x.shape)
        out = self.buffer("output", (len(x), self.n, x.shape[1]))
        np.copyto(out, x[:, None])
        self._workspace.saved_for_backward = (x.shape, out.shape) if training else None
        return out

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        input_shape, shape = self._saved_for_backward()
        dy = self.checked_gradient(dy, shape)
        if not self.needs_input_gradient:
            return None
        return np.add.reduce(dy, axis=1, out=self.buffer("dx", input_shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}
