"""Convolution over images."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from .. import activations
from .._core.geometry import conv2d_window, plain_padding
from .._core.memory import contiguous
from .._core.validation import positive_integer, positive_pair, truth
from ..ops.plans import Conv2DPlan
from .activated import ActivatedLayer
from .arguments import Images, Shape, checked_images
from .options import (
    FixedOption,
    Weight,
    constraint_option,
    initializer_option,
    regularizer_option,
    weights_config,
)
from .workspace import Workspace


class Conv2D(ActivatedLayer):
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
    kernel, bias = Weight(), Weight()

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
        self.kernel = self.add_weight(
            self._kernel_shape(images),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (self.filters,),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        images = checked_images(input_shape, self.owner)
        window, _ = conv2d_window(
            images, self._kernel_shape(images), owner=self.owner, **self._geometry()
        )
        return (None, window.rows.output, window.columns.output, self.filters)

    def pre_activation(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self._convolve(x, training, relu=False)

    def rectified(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Return max(pre_activation(x), 0), clipped while the sums are in registers."""
        return self._convolve(x, training, relu=True)

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        if not activations.is_relu(self.activation):
            return super().call(x, training)
        return self.rectified(x, training)

    def pre_activation_backward(self, dz: np.ndarray) -> np.ndarray | None:
        plan, x = self._saved_for_backward()
        dz = self.checked_gradient(dz, plan.output_shape)
        dx = self.buffer("dx", x.shape) if self.needs_input_gradient else None
        bias_gradient = self.bias.gradient if self.use_bias else None
        plan.backward(dz, x, self.kernel.value, dx, self.kernel.gradient, bias_gradient)
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

    def _convolve(self, x: np.ndarray, training: bool, relu: bool) -> np.ndarray:
        x = contiguous(x, np.float32)
        workspace = self._workspace  # once: it is looked up by thread
        plan = self._plan(workspace, x.shape, relu)
        out = workspace.buffer("output", plan.output_shape, np.float32)
        plan.forward(x, self.kernel.value, self.bias.value if self.use_bias else None, out)
        workspace.saved_for_backward = (plan, x) if training else None
        workspace.output = out if training and relu else None
        return out

    def _plan(self, workspace: Workspace, shape: tuple[int, ...], relu: bool) -> Conv2DPlan:
        def make() -> Conv2DPlan:
            images, kernel = checked_images(shape, self.owner), cast(Images, self.kernel.shape)
            return Conv2DPlan(images, kernel, relu=relu, owner=self.owner, **self._geometry())

        return workspace.plan((shape, relu), make)

    def _kernel_shape(self, images: Images) -> tuple[int, int, int, int]:
        return (*self.kernel_size, images[3] // self.groups, self.filters)

    def _geometry(self) -> dict[str, Any]:
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
        }
