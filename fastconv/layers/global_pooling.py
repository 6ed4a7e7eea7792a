"""Pooling over whole images."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.memory import contiguous
from .._core.validation import truth
from ..ops.plans import Pool2DPlan
from .arguments import Shape, checked_images
from .base import Layer
from .options import FixedOption


class _GlobalPooling2D(Layer):
    """(batch, height, width, channels) to (batch, channels), or (batch, 1, 1, channels)."""

    _kind = ""
    keepdims = FixedOption(truth)

    def __init__(self, keepdims: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.keepdims = keepdims

    def build(self, input_shape: Shape) -> None:
        checked_images(input_shape, self.owner)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        checked_images(input_shape, self.owner)
        return (None, 1, 1, input_shape[3]) if self.keepdims else (None, input_shape[3])

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        x = contiguous(x, np.float32)
        plan = self.plan((x.shape,), lambda: self._new_plan(x.shape))
        out = self.buffer("output", plan.output_shape)
        argmax = None
        if training and plan.keeps_argmax:
            argmax = self.buffer("argmax", plan.output_shape, np.uint8)
        plan.forward(x, out, argmax)
        self._workspace.saved_for_backward = (plan, x, argmax) if training else None
        return out if self.keepdims else out.reshape(len(x), x.shape[3])

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        plan, x, argmax = self._saved_for_backward()
        output_shape = plan.output_shape if self.keepdims else (len(x), x.shape[3])
        dy = self.checked_gradient(dy, output_shape)
        if not self.needs_input_gradient:
            return None
        dx = self.buffer("dx", x.shape)
        plan.backward(dy.reshape(plan.output_shape), x, dx, argmax)
        return dx

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "keepdims": self.keepdims}

    def _new_plan(self, shape: tuple[int, ...]) -> Pool2DPlan:
        images = checked_images(shape, self.owner)
        return Pool2DPlan(
            self._kind, images, pool_size=shape[1:3], dtype=np.float32, owner=self.owner
        )


class GlobalAveragePooling2D(_GlobalPooling2D):
    """The mean of each channel."""

    _kind = "average"


class GlobalMaxPooling2D(_GlobalPooling2D):
    """The largest value of each channel; a tie's gradient goes to the first pixel."""

    _kind = "max"
