"""Images to vectors."""

from __future__ import annotations

import math

import numpy as np

from .arguments import Shape
from .base import Layer


class Flatten(Layer):
    """(batch, ...) to (batch, n), as a view: nothing is copied."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = [size for size in input_shape[1:] if size is not None]
        return (None, math.prod(sizes) if len(sizes) == len(input_shape) - 1 else None)

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self._workspace.saved_for_backward = x.shape if training else None
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        shape = self._saved_for_backward()
        return dy.reshape(shape) if self.needs_input_gradient else None
