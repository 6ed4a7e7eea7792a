"""Pooling over windows of an image."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .._core.geometry import plain_padding, pool2d_window
from .._core.memory import contiguous
from .._core.validation import positive_pair, truth
from ..ops.plans import Pool2DPlan
from .arguments import Shape, checked_images, output_images
from .base import Layer
from .options import FixedOption


class _Pooling2D(Layer):
    """One number for each window and channel; windows as far apart as they are large.

    `padding` is "valid", "same", an int or ((top, bottom), (left, right));
    `pool_size`, `strides` and `dilation_rate` are an int or a pair, rows first.
    `dilation_rate` and `ceil_mode`, which Keras has not, are those of `ops.max_pool2d`.
    """

    _kind = ""
    _OF_OURS: ClassVar[dict[str, Any]] = {"dilation_rate": (1, 1), "ceil_mode": False}
    pool_size, strides = FixedOption(positive_pair), FixedOption(positive_pair)
    padding, dilation_rate = FixedOption(plain_padding), FixedOption(positive_pair)
    ceil_mode = FixedOption(truth)

    def __init__(
        self,
        pool_size: int | tuple[int, int] = (2, 2),
        strides: int | tuple[int, int] | None = None,
        padding: Any = "valid",
        *,
        dilation_rate: int | tuple[int, int] = (1, 1),
        ceil_mode: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.pool_size, self.padding = pool_size, padding
        self.dilation_rate, self.ceil_mode = dilation_rate, ceil_mode
        self.strides = self.pool_size if strides is None else strides

    def build(self, input_shape: Shape) -> None:
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        images = checked_images(input_shape, self.owner)
        window = pool2d_window(
            images,
            self.pool_size,
            self.strides,
            self.padding,
            self.dilation_rate,
            self.ceil_mode,
            owner=self.owner,
        )
        return output_images(input_shape, window.rows.output, window.columns.output, images[3])

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        x = contiguous(x, np.float32)
        plan = self.plan((x.shape,), lambda: self._new_plan(x.shape))
        out = self.buffer("output", plan.output_shape)
        argmax = None
        if training and plan.keeps_argmax:
            argmax = self.buffer("argmax", plan.output_shape, np.uint8)
        plan.forward(x, out, argmax)
        self._workspace.saved_for_backward = (plan, x, argmax) if training else None
        return out

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        plan, x, argmax = self._saved_for_backward()
        dy = self.checked_gradient(dy, plan.output_shape)
        if not self.needs_input_gradient:
            return None
        dx = self.buffer("dx", x.shape)
        plan.backward(dy, x, dx, argmax)
        return dx

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._geometry(), **self._unusual()}

    def _new_plan(self, shape: tuple[int, ...]) -> Pool2DPlan:
        images, options = checked_images(shape, self.owner), {**self._geometry(), **self._unusual()}
        return Pool2DPlan(self._kind, images, dtype=np.float32, owner=self.owner, **options)

    def _geometry(self) -> dict[str, Any]:
        return {"pool_size": self.pool_size, "strides": self.strides, "padding": self.padding}

    def _unusual(self) -> dict[str, Any]:
        """Return the options that Keras has not, where they do something."""
        options = {name: getattr(self, name) for name in self._OF_OURS}
        return {name: value for name, value in options.items() if value != self._OF_OURS[name]}


class MaxPooling2D(_Pooling2D):
    """The largest value of each window: (batch, height, width, channels) to fewer pixels.

    The gradient goes to that value, to the first in row-major order in a tie.
    """

    _kind = "max"


class AveragePooling2D(_Pooling2D):
    """The mean of each window; padding is not counted unless `count_include_pad`."""

    _kind = "average"
    _OF_OURS: ClassVar[dict[str, Any]] = {**_Pooling2D._OF_OURS, "count_include_pad": False}
    count_include_pad = FixedOption(truth)

    def __init__(
        self,
        pool_size: int | tuple[int, int] = (2, 2),
        strides: int | tuple[int, int] | None = None,
        padding: Any = "valid",
        *,
        count_include_pad: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, **options)
        self.count_include_pad = count_include_pad

    def get_config(self) -> dict[str, Any]:
        return super().get_config()  # `count_include_pad` is among `_OF_OURS`


class L2Pooling2D(_Pooling2D):
    """The root of the sum of squares of each window; its gradient is 0 where that is 0."""

    _kind = "l2"
