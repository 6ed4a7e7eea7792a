"""Activations as layers of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import activations
from .._core.memory import contiguous
from .._core.options import Once
from .activated import ActivatedLayer
from .arguments import Shape, checked_axes, checked_axis_numbers
from .base import Layer
from .options import activation_option


class _ActivationLayer(ActivatedLayer):
    """A layer that is nothing but its activation."""

    _owns_pre_activation = False

    @property
    def as_activation(self) -> activations.Activation | None:
        """The activation alone, as which other layers take this one."""
        return self.activation

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[1:])

    def pre_activation(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        x = contiguous(x, np.float32)
        self._workspace.saved_for_backward = x.shape if training else None
        return x

    def pre_activation_backward(self, dz: np.ndarray) -> np.ndarray | None:
        dz = self.checked_gradient(dz, self._saved_for_backward())
        return dz if self.needs_input_gradient else None


class Activation(_ActivationLayer):
    """Applies an activation, by its name, config or itself; see `fastconv.activations`."""

    def __init__(self, activation: Any, **options: Any) -> None:
        super().__init__(activation, **options)


class ReLU(_ActivationLayer):
    """min(max(x, 0), `max_value`), with `negative_slope` (x - `threshold`) below `threshold`."""

    activation = activation_option(activations.Relu)

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(activations.Relu(negative_slope, max_value, threshold), **options)

    def get_config(self) -> dict[str, Any]:
        return {**Layer.get_config(self), **self.activation.get_config()}


class LeakyReLU(_ActivationLayer):
    """x where x > 0, `negative_slope` x elsewhere; the layer's slope is 0.3, as in Keras 3.

    `alpha=` is its old spelling.
    """

    activation = activation_option(activations.LeakyRelu)

    def __init__(self, negative_slope: float = 0.3, **options: Any) -> None:
        negative_slope = options.pop("alpha", negative_slope)
        super().__init__(activations.LeakyRelu(negative_slope), **options)

    def get_config(self) -> dict[str, Any]:
        return {**Layer.get_config(self), **self.activation.get_config()}


class ELU(_ActivationLayer):
    """x where x > 0, `alpha` (exp(x) - 1) elsewhere."""

    activation = activation_option(activations.Elu)

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(activations.Elu(alpha), **options)

    def get_config(self) -> dict[str, Any]:
        return {**Layer.get_config(self), **self.activation.get_config()}


class _SoftmaxAlong(activations.Softmax):
    """exp(z), divided by its sum along some axes."""

    _numbers = ("name", "_axes")

    def __init__(self, axes: tuple[int, ...]) -> None:
        # A loss takes a softmax in by its name: only one along the last axis.
        self.name = "softmax" if axes == (-1,) else "softmax_along"
        self._axes = axes

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        if self._axes == (-1,):
            return super().forward(z, out)
        np.subtract(z, z.max(axis=self._axes, keepdims=True), out=out)
        np.exp(out, out=out)
        np.divide(out, out.sum(axis=self._axes, keepdims=True), out=out)
        return out

    def backward(
        self, dy: np.ndarray, y: np.ndarray, out: np.ndarray, z: np.ndarray | None = None
    ) -> np.ndarray:
        np.multiply(dy, y, out=out)
        np.subtract(dy, out.sum(axis=self._axes, keepdims=True), out=out)
        np.multiply(out, y, out=out)
        return out


class Softmax(_ActivationLayer):
    """exp(x), divided by its sum along `axis`, a number or several; the batch is axis 0."""

    axis = Once(checked_axis_numbers)
    activation = activation_option(_SoftmaxAlong)

    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        self.axis = axis
        along = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        super().__init__(_SoftmaxAlong(along), **options)

    @property
    def as_activation(self) -> activations.Activation | None:
        """The softmax along the last axis, None if this is another."""
        return activations.softmax if self.axis in (-1, (-1,)) else None

    def build(self, input_shape: Shape) -> None:
        checked_axes(self.axis, input_shape, self.owner)

    def get_config(self) -> dict[str, Any]:
        return {**Layer.get_config(self), "axis": self.axis}
