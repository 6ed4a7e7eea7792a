"""The common half of layers that end in an activation."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import activations
from .base import Layer
from .options import activation_option


class ActivatedLayer(Layer):
    """A layer whose output is `activation(pre_activation(x))`.

    A subclass defines `pre_activation` and `pre_activation_backward`.  A model
    uses these two by themselves where the loss takes the activation's place.
    `activation` may be assigned at any time, by name, config or object.
    """

    #: Whether `pre_activation` returns memory that `call` may overwrite.
    _owns_pre_activation = True

    activation = activation_option()

    def __init__(self, activation: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activation

    def pre_activation(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Return what the activation is applied to (logits, where this is the last layer)."""
        raise NotImplementedError

    def pre_activation_backward(self, dz: np.ndarray) -> np.ndarray | None:
        """Return the gradient of the input for `dz`, that of `pre_activation`'s result."""
        raise NotImplementedError

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        z = self.pre_activation(x, training)
        out = z if self._owns_pre_activation else self.buffer("output", z.shape)
        y = self.activation.forward(z, out)
        self._workspace.output = y if training else None
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        self._saved_for_backward()
        y = self._workspace.output
        assert y is not None  # kept beside what `_saved_for_backward` has found
        dy = self.checked_gradient(dy, y.shape)
        dz = self.activation.backward(dy, y, self.buffer("dz", dy.shape))
        return self.pre_activation_backward(dz)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}
