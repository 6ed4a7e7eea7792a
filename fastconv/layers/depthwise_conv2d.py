"""Convolution of each channel by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.geometry import plain_padding
from .._core.validation import positive_integer, positive_pair, truth
from .arguments import Images, Shape, checked_images
from .convolution_layer import ConvolutionLayer, configured_weight
from .options import (
    FixedOption,
    constraint_option,
    initializer_option,
    regularizer_option,
    weights_config,
)


class DepthwiseConv2D(ConvolutionLayer):
    """Convolves each channel with `depth_multiplier` kernels of its own.

    (batch, height, width, channels) to (batch, rows, columns, channels * depth_multiplier), the
    outputs of a channel side by side.  `padding` is "valid", "same", an int or ((top, bottom),
    (left, right)); `kernel_size`, `strides` and `dilation_rate` are an int or a pair, rows
    first.  Weights: `kernel` (rows, columns, channels, depth_multiplier) and, if `use_bias`,
    `bias`, a number for each output channel.

    >>> DepthwiseConv2D(3, depth_multiplier=2)(np.zeros((1, 10, 10, 3))).shape
    (1, 8, 8, 6)
    """

    kernel_size, strides = FixedOption(positive_pair), FixedOption(positive_pair)
    dilation_rate, padding = FixedOption(positive_pair), FixedOption(plain_padding)
    depth_multiplier, use_bias = FixedOption(positive_integer), FixedOption(truth)
    depthwise_initializer, bias_initializer = initializer_option(), initializer_option()
    depthwise_regularizer, bias_regularizer = regularizer_option(), regularizer_option()
    depthwise_constraint, bias_constraint = constraint_option(), constraint_option()

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = (1, 1),
        padding: Any = "valid",
        depth_multiplier: int = 1,
        *,
        dilation_rate: int | tuple[int, int] = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(activation, **options)
        self.kernel_size, self.strides = kernel_size, strides
        self.padding, self.dilation_rate = padding, dilation_rate
        self.depth_multiplier, self.use_bias = depth_multiplier, use_bias
        self.depthwise_initializer = depthwise_initializer
        self.bias_initializer = bias_initializer
        self.depthwise_regularizer = depthwise_regularizer
        self.bias_regularizer = bias_regularizer
        self.depthwise_constraint = depthwise_constraint
        self.bias_constraint = bias_constraint
        self.kernel = self.bias = None

    def build(self, input_shape: Shape) -> None:
        self.compute_output_shape(input_shape)
        channels = checked_images(input_shape, self.owner)[3]
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = configured_weight(self, shape, "kernel", like="depthwise")
        if self.use_bias:
            self.bias = configured_weight(self, (channels * self.depth_multiplier,), "bias")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": list(self.kernel_size),
            "strides": self.strides,
            "padding": self.padding,
            "depth_multiplier": self.depth_multiplier,
            "dilation_rate": self.dilation_rate,
            "use_bias": self.use_bias,
            **weights_config(self, "depthwise", "bias"),
        }

    def _kernel_shape(self, images: Images) -> Images:
        return (*self.kernel_size, 1, images[3] * self.depth_multiplier)

    def _convolution(self, images: Images) -> dict[str, Any]:
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "groups": images[3],
        }

    def _seen(self, kernel: np.ndarray) -> np.ndarray:
        rows, columns, channels, multiplier = kernel.shape
        return kernel.reshape(rows, columns, 1, channels * multiplier)
