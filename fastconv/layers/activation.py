"""Activations as layers of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import activations
from .._core.memory import contiguous
from .activated import ActivatedLayer
from .arguments import Shape
from .base import Layer
from .options import activation_option


class _ActivationLayer(ActivatedLayer):
    """A layer that is nothing but its activation."""

    _owns_pre_activation = False

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
    """Applies the activation of a name: linear relu sigmoid tanh softmax leaky_relu."""

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
        super().__init__(activations.Relu(max_value, negative_slope, threshold), **options)

    def get_config(self) -> dict[str, Any]:
        return {**Layer.get_config(self), **self.activation.get_config()}
