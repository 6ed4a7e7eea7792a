"""The layers of a model as they run: operations, one after the other, forward and backward."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._core.memory import contiguous
from .._core.validation import NUMBER_KINDS
from ..layers import revision
from ..layers.base import Layer
from ..layers.parameter import Parameter
from ..losses import Loss
from . import fusion

#: Activations that a loss can take in, so that both are computed from logits.
_TAKEN_IN_BY_LOSSES = ("sigmoid", "softmax")


class GradientNeeds(NamedTuple):
    """What is asked of a layer in the backward pass."""

    layer: Layer
    #: Whether its input's gradient is: not where nothing before the layer is trained.
    input_gradient: bool
    #: Whether that gradient counts where the input is 0.
    at_zeros: bool


class Executor:
    """Built layers arranged to run: neighbours that one kernel can do are one fused op.

    With `fuse=False` every layer is an operation of its own; the results are the same.
    With `trainable=False` nothing is trained, whatever the layers say.
    """

    def __init__(self, layers: Sequence[Layer], fuse: bool = True, trainable: bool = True) -> None:
        self.layers, self.fuse = list(layers), fuse
        self._of_layer = [layer.trainable_weights if trainable else [] for layer in self.layers]
        self.trainable: list[Parameter] = list(itertools.chain.from_iterable(self._of_layer))
        last: Any = self.layers[-1]
        activation = getattr(getattr(last, "activation", None), "name", None)
        apart = activation in _TAKEN_IN_BY_LOSSES and hasattr(last, "pre_activation")
        #: The last activation's name, where a loss may take it in: "sigmoid" or "softmax".
        self.final_activation: str | None = activation if apart else None
        self._final_layer = last if apart else None
        body = self.layers[:-1] if apart else self.layers
        #: What runs before the final layer, if there is one.
        self.operations: list[fusion.Operation] = fusion.fuse(body) if fuse else list(body)
        #: Layers of a user's own, which may return any array.
        self._foreign = {one for one in (*self.operations, last) if _is_foreign(one)}
        self._gradient_needs = self._plan_gradient_needs()
        self._overwriting = self._plan_overwriting()

    def _plan_gradient_needs(self) -> list[GradientNeeds]:
        needs, trained_before, at_zeros = [], False, True
        for layer, trained in zip(self.layers, self._of_layer, strict=True):
            needs.append(GradientNeeds(layer, trained_before, at_zeros))
            trained_before = trained_before or bool(trained)
            at_zeros = fusion.passes_gradient_at_zeros(layer, at_zeros)
        return needs

    def _plan_overwriting(self) -> set[Layer]:
        """Return the layers that may write their input's gradient over the input."""
        final = [] if self._final_layer is None else [self._final_layer]
        operations = [*self.operations, *final]
        may = fusion.may_overwrite_inputs(operations)
        allowed = itertools.compress(operations, may)
        return {fusion.members(operation)[0] for operation in allowed}

    def fuses_loss(self, loss: Loss) -> bool:
        """Return whether `loss` takes the final activation in and is computed from logits."""
        return self.final_activation is not None and self.final_activation == loss.activation

    def forward(self, x: np.ndarray, training: bool = False, logits: bool = False) -> np.ndarray:
        """Return the output for a batch; it belongs to the last operation.

        `logits` leaves the final activation out; only where there is a `final_activation`.
        """
        for operation in self.operations:
            x = operation.call(x, training)
            if operation in self._foreign:
                x = _plain_array(x, operation, "call(x, training)")
        last = self._final_layer
        if last is None:
            return x
        x = last.pre_activation(x, training) if logits else last.call(x, training)
        return _plain_array(x, last, "call(x, training)") if last in self._foreign else x

    def activate(self, logits: np.ndarray) -> np.ndarray:
        """Return the model's output for `logits` that `forward` gave, as a new array."""
        assert self._final_layer is not None, "logits come from a final layer"
        out = np.empty_like(logits)
        self._final_layer.activation.forward(logits, out)
        return out

    def backward(self, dy: np.ndarray, logits: bool = False) -> None:
        """Fill every trained parameter's gradient from that of the output (or of the logits)."""
        # For the backward pass alone: a layer may be part of another model, or used by hand.
        for layer, input_gradient, at_zeros in self._gradient_needs:
            layer.needs_input_gradient = input_gradient
            layer.needs_gradient_at_zeros = at_zeros
        try:
            self._through_operations(dy, logits)
        finally:
            for layer in self.layers:
                layer.needs_input_gradient = layer.needs_gradient_at_zeros = True

    def _through_operations(self, dy: np.ndarray, logits: bool) -> None:
        gradient: np.ndarray | None = dy
        last = self._final_layer
        if last is not None:
            backward = last.pre_activation_backward if logits else last.backward
            gradient = self._backward(last, backward, dy)
        for operation in reversed(self.operations):
            if gradient is None:
                # Nothing before a layer that was spared its input's gradient is trained.
                return
            gradient = self._backward(operation, operation.backward, gradient)

    def _backward(
        self, operation: Any, backward: Callable[[np.ndarray], Any], dy: np.ndarray
    ) -> np.ndarray | None:
        """Go back through one operation, the only time its input may be overwritten."""
        layer = fusion.members(operation)[0]
        layer.may_overwrite_input = layer in self._overwriting
        try:
            dx: np.ndarray | None = backward(dy)
        finally:
            layer.may_overwrite_input = False
        if operation in self._foreign and not (dx is None and not operation.needs_input_gradient):
            dx = _plain_array(dx, operation, "backward(dy)")
        return dx


