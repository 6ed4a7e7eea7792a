"""Losses, their gradients, and the stable forms of a loss on logits.

Each loss is computed in float64 per sample (the mean along the last axis, or
minus the log-likelihood of the class), weighted, and averaged over the batch
as Keras does: the weighted sum is divided by the number of samples.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._core.json_values import Configured
from ._core.options import Option, truth
from ._core.validation import number_array, share, zero
from .ops import losses as kernels
from .utils import class_name, custom_object, describe, snake_case

EPSILON = np.float32(1e-7)
"""Probabilities are kept this far from 0 and 1, in float32, as Keras does."""


class Loss(Configured):
    """Base class of losses.

    A subclass defines `losses_and_gradient`, and `prepare` where targets are
    not numbers of the predictions' shape.  `activation` names the activation
    that the loss can take in with `logits=True`, if there is one.
    """

    activation: str | None = None

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name or snake_case(type(self).__name__)

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
        """Return the constructor's arguments; they fit JSON."""
        return {"name": self.name}

    __repr__ = describe


class MeanSquaredError(Loss):
    """The mean of (y_pred - y_true)**2 along the last axis."""

    def prepare(self, y_true, y_pred):
        targets = super().prepare(y_true, y_pred)
        _check_finite(targets, "the targets run", self.name)
        return targets

    def losses_and_gradient(self, targets, predictions, logits):
        difference = predictions - targets
        return np.mean(difference**2, axis=-1), difference * (2 / max(targets.shape[-1], 1))


class _CrossEntropy(Loss):
    """A cross-entropy, of probabilities or (`from_logits`) of logits."""

    from_logits = Option(truth)
    label_smoothing = Option(share)
    _activation: str | None = None

    @property
    def activation(self) -> str | None:
        """The activation to take in; none where the predictions are logits as they stand."""
        return None if self.from_logits else self._activation

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.from_logits, self.label_smoothing = from_logits, label_smoothing

    def check(self, y_true, shape, sample_weight=None, logits=False):
        if type(self).losses_and_gradient is not _CrossEntropy.losses_and_gradient:
            super().check(y_true, shape, sample_weight, logits)
            return
        # What can be wrong is found before the loss is computed.
        self.prepare(np.asarray(y_true), np.zeros(shape, np.float32))
        if sample_weight is not None:
            broadcast_weights(sample_weight, shape[:-1], self.name)

    def losses_and_gradient(self, targets, predictions, logits):
        if logits or self.from_logits:
            return self._of_logits(targets, predictions)
        return self._of_probabilities(targets, predictions)

    def _smoothed(self, targets, classes):
        smoothing = self.label_smoothing
        return targets * (1 - smoothing) + smoothing / classes if smoothing else targets

    def _of_logits(self, targets, logits):
        raise NotImplementedError

    def _of_probabilities(self, targets, probabilities):
        raise NotImplementedError

    def get_config(self):
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
        }


class BinaryCrossentropy(_CrossEntropy):
    """-t log p - (1 - t) log(1 - p), the mean along the last axis; p is a sigmoid of the logit.

    `label_smoothing` s moves targets to t (1 - s) + s / 2.
    """

    _activation = "sigmoid"

    def prepare(self, y_true, y_pred):
        targets = super().prepare(y_true, y_pred)
        low, high = kernels.extremes(targets) if targets.size else (0, 1)
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"{self.name}: the targets run from {low:g} to {high:g}; they must be from 0 to 1"
            )
        return self._smoothed(targets, 2)

    def _of_logits(self, targets, logits):
        return kernels.sigmoid_cross_entropy(logits, targets)

    def _of_probabilities(self, targets, probabilities):
        p, inside = _clip(probabilities)
        losses = -targets * np.log(p) - (1 - targets) * np.log1p(-p)
        gradient = inside * (p - targets) / (p * (1 - p))
        return losses.mean(axis=-1), gradient / max(targets.shape[-1], 1)


class CategoricalCrossentropy(_CrossEntropy):
    """-sum(t log p) along the last axis, of one-hot targets; p is a softmax of the logits.

    `label_smoothing` s moves targets to t (1 - s) + s / classes.
    """

    _activation = "softmax"

    def prepare(self, y_true, y_pred):
        self._check_classes(y_pred)
        if y_true.shape != y_pred.shape and y_true.size == y_pred[..., 0].size:
            raise ValueError(
                f"{self.name}: the targets have shape {y_true.shape} and the predictions "
                f"{y_pred.shape}; for class numbers use 'sparse_categorical_crossentropy'"
            )
        targets = super().prepare(y_true, y_pred)
        _check_finite(targets, "the targets run", self.name)
        return self._smoothed(targets, targets.shape[-1])

    def _check_classes(self, y_pred):
        if y_pred.shape[-1] < 2:
            raise ValueError(
                f"{self.name}: the predictions have shape {y_pred.shape}, one output, which is "
                "always 1 of 1; for two classes use 'binary_crossentropy' after a 'sigmoid'"
            )

    def _of_logits(self, targets, logits):
        return kernels.softmax_cross_entropy(logits, targets)

    def _of_probabilities(self, targets, probabilities):
        # Keras divides by the sum first, so that what need not be a softmax becomes one.
        total = probabilities.sum(axis=-1, keepdims=True, dtype=np.float64)
        p, inside = _clip(probabilities / total)
        losses = -(targets * np.log(p)).sum(axis=-1)
        pull = inside * targets / p
        along = (pull * p).sum(axis=-1, keepdims=True)
        return losses, (along - pull) / total


