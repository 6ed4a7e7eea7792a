"""Samples of length 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core.memory import contiguous
from .arguments import Shape, checked_axes, checked_axis_numbers
from .base import Layer
from .options import FixedOption

# Below this a length counts as this, as in Keras.
_SHORTEST = 1e-12


class UnitNormalization(Layer):
    """Divides by the root of the sum of squares along `axis`, a number or several."""

    axis = FixedOption(checked_axis_numbers)

    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def build(self, input_shape: Shape) -> None:
        checked_axes(self.axis, input_shape, self.owner)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[1:])

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        x = contiguous(x, np.float32)
        axes = checked_axes(self.axis, x.shape, self.owner)
        out = self.buffer("output", x.shape)
        np.multiply(x, x, out=out)
        length = np.sqrt(out.sum(axis=axes, dtype=np.float64, keepdims=True))
        inverse = (1 / np.maximum(length, _SHORTEST)).astype(np.float32)
        np.multiply(x, inverse, out=out)
        saved = (out, inverse, length > _SHORTEST, axes)
        self._workspace.saved_for_backward = saved if training else None
        return out

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        y, inverse, long_enough, axes = self._saved_for_backward()
        dy = self.checked_gradient(dy, y.shape)
        if not self.needs_input_gradient:
            return None
        dx = self.buffer("dx", dy.shape)
        np.multiply(dy, y, out=dx)
        along = dx.sum(axis=axes, dtype=np.float64, keepdims=True) * long_enough
        np.multiply(y, along.astype(np.float32), out=dx)
        np.subtract(dy, dx, out=dx)
        np.multiply(dx, inverse, out=dx)
        return dx

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
