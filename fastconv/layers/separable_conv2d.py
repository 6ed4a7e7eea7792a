"""Convolution of each channel by itself, and a mixture of what comes out."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from .._core.geometry import conv2d_window, plain_padding
from .._core.memory import contiguous
from .._core.validation import positive_integer, positive_pair, truth
from ..ops.plans import Conv2DPlan
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

Plans = tuple[Conv2DPlan, Conv2DPlan]


class SeparableConv2D(RectifiedLayer):
    """A depthwise convolution, and a 1x1 convolution of its outputs: far fewer weights.

    (batch, height, width, channels) to (batch, rows, columns, filters).  `padding` is "valid",
    "same", an int or ((top, bottom), (left, right)); `kernel_size`, `strides` and
    `dilation_rate`, those of the depthwise convolution, are an int or a pair, rows first.
    Weights: `depthwise_kernel` (rows, columns, channels, depth_multiplier), `pointwise_kernel`
    (1, 1, channels * depth_multiplier, filters) and, if `use_bias`, `bias` (filters,).

    >>> layer = SeparableConv2D(8, 3, activation="relu")
    >>> layer(np.zeros((1, 10, 10, 3))).shape
    (1, 8, 8, 8)
    """

    filters, depth_multiplier = FixedOption(positive_integer), FixedOption(positive_integer)
    kernel_size, strides = FixedOption(positive_pair), FixedOption(positive_pair)
    dilation_rate, padding = FixedOption(positive_pair), FixedOption(plain_padding)
    use_bias = FixedOption(truth)
    depthwise_initializer, pointwise_initializer = initializer_option(), initializer_option()
    bias_initializer = initializer_option()
    depthwise_regularizer, pointwise_regularizer = regularizer_option(), regularizer_option()
    bias_regularizer = regularizer_option()
    depthwise_constraint, pointwise_constraint = constraint_option(), constraint_option()
    bias_constraint = constraint_option()
    depthwise_kernel, pointwise_kernel, bias = Weight(), Weight(), Weight()

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = (1, 1),
        padding: Any = "valid",
        *,
        dilation_rate: int | tuple[int, int] = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(activation, **options)
        self.filters, self.kernel_size = filters, kernel_size
        self.strides, self.padding = strides, padding
        self.dilation_rate, self.depth_multiplier = dilation_rate, depth_multiplier
        self.use_bias = use_bias
        self.depthwise_initializer = depthwise_initializer
        self.pointwise_initializer = pointwise_initializer
        self.bias_initializer = bias_initializer
        self.depthwise_regularizer = depthwise_regularizer
        self.pointwise_regularizer = pointwise_regularizer
        self.bias_regularizer = bias_regularizer
        self.depthwise_constraint = depthwise_constraint
        self.pointwise_constraint = pointwise_constraint
        self.bias_constraint = bias_constraint
        self.depthwise_kernel = self.pointwise_kernel = self.bias = None

    def build(self, input_shape: Shape) -> None:
        self.compute_output_shape(input_shape)
        channels = checked_images(input_shape, self.owner)[3]
        depthwise = (*self.kernel_size, channels, self.depth_multiplier)
        pointwise = (1, 1, channels * self.depth_multiplier, self.filters)
        self.depthwise_kernel = configured_weight(
            self, depthwise, "depthwise_kernel", like="depthwise"
        )
        self.pointwise_kernel = configured_weight(
            self, pointwise, "pointwise_kernel", like="pointwise"
        )
        if self.use_bias:
            self.bias = configured_weight(self, (self.filters,), "bias")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        images = checked_images(input_shape, self.owner)
        shape, options = self._depthwise_shape(images), self._geometry()
        window, _ = conv2d_window(images, shape, groups=images[3], owner=self.owner, **options)
        rows, columns = window.rows.output, window.columns.output
        return output_images(input_shape, rows, columns, self.filters)

    def pre_activation_backward(self, dz: np.ndarray) -> np.ndarray | None:
        (depthwise, pointwise), x, between = self._saved_for_backward()
        dz = self.checked_gradient(dz, pointwise.output_shape)
        gradient = self.buffer("gradient between", between.shape)
        pointwise.backward(
            dz,
            between,
            self.pointwise_kernel.contents,
            gradient,
            self.pointwise_kernel.gradient,
            None if self.bias is None else self.bias.gradient,
        )
        dx = self.buffer("dx", x.shape) if self.needs_input_gradient else None
        kernel, kernel_gradient = map(
            _grouped, (self.depthwise_kernel.contents, self.depthwise_kernel.gradient)
        )
        depthwise.backward(gradient, x, kernel, dx, kernel_gradient, None)
        return dx

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            **self._geometry(),
            "depth_multiplier": self.depth_multiplier,
            "use_bias": self.use_bias,
            **weights_config(self, "depthwise", "pointwise", "bias"),
        }

    @property
    def kernel_of_filters(self) -> np.ndarray:
        """The pointwise kernel, (1, 1, channels, filters)."""
        return self.pointwise_kernel.contents

    def _convolve(self, x: np.ndarray, training: bool, limit: float) -> np.ndarray:
        bias = None if self.bias is None else self.bias.contents
        return self.convolve_with(x, self.kernel_of_filters, bias, limit, training)

    def convolve_with(
        self,
        x: np.ndarray,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        limit: float,
        training: bool = False,
    ) -> np.ndarray:
        """Return the convolution with a pointwise kernel, clipped to 0 ... limit or not."""
        x = contiguous(x, np.float32)
        plans: Plans = self.plan((x.shape, limit), lambda: self._new_plans(x.shape, limit))
        depthwise, pointwise = plans
        between = self.buffer("between", depthwise.output_shape)
        out = self.buffer("output", pointwise.output_shape)
        depthwise.forward(x, _grouped(self.depthwise_kernel.contents), None, between)
        pointwise.forward(between, kernel, bias, out)
        self._workspace.saved_for_backward = (plans, x, between) if training else None
        self._workspace.output = out if training and limit else None
        return out

    def _new_plans(self, shape: tuple[int, ...], limit: float) -> Plans:
        images = checked_images(shape, self.owner)
        kernel = cast(Images, _grouped(self.depthwise_kernel.contents).shape)
        groups, owner = self.depthwise_kernel.shape[2], self.owner
        depthwise = Conv2DPlan(images, kernel, groups=groups, owner=owner, **self._geometry())
        pointwise = cast(Images, self.pointwise_kernel.shape)
        return depthwise, Conv2DPlan(depthwise.output_shape, pointwise, limit=limit, owner=owner)

    def _depthwise_shape(self, images: Images) -> Images:
        return (*self.kernel_size, 1, images[3] * self.depth_multiplier)

    def _geometry(self) -> dict[str, Any]:
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
        }


def _grouped(kernel: np.ndarray) -> np.ndarray:
    """Return a depthwise kernel, or its gradient, as that of a convolution in groups: a view."""
    rows, columns, channels, multiplier = kernel.shape
    return kernel.reshape(rows, columns, 1, channels * multiplier)
