"""Losses of numbers: how far predictions are from their targets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._core.options import Option
from .._core.validation import above_zero, integer
from .base import EPSILON, NumberLoss

_EPSILON = float(EPSILON)


class MeanOfTerms(NumberLoss):
    """A mean along the last axis; a subclass defines `terms`, and each one's slope."""

    def terms(self, targets: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return each value's part of the loss and its derivative by the prediction, float64."""
        raise NotImplementedError

    def losses_and_gradient(
        self, targets: np.ndarray, predictions: np.ndarray, logits: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            terms, slopes = self.terms(targets, predictions.astype(np.float64, copy=False))
        number = max(targets.shape[-1], 1)
        return terms.sum(axis=-1) / number, slopes / number


class MeanSquaredError(MeanOfTerms):
    """The mean of (y_pred - y_true)**2 along the last axis."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_squared_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def terms(self, targets: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        difference = predictions - targets
        return difference * difference, 2 * difference


class MeanAbsoluteError(MeanOfTerms):
    """The mean of |y_pred - y_true| along the last axis; the gradient of none is 0."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_absolute_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def terms(self, targets: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        difference = predictions - targets
        return np.abs(difference), np.sign(difference)


class MeanAbsolutePercentageError(MeanOfTerms):
    """100 times the mean of |y_pred - y_true| / |y_true|, of which 1e-7 is the least."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def terms(self, targets: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        difference = predictions - targets
        scale = 100 / np.maximum(np.abs(targets), _EPSILON)
        return np.abs(difference) * scale, np.sign(difference) * scale


class MeanSquaredLogarithmicError(MeanOfTerms):
    """The mean of (log(y_pred + 1) - log(y_true + 1))**2, of numbers of at least 1e-7."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def terms(self, targets: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        predicted = np.maximum(predictions, _EPSILON)
        difference = np.log1p(predicted) - np.log1p(np.maximum(targets, _EPSILON))
        slopes = 2 * difference / (1 + predicted)
        return difference * difference, np.where(predictions <= _EPSILON, 0, slopes)


class Huber(MeanOfTerms):
    """The mean of difference**2 / 2, beyond `delta` of delta (|difference| - delta / 2)."""

    delta = Option(above_zero)

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.delta = delta

    def terms(self, targets: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        difference = predictions - targets
        slopes = np.clip(difference, -self.delta, self.delta)
        # difference**2 / 2 within delta, where the slope is the difference.
        return slopes * (difference - slopes / 2), slopes

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "delta": self.delta}


class LogCosh(MeanOfTerms):
    """The mean of log(cosh(y_pred - y_true))."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "log_cosh",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def terms(self, targets: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        difference = predictions - targets
        size = np.abs(difference)
        return size + np.log1p(np.exp(-2 * size)) - math.log(2), np.tanh(difference)


class Poisson(MeanOfTerms):
    """The mean of y_pred - y_true log(y_pred + 1e-7)."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "poisson",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def terms(self, targets: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        predicted = predictions + _EPSILON
        return predictions - targets * np.log(predicted), 1 - targets / predicted


class CosineSimilarity(NumberLoss):
    """Minus the cosine of the angle between targets and predictions along `axis`.

    Vectors shorter than 1e-7 have no direction, and no gradient.
    """

    axis = Option(integer)

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.axis = axis

    def losses_and_gradient(
        self, targets: np.ndarray, predictions: np.ndarray, logits: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        target, _ = _direction(targets)
        direction, inverse = _direction(predictions.astype(np.float64, copy=False))
        cosine = (target * direction).sum(axis=-1, keepdims=True)
        gradient = np.where(inverse < 1 / _EPSILON, (direction * cosine - target) * inverse, 0)
        return -cosine[..., 0], gradient

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


def _direction(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors of length 1 and by what they were multiplied."""
    length = np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True))
    inverse = 1 / np.maximum(length, _EPSILON)
    return vectors * inverse, inverse
