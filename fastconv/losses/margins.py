"""Losses of classes that are told apart by a margin."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import NumberLoss
from .regression import MeanOfTerms


class Hinge(MeanOfTerms):
    """The mean of max(1 - y_true y_pred, 0), of targets that are -1 and 1.

    Targets of which all are 0 or 1 are taken for -1 and 1.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def prepare(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return _signs(super().prepare(y_true, y_pred))

    def terms(self, targets: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        missing = np.maximum(1 - targets * predictions, 0)
        return missing, np.where(missing == 0, 0, -targets)


class SquaredHinge(MeanOfTerms):
    """The mean of max(1 - y_true y_pred, 0)**2, of the targets that `Hinge` takes."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "squared_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def prepare(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return _signs(super().prepare(y_true, y_pred))

    def terms(self, targets: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        missing = np.maximum(1 - targets * predictions, 0)
        return missing * missing, -2 * targets * missing


class CategoricalHinge(NumberLoss):
    """max(largest of the wrong classes - the right one + 1, 0), of one-hot targets."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def losses_and_gradient(
        self, targets: np.ndarray, predictions: np.ndarray, logits: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        right = (targets * predictions).sum(axis=-1, keepdims=True)
        others = (1 - targets) * predictions
        wrong = others.max(axis=-1, keepdims=True)
        losses = np.maximum(wrong - right + 1, 0)
        largest = others == wrong
        # Those that are equally large share the gradient.
        share = largest / np.maximum(largest.sum(axis=-1, keepdims=True), 1)
        gradient = np.where(losses == 0, 0, share * (1 - targets) - targets)
        return losses[..., 0], gradient


def _signs(targets: np.ndarray) -> np.ndarray:
    binary = bool(((targets == 0) | (targets == 1)).all())
    return 2 * targets - 1 if binary else targets
