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
        activation, workspace = self.activation, self._workspace
        if training and activation.needs_input:
            if out is z:  # which is about to be overwritten
                z = self.buffer("pre_activation", out.shape)
                np.copyto(z, out)
            workspace.pre_activation = z
        y = activation.forward(z, out)
        workspace.output = y if training else None
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        self._saved_for_backward()
        workspace = self._workspace
        y = workspace.output
        assert y is not None  # kept beside what `_saved_for_backward` has found
        dy = self.checked_gradient(dy, y.shape)
        activation, out = self.activation, self.buffer("dz", dy.shape)
        if not activation.needs_input:
            return self.pre_activation_backward(activation.backward(dy, y, out))
        z = workspace.pre_activation
        if z is None or z.shape != y.shape:
            raise RuntimeError(
                f"{self.owner}: backward(dy) needs call(x, training=True) with the activation "
                f"{activation!r} before it"
            )
        return self.pre_activation_backward(activation.backward(dy, y, out, z))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}
