"""Losses of probabilities that are targets themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import EPSILON, NumberLoss


class KLDivergence(NumberLoss):
    """sum(y_true log(y_true / y_pred)) along the last axis, of numbers from 1e-7 to 1."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "kl_divergence",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def losses_and_gradient(
        self, targets: np.ndarray, predictions: np.ndarray, logits: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        low = float(EPSILON)
        target = np.clip(targets, low, 1)
        predicted = np.clip(predictions.astype(np.float64, copy=False), low, 1)
        losses = (target * np.log(target / predicted)).sum(axis=-1)
        outside = (predictions < low) | (predictions > 1)
        return losses, np.where(outside, 0, -target / predicted)
