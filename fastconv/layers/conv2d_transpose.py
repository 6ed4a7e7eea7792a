"""Transposed convolution: to larger images, by weights that are learnt."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from .._core.geometry import conv2d_transpose_window, plain_padding
from .._core.memory import contiguous
from .._core.validation import natural_pair, optional, positive_integer, positive_pair, truth
from ..ops.plans import Conv2DTransposePlan
from .arguments import Images, Shape, checked_images, output_images
from .convolution_layer import RectifiedLayer, configured_weight
from .options import (
    FixedOption,
    Weight,
    constraint_option,
    initializer_option,
    regularizer_option,
    weights_config,
)


class Conv2DTranspose(RectifiedLayer):
    """Adds the kernel, times each pixel, to an image of `strides` times as many pixels.

    (batch, height, width, channels) to (batch, rows, columns, filters), of Keras's sizes: see
    `ops.conv2d_transpose`.  `padding` is "valid", "same", an int or ((top, bottom), (left,
    right)), which are cut off; `kernel_size`, `strides`, `dilation_rate` and `output_padding`,
    which is below `strides` or None, are an int or a pair, rows first.  Strides and dilation,
    one of which Keras wants to be 1, go together.  Weights: `kernel` (rows, columns, filters,
    channels) and, if `use_bias`, `bias` (filters,).

    >>> Conv2DTranspose(8, 3, strides=2, padding="same")(np.zeros((1, 10, 10, 3))).shape
    (1, 20, 20, 8)
    """

    filters, use_bias = FixedOption(positive_integer), FixedOption(truth)
    kernel_size, strides = FixedOption(positive_pair), FixedOption(positive_pair)
    dilation_rate, padding = FixedOption(positive_pair), FixedOption(plain_padding)
    output_padding = FixedOption(optional(natural_pair))
    kernel_initializer, bias_initializer = initializer_option(), initializer_option()
    kernel_regularizer, bias_regularizer = regularizer_option(), regularizer_option()
    kernel_constraint, bias_constraint = constraint_option(), constraint_option()
    kernel, bias = Weight(), Weight()

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = (1, 1),
        padding: Any = "valid",
        output_padding: int | tuple[int, int] | None = None,
        *,
        dilation_rate: int | tuple[int, int] = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(activation, **options)
        self.filters, self.kernel_size = filters, kernel_size
        self.strides, self.padding = strides, padding
        self.output_padding, self.dilation_rate = output_padding, dilation_rate
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint
        self.kernel = self.bias = None

    def build(self, input_shape: Shape) -> None:
        self.compute_output_shape(input_shape)
        channels = checked_images(input_shape, self.owner)[3]
        shape = (*self.kernel_size, self.filters, channels)
        self.kernel = configured_weight(self, shape, "kernel")
        if self.use_bias:
            self.bias = configured_weight(self, (self.filters,), "bias")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        _, height, width, _ = checked_images(input_shape, self.owner)
        (rows, columns), _ = conv2d_transpose_window(
            (height, width), self.kernel_size, owner=self.owner, **self._geometry()
        )
        return output_images(input_shape, rows, columns, self.filters)

    def _convolve(self, x: np.ndarray, training: bool, limit: float) -> np.ndarray:
        x = contiguous(x, np.float32)
        plan = self.plan((x.shape, limit), lambda: self._new_plan(x.shape, limit))
        out = self.buffer("output", plan.output_shape)
        plan.forward(
            x, self.kernel.contents, None if self.bias is None else self.bias.contents, out
        )
        self._workspace.saved_for_backward = (plan, x) if training else None
        self._workspace.output = out if training and limit else None
        return out

    def pre_activation_backward(self, dz: np.ndarray) -> np.ndarray | None:
        plan, x = self._saved_for_backward()
        dz = self.checked_gradient(dz, plan.output_shape)
        dx = self.buffer("dx", x.shape) if self.needs_input_gradient else None
        bias_gradient = None if self.bias is None else self.bias.gradient
        plan.backward(dz, x, self.kernel.contents, dx, self.kernel.gradient, bias_gradient)
        return dx

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            **self._geometry(),
            "use_bias": self.use_bias,
            **weights_config(self, "kernel", "bias"),
        }

    def _new_plan(self, shape: tuple[int, ...], limit: float) -> Conv2DTransposePlan:
        images, kernel = checked_images(shape, self.owner), cast(Images, self.kernel.shape)
        options = self._geometry()
        return Conv2DTransposePlan(images, kernel, limit=limit, owner=self.owner, **options)

    def _geometry(self) -> dict[str, Any]:
        return {
            "strides": self.strides,
            "padding": self.padding,
            "output_padding": self.output_padding,
            "dilation_rate": self.dilation_rate,
        }