class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """`CategoricalCrossentropy` of class numbers from 0, (batch,) or (batch, 1)."""

    label_smoothing = Option(zero)  # one-hot targets are smoothed

    def __init__(self, from_logits: bool = False, *, name: str | None = None) -> None:
        super().__init__(from_logits, name=name)

    def prepare(self, y_true, y_pred):
        self._check_classes(y_pred)
        shape, classes = y_pred.shape[:-1], y_pred.shape[-1]
        if y_true.shape not in (shape, (*shape, 1)):
            hint = (
                "; for one-hot targets use 'categorical_crossentropy'"
                if y_true.shape == y_pred.shape
                else ""
            )
            raise ValueError(
                f"{self.name}: the targets have shape {y_true.shape} and the predictions "
                f"{y_pred.shape}; class numbers of shape {shape} are expected{hint}"
            )
        labels = y_true.reshape(shape)
        whole = labels.dtype.kind in "iub" or (
            labels.dtype.kind == "f"
            and bool((np.isfinite(labels) & (labels == np.floor(labels))).all())
        )
        if not whole:
            raise ValueError(f"{self.name}: the targets must be whole numbers, class numbers")
        numbers = labels.astype(np.int64, copy=False)
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < classes):
            raise ValueError(
                f"{self.name}: the class numbers run from {numbers.min()} to {numbers.max()}; "
                f"there are {classes} outputs, so they must be from 0 to {classes - 1}"
            )
        targets = np.zeros((numbers.size, classes))
        targets[np.arange(numbers.size), numbers.reshape(-1)] = 1
        return targets.reshape(y_pred.shape)

    def get_config(self):
        return {"name": self.name, "from_logits": self.from_logits}


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0
) -> np.ndarray:
    """Return the binary cross-entropy of each sample."""
    return _losses(BinaryCrossentropy(from_logits, label_smoothing), y_true, y_pred)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0
) -> np.ndarray:
    """Return the cross-entropy of each sample with one-hot targets."""
    return _losses(CategoricalCrossentropy(from_logits, label_smoothing), y_true, y_pred)


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False
) -> np.ndarray:
    """Return the cross-entropy of each sample with class numbers."""
    return _losses(SparseCategoricalCrossentropy(from_logits), y_true, y_pred)


def mean_squared_error(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the mean squared error of each sample."""
    return _losses(MeanSquaredError(), y_true, y_pred)


def get(identifier: Any) -> Loss:
    """Return the loss of a name, a function of this module, a config or itself.

    Raises ValueError for an unknown name and TypeError for anything else.
    """
    if isinstance(identifier, Loss):
        return identifier
    config = {}
    name = identifier
    if isinstance(identifier, dict):
        name, config = identifier.get("class_name"), identifier.get("config") or {}
    elif isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    elif callable(identifier) and globals().get(getattr(identifier, "__name__", "")) is identifier:
        name = identifier.__name__
    if not isinstance(name, str):
        raise TypeError(
            f"losses: {identifier!r} is no loss; give a name ({', '.join(_NAMES)}) or a Loss, "
            "which knows its gradient"
        )
    found = custom_object(name) or _NAMES.get(_SHORT.get(name.lower(), snake_case(name)))
    if found is None:
        raise ValueError(f"losses: unknown loss {name!r}; known are {', '.join(_NAMES)}")
    return found(**config)


def serialize(loss: Loss) -> dict[str, Any]:
    """Return {"class_name", "config"}, which `get` turns into the same loss again."""
    known = {cls.__name__: cls for cls in _NAMES.values()}
    return {"class_name": class_name(loss, known), "config": loss.get_config()}


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
    _check_finite(weights, "sample_weight runs", owner)
    fitted = match_rank(weights, shape)
    if fitted.ndim < len(shape):
        fitted = fitted.reshape(*fitted.shape, *(1,) * (len(shape) - fitted.ndim))
    try:
        return np.broadcast_to(fitted, shape)
    except ValueError:
        accepted = " or ".join(map(str, dict.fromkeys((shape[:1], shape))))
        raise ValueError(
            f"{owner}: sample_weight has shape {weights.shape}; {accepted} is expected"
        ) from None


def _check_finite(values: np.ndarray, what: str, owner: str) -> None:
    """Refuse float64 values that would make the loss, and then every weight, NaN."""
    low, high = kernels.extremes(values) if values.size else (0.0, 0.0)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{owner}: {what} from {low:g} to {high:g}; finite numbers are needed")


def _losses(loss: Loss, y_true: Any, y_pred: Any) -> np.ndarray:
    predictions = np.asarray(y_pred, np.float32)
    targets = loss.prepare(np.asarray(y_true), predictions)
    return loss.losses_and_gradient(targets, predictions, logits=False)[0].astype(np.float32)


def _clip(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities within float32's [EPSILON, 1 - EPSILON] and where they already were."""
    low, high = float(EPSILON), float(np.float32(1) - EPSILON)
    p = probabilities.astype(np.float64)
    return np.clip(p, low, high), (p >= low) & (p <= high)


_NAMES: dict[str, type[Loss]] = {
    snake_case(cls.__name__): cls
    for cls in (
        BinaryCrossentropy,
        CategoricalCrossentropy,
        SparseCategoricalCrossentropy,
        MeanSquaredError,
    )
}
_SHORT = {"mse": "mean_squared_error", "bce": "binary_crossentropy"}