class ExecutorCache:
    """The executor of a model's layers as they are, made anew only when they have changed."""

    def __init__(self) -> None:
        self._executor: Executor | None = None
        self._made_from: list[Any] = []
        self._seen_at: object = None  # the revision for which that was last compared

    def __reduce__(self) -> tuple[type[ExecutorCache], tuple[()]]:
        return ExecutorCache, ()  # a copy's layers are others

    def get(self, layers: Sequence[Layer], fuse: bool, trainable: bool) -> Executor:
        """Return the executor of `layers`, with whose options it would be made now."""
        executor, now = self._executor, revision.current()
        if (
            executor is not None
            and self._seen_at is now
            and executor.fuse is fuse
            and executor.layers == layers  # they are equal where they are the same
        ):
            return executor
        made_from = _all_read(layers, fuse, trainable)
        if executor is None or not _same(self._made_from, made_from):
            executor = Executor(layers, fuse, trainable)
        self._executor, self._made_from, self._seen_at = executor, made_from, now
        return executor


def _all_read(layers: Sequence[Layer], *options: Any) -> list[Any]:
    """Return all that an `Executor` of these layers reads when it is made."""
    parts: list[Any] = [*options, *layers]
    for layer in layers:
        parts += (layer, *layer.trainable_weights, getattr(layer, "activation", None))
    return parts


def _same(first: Sequence[Any], second: Sequence[Any]) -> bool:
    return len(first) == len(second) and all(map(operator.is_, first, second))


def _is_foreign(operation: fusion.Operation) -> bool:
    return type(operation).__module__.partition(".")[0] != __package__.partition(".")[0]


def _plain_array(array: Any, layer: Any, method: str) -> np.ndarray:
    """Return what a user's layer returned as the other layers take it, or raise TypeError."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in NUMBER_KINDS:
        found = str(array) if array is None or np.isscalar(array) else type(array).__name__
        if isinstance(array, np.ndarray):
            found = f"an array of {array.dtype}"
        owed = "" if method.startswith("call") else _OWED
        raise TypeError(
            f"{layer.owner}: {method} returned {found}; it must return an array of numbers, "
            f"(batch, ...){owed}"
        )
    return contiguous(array, np.float32)


_OWED = ", the input's gradient: layers before this one are trained"
