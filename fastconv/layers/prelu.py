"""A leaky ReLU whose slopes are trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core.memory import contiguous
from .._core.validation import optional, wrong_value
from .arguments import Shape, checked_axis_numbers
from .base import Layer
from .options import (
    FixedOption,
    Weight,
    constraint_option,
    initializer_option,
    regularizer_option,
    weights_config,
)


def _shared_axes(value: Any, argument: str, owner: str) -> tuple[int, ...]:
    numbers = checked_axis_numbers(value, argument, owner)
    axes = numbers if isinstance(numbers, tuple) else (numbers,)
    if min(axes) < 1:
        condition = "axes behind the batch, counted from 1, as (1, 2) for all pixels of an image"
        raise wrong_value(value, argument, owner, condition)
    return axes


class PReLU(Layer):
    """x where x > 0, `alpha` x elsewhere.

    The weight `alpha` has the shape of a sample, with a 1 along the `shared_axes`: (1, 2) gives
    images one slope a channel.  The gradient at 0 is 0, as in Keras.
    """

    alpha_initializer, alpha_regularizer = initializer_option(), regularizer_option()
    alpha_constraint = constraint_option()
    shared_axes = FixedOption(optional(_shared_axes))
    alpha = Weight()

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.alpha_initializer, self.shared_axes = alpha_initializer, shared_axes
        self.alpha_regularizer, self.alpha_constraint = alpha_regularizer, alpha_constraint
        self.alpha = None

    def build(self, input_shape: Shape) -> None:
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            if axis > len(shape):
                condition = f"axes of the input, which has shape {tuple(input_shape)}"
                raise wrong_value(self.shared_axes, "shared_axes", self.owner, condition)
            shape[axis - 1] = 1
        sizes = [size for size in shape if size is not None]
        if len(sizes) < len(shape):
            raise ValueError(
                f"{self.owner}: the input has shape {tuple(input_shape)}; every size along which "
                "slopes are not shared must be known"
            )
        self.alpha = self.add_weight(
            sizes,
            self.alpha_initializer,
            name="alpha",
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[1:])

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        x = contiguous(x, np.float32)
        out = self.buffer("output", x.shape)
        np.multiply(x, self.alpha.contents, out=out)
        np.copyto(out, x, where=x > 0)
        self._workspace.saved_for_backward = x if training else None
        return out

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        x = self._saved_for_backward()
        dy = self.checked_gradient(dy, x.shape)
        along = self.buffer("dz", x.shape)
        np.minimum(x, 0, out=along)
        np.multiply(along, dy, out=along)
        axes = (0, *(self.shared_axes or ()))
        # In float64, since many numbers may come together.
        total = np.add.reduce(along, axis=axes, dtype=np.float64)
        self.alpha.gradient[...] = total.reshape(self.alpha.shape)
        if not self.needs_input_gradient:
            return None
        dx = self.buffer("dx", x.shape)
        np.multiply(dy, self.alpha.contents, out=dx)
        np.copyto(dx, dy, where=x > 0)
        np.copyto(dx, 0, where=x == 0)
        return dx

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **weights_config(self, "alpha"),
            "shared_axes": self.shared_axes,
        }
