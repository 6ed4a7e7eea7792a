"""Convolution of each channel by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import initializers
from .._core.geometry import plain_padding
from .._core.validation import positive_integer, positive_pair, truth
from .arguments import Images, Shape, checked_images
from .convolution_layer import ConvolutionLayer
from .options import FixedOption, initializer_option


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
        **options: Any,
    ) -> None:
        super().__init__(activation, **options)
        self.kernel_size, self.strides = kernel_size, strides
        self.padding, self.dilation_rate = padding, dilation_rate
        self.depth_multiplier, self.use_bias = depth_multiplier, use_bias
        self.depthwise_initializer = depthwise_initializer
        self.bias_initializer = bias_initializer
        self.kernel = self.bias = None

    def build(self, input_shape: Shape) -> None:
        filters = self.compute_output_shape(input_shape)[3]
        channels = checked_images(input_shape, self.owner)[3]
        self.kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier),
            self.depthwise_initializer,
            name="kernel",
        )
        if self.use_bias:
            assert filters is not None
            self.bias = self.add_weight((filters,), self.bias_initializer, name="bias")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": list(self.kernel_size),
            "strides": self.strides,
            "padding": self.padding,
            "depth_multiplier": self.depth_multiplier,
            "dilation_rate": self.dilation_rate,
            "use_bias": self.use_bias,
            "depthwise_initializer": initializers.serialize(self.depthwise_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
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
