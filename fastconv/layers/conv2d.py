"""Convolution over images."""

from __future__ import annotations

from typing import Any

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


class Conv2D(ConvolutionLayer):
    """2-D convolution: (batch, height, width, channels) to (batch, rows, columns, filters).

    `padding` is "valid", "same", an int or ((top, bottom), (left, right));
    `kernel_size`, `strides` and `dilation_rate` are an int or a pair, rows
    first.  Weights: `kernel` (rows, columns, channels / groups, filters) and,
    if `use_bias`, `bias` (filters,).  Regularizers and constraints are names or
    objects of `fastconv.regularizers` and `fastconv.constraints`.

    >>> layer = Conv2D(8, 3, activation="relu")
    >>> layer(np.zeros((1, 10, 10, 3))).shape
    (1, 8, 8, 8)
    """

    filters, groups = FixedOption(positive_integer), FixedOption(positive_integer)
    kernel_size, strides = FixedOption(positive_pair), FixedOption(positive_pair)
    dilation_rate, padding = FixedOption(positive_pair), FixedOption(plain_padding)
    use_bias = FixedOption(truth)
    kernel_initializer, bias_initializer = initializer_option(), initializer_option()
    kernel_regularizer, bias_regularizer = regularizer_option(), regularizer_option()
    kernel_constraint, bias_constraint = constraint_option(), constraint_option()

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = (1, 1),
        padding: Any = "valid",
        *,
        dilation_rate: int | tuple[int, int] = (1, 1),
        groups: int = 1,
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
        self.dilation_rate, self.groups = dilation_rate, groups
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint
        self.kernel = self.bias = None

    def build(self, input_shape: Shape) -> None:
        self.compute_output_shape(input_shape)
        images = checked_images(input_shape, self.owner)
        self.kernel = configured_weight(self, self._kernel_shape(images), "kernel")
        if self.use_bias:
            self.bias = configured_weight(self, (self.filters,), "bias")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            **self._geometry(),
            "use_bias": self.use_bias,
            **weights_config(self, "kernel", "bias"),
        }

    def _kernel_shape(self, images: Images) -> Images:
        return (*self.kernel_size, images[3] // self.groups, self.filters)

    def _convolution(self, images: Images) -> dict[str, Any]:
        return self._geometry()

    def _geometry(self) -> dict[str, Any]:
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
        }
