"""Losses of numbers: how far predictions are from their targets."""

from __future__ import annotations

import numpy as np

from .base import Loss, check_finite


class MeanSquaredError(Loss):
    """The mean of (y_pred - y_true)**2 along the last axis."""

    def prepare(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        targets = super().prepare(y_true, y_pred)
        check_finite(targets, "the targets run", self.name)
        return targets

    def losses_and_gradient(
        self, targets: np.ndarray, predictions: np.ndarray, logits: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        difference = predictions - targets
        return np.mean(difference**2, axis=-1), difference * (2 / max(targets.shape[-1], 1))
