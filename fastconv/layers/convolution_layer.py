"""The common halves of layers that end in a convolution, and of those that are one."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from .. import activations
from .._core.geometry import conv2d_window
from .._core.memory import contiguous
from ..ops.plans import Conv2DPlan
from .activated import ActivatedLayer
from .arguments import Images, Shape, checked_images, output_images
from .base import Layer
from .options import Weight
from .parameter import Parameter
from .workspace import Workspace


def configured_weight(
    layer: Layer, shape: tuple[int, ...], name: str, like: str | None = None
) -> Parameter:
    """Add a weight with the layer's initializer, regularizer and constraint of the name `like`."""
    rules = {kind: getattr(layer, f"{like or name}_{kind}") for kind in _RULES}
    return layer.add_weight(shape, name=name, **rules)


_RULES = ("initializer", "regularizer", "constraint")


class RectifiedLayer(ActivatedLayer):
    """A layer that ends in a convolution, which clips sums in registers for its activation."""

    def _convolve(self, x: np.ndarray, training: bool, limit: float) -> np.ndarray:
        """Return the output before the activation, clipped to 0 ... limit if that is above 0."""
        raise NotImplementedError

    def pre_activation(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self._convolve(x, training, limit=0.0)

    def clipped(self, x: np.ndarray, training: bool, limit: float) -> np.ndarray:
        """Return pre_activation(x) clipped to 0 ... limit while the sums are in registers."""
        return self._convolve(x, training, limit)

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        limit = activations.limit_of(self.activation)
        return self.clipped(x, training, limit) if limit else super().call(x, training)


class ConvolutionLayer(RectifiedLayer):
    """A layer that is conv2d and an activation.

    A subclass has `kernel`, `bias` (or None) and the two methods that raise here.
    """

    kernel, bias = Weight(), Weight()

    def _kernel_shape(self, images: Images) -> Images:
        """Return the convolution's (rows, columns, channels / groups, filters)."""
        raise NotImplementedError

    def _convolution(self, images: Images) -> dict[str, Any]:
        """Return the convolution's strides, padding, dilation_rate and groups."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        images = checked_images(input_shape, self.owner)
        shape, options = self._kernel_shape(images), self._convolution(images)
        window, _ = conv2d_window(images, shape, owner=self.owner, **options)
        return output_images(input_shape, window.rows.output, window.columns.output, shape[3])

    def pre_activation_backward(self, dz: np.ndarray) -> np.ndarray | None:
        plan, x = self._saved_for_backward()
        dz = self.checked_gradient(dz, plan.output_shape)
        dx = self.buffer("dx", x.shape) if self.needs_input_gradient else None
        kernel, gradient = map(self._seen, (self.kernel.contents, self.kernel.gradient))
        bias_gradient = None if self.bias is None else self.bias.gradient
        plan.backward(dz, x, kernel, dx, gradient, bias_gradient)
        return dx

    @property
    def kernel_of_filters(self) -> np.ndarray:
        """The kernel as the convolution sees it, (rows, columns, channels / groups, filters)."""
        return self._seen(self.kernel.contents)

    def convolve_with(
        self,
        x: np.ndarray,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        limit: float,
        training: bool = False,
    ) -> np.ndarray:
        """Return the convolution with a kernel like `kernel_of_filters`, clipped or not."""
        x = contiguous(x, np.float32)
        workspace = self._workspace  # once: it is looked up by thread
        plan = self._plan(workspace, x.shape, limit)
        out = workspace.buffer("output", plan.output_shape, np.float32)
        plan.forward(x, kernel, bias, out)
        workspace.saved_for_backward = (plan, x) if training else None
        workspace.output = out if training and limit else None
        return out

    def _convolve(self, x: np.ndarray, training: bool, limit: float) -> np.ndarray:
        bias = None if self.bias is None else self.bias.contents
        return self.convolve_with(x, self._seen(self.kernel.contents), bias, limit, training)

    def _plan(self, workspace: Workspace, shape: tuple[int, ...], limit: float) -> Conv2DPlan:
        def make() -> Conv2DPlan:
            images = checked_images(shape, self.owner)
            kernel = cast(Images, self._seen(self.kernel.contents).shape)
            options = self._convolution(images)
            return Conv2DPlan(images, kernel, limit=limit, owner=self.owner, **options)

        return workspace.plan((shape, limit), make)

    def _seen(self, kernel: np.ndarray) -> np.ndarray:
        """Return the kernel, or its gradient, as the convolution sees it: a view."""
        return kernel
