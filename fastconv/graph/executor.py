"""The layers of a model as they run: stages, one after the other and back."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._core.memory import contiguous
from .._core.validation import NUMBER_KINDS
from ..layers.base import Layer
from ..layers.parameter import Parameter
from . import fusion

#: Activations that a loss can take in, so that both are computed from logits.
_FOLDABLE = ("sigmoid", "softmax")


def signature(layers: Sequence[Layer], *more: Any) -> list[Any]:
    """Return all that a `Network` of these layers reads when it is made, for `same`."""
    parts: list[Any] = [*more, *layers]
    for layer in layers:
        parts += (layer, *layer.trainable_weights, getattr(layer, "activation", None))
    return parts


def same(first: Sequence[Any], second: Sequence[Any]) -> bool:
    """Return whether two signatures are of the very same objects."""
    return len(first) == len(second) and all(map(operator.is_, first, second))


class Network:
    """Built layers arranged to run: neighbours that one kernel can do are one stage.

    Made anew whenever what it is made from (`signature`) changes. With `fuse=False`
    every layer is a stage of its own; the results are the same. With
    `trainable=False` nothing is trained, whatever the layers say.
    """

    def __init__(self, layers: Sequence[Layer], fuse: bool = True, trainable: bool = True) -> None:
        self.layers, self.fuse = list(layers), fuse
        self._of_layer = [layer.trainable_weights if trainable else [] for layer in self.layers]
        self.trainable: list[Parameter] = list(itertools.chain.from_iterable(self._of_layer))
        last = self.layers[-1]
        activation = getattr(getattr(last, "activation", None), "name", None)
        #: The last layer, where its activation can be left to the loss.
        self.head = last if activation in _FOLDABLE and hasattr(last, "pre_activation") else None
        body = self.layers if self.head is None else self.layers[:-1]
        self.stages = list(fusion.plan(body)) if fuse else list(body)
        #: Layers of a user's own, which may return any array.
        self._foreign = {stage for stage in (*self.stages, last) if _is_foreign(stage)}
        self._gradients = self._plan_input_gradients()
        self._overwriting = self._plan_overwriting()

    def _plan_input_gradients(self) -> list[tuple[Layer, bool, bool]]:
        """Return for each layer what it is told of its input's gradient.

        Whether it is needed, which it is not where nothing before the layer is trained;
        and whether it counts where the input is 0.
        """
        told, trained_before, at_zeros = [], False, True
        for layer, trained in zip(self.layers, self._of_layer, strict=True):
            told.append((layer, trained_before, at_zeros))
            trained_before = trained_before or bool(trained)
            at_zeros = fusion.passes_gradient_at_zeros(layer, at_zeros)
        return told

    def _plan_overwriting(self) -> set[Layer]:
        """Return the layers that may write their input's gradient over the input."""
        stages = [*self.stages, *self.layers[len(self.layers) - (self.head is not None) :]]
        may = fusion.may_overwrite_inputs(stages)
        allowed = [stage for stage, allowed in zip(stages, may, strict=True) if allowed]
        return {fusion.members(stage)[0] for stage in allowed}

    @property
    def foldable(self) -> str | None:
        """The last activation's name, where a loss may take it in: "sigmoid" or "softmax"."""
        return None if self.head is None else self.head.activation.name

    def forward(self, x: np.ndarray, training: bool = False, logits: bool = False) -> np.ndarray:
        """Return the output for a batch; it belongs to the last stage.

        `logits` leaves the last activation out; only where `foldable` has one.
        """
        for stage in self.stages:
            x = stage.call(x, training)
            if stage in self._foreign:
                x = _plain_array(x, stage, "call(x, training)")
        if self.head is None:
            return x
        x = self.head.pre_activation(x, training) if logits else self.head.call(x, training)
        return _plain_array(x, self.head, "call(x, training)") if self.head in self._foreign else x

    def activate(self, logits: np.ndarray) -> np.ndarray:
        """Return the model's output for `logits` that `forward` gave, as a new array."""
        out = np.empty_like(logits)
        self.head.activation.forward(logits, out)
        return out

    def backward(self, dy: np.ndarray, logits: bool = False) -> None:
        """Fill every trained parameter's gradient from that of the output (or of the logits)."""
        # Told for the way back alone: a layer may be part of another model, or used by hand.
        for layer, needed, at_zeros in self._gradients:
            layer.needs_input_gradient = needed
            layer.needs_gradient_at_zeros = at_zeros
        try:
            self._through_stages(dy, logits)
        finally:
            for layer in self.layers:
                layer.needs_input_gradient = layer.needs_gradient_at_zeros = True

    def _through_stages(self, dy: np.ndarray, logits: bool) -> None:
        if self.head is not None:
            head = self.head.pre_activation_backward if logits else self.head.backward
            dy = self._backward(self.head, head, dy)
        for stage in reversed(self.stages):
            if dy is None:
                # Nothing before a layer that was spared its input's gradient is trained.
                return
            dy = self._backward(stage, stage.backward, dy)

    def _backward(self, stage, backward: Callable, dy: np.ndarray) -> np.ndarray | None:
        """Go back through one stage, the only time its input may be overwritten."""
        layer = fusion.members(stage)[0]
        layer.may_overwrite_input = layer in self._overwriting
        try:
            dx = backward(dy)
        finally:
            layer.may_overwrite_input = False
        if stage in self._foreign and not (dx is None and not stage.needs_input_gradient):
            dx = _plain_array(dx, stage, "backward(dy)")
        return dx


def _is_foreign(stage: fusion.Stage) -> bool:
    return type(stage).__module__.partition(".")[0] != __package__.partition(".")[0]


def _plain_array(array: Any, layer: Layer, method: str) -> np.ndarray:
    """Return what a user's layer returned as the other layers take it, or raise TypeError."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in NUMBER_KINDS:
        found = array if array is None or np.isscalar(array) else type(array).__name__
        if isinstance(array, np.ndarray):
            found = f"an array of {array.dtype}"
        raise TypeError(
            f"{layer.owner}: {method} returned {found}; return an array of numbers, (batch, ...)"
            + (
                ""
                if method.startswith("call")
                else ", the input's gradient: layers before this one are trained"
            )
        )
    return contiguous(array, np.float32)
