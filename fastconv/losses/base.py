"""What a loss is: targets are prepared, each sample's loss computed, and the batch's mean taken."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._core.json_values import Configured
from .._core.naming import describe, snake_case
from .._core.validation import number_array
from ..ops import losses as kernels


class Loss(Configured):
    """Base class of losses.

    A subclass defines `losses_and_gradient`, and `prepare` where targets are
    not numbers of the predictions' shape.  `activation` names the activation
    that the loss can take in with `logits=True`, if there is one.
    """

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name or snake_case(type(self).__name__)

    @property
    def activation(self) -> str | None:
        """The activation to take in, if there is one."""
        return None

    def prepare(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the targets in the form that `losses_and_gradient` takes, or raise."""
        targets = match_rank(y_true, y_pred.shape)
        if targets.shape != y_pred.shape:
            raise ValueError(
                f"{self.name}: the targets have shape {y_true.shape} and the predictions "
                f"{y_pred.shape}; they must be the same"
            )
        return targets.astype(np.float64, copy=False)

    def losses_and_gradient(
        self, targets: np.ndarray, predictions: np.ndarray, logits: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the losses (the predictions' shape less the last axis) and each one's gradient.

        Float64; the gradient has the predictions' shape.  With `logits` the
        predictions are what `activation` would have been applied to.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define losses_and_gradient")

    def value_and_gradient(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any = None,
        *,
        logits: bool = False,
        out: np.ndarray | None = None,
    ) -> tuple[float, np.ndarray]:
        """Return the mean loss of a batch and its gradient, float32 of `y_pred`'s shape.

        `sample_weight` is (batch,) or has the losses' shape.  With
        `logits=True` `y_pred` holds logits and the gradient is theirs.  The
        gradient is written to `out` if it is given.

        Raises ValueError where shapes or labels do not fit, and where labels
        or weights are not finite.
        """
        y_pred = np.asarray(y_pred)
        if y_pred.dtype.kind != "f":
            y_pred = y_pred.astype(np.float32)
        if y_pred.ndim == 0:
            raise ValueError(f"{self.name}: the predictions are one number; give a batch")
        targets = self.prepare(np.asarray(y_true), y_pred)
        losses, gradients = self.losses_and_gradient(targets, y_pred, logits)
        if losses.shape != y_pred.shape[:-1] or gradients.shape != y_pred.shape:
            raise ValueError(
                f"{self.name}: losses_and_gradient returned the shapes {losses.shape} and "
                f"{gradients.shape}; {y_pred.shape[:-1]} and {y_pred.shape} are expected"
            )
        weights = None
        if sample_weight is not None:
            weights = broadcast_weights(sample_weight, losses.shape, self.name)
        mean, gradient = kernels.mean_loss(losses, weights, gradients)
        if out is None:
            return mean, gradient
        out[...] = gradient
        return mean, out

    def check(
        self, y_true: Any, shape: tuple[int, ...], sample_weight: Any = None, logits: bool = False
    ) -> None:
        """Raise what `value_and_gradient` would raise for every prediction of `shape`."""
        predictions = np.zeros(shape, np.float32)
        self.value_and_gradient(y_true, predictions, sample_weight, logits=logits)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Return the mean loss of a batch."""
        return self.value_and_gradient(y_true, y_pred, sample_weight)[0]

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    __repr__ = describe


def match_rank(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return `array` with a last axis of 1 added or dropped if that makes its rank `shape`'s."""
    if array.ndim + 1 == len(shape) and shape[-1] == 1:
        return array[..., None]
    if array.ndim == len(shape) + 1 and array.shape[-1] == 1:
        return array[..., 0]
    return array


def broadcast_weights(sample_weight: Any, shape: tuple[int, ...], owner: str) -> np.ndarray:
    """Return the weights, float64, for values of `shape`; (batch,) weighs whole samples."""
    weights = number_array(sample_weight, "sample_weight", owner).astype(np.float64, copy=False)
    check_finite(weights, "sample_weight runs", owner)
    fitted = match_rank(weights, shape)
    if fitted.ndim < len(shape):
        fitted = fitted.reshape(*fitted.shape, *(1,) * (len(shape) - fitted.ndim))
    try:
        return np.broadcast_to(fitted, shape)
    except ValueError:
        accepted = " or ".join(map(str, dict.fromkeys((shape[:1], shape))))
        raise ValueError(
            f"{owner}: sample_weight has shape {weights.shape}; it must be {accepted}"
        ) from None


def check_finite(values: np.ndarray, what: str, owner: str) -> None:
    """Refuse float64 values that would make the loss, and then every weight, NaN."""
    low, high = kernels.extremes(values) if values.size else (0.0, 0.0)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{owner}: {what} from {low:g} to {high:g}; they must be finite")
