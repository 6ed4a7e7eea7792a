"""F-scores: the harmonic mean of precision and recall, of each class."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.options import Once
from .._core.validation import above_zero, one_of, optional, real, wrong_value
from ..losses.base import EPSILON, broadcast_weights
from .base import Metric, as_rows, fitting


def _threshold(value: Any, argument: str, owner: str) -> float:
    if not 0 < real(value, argument, owner) <= 1:
        raise wrong_value(value, argument, owner, "above 0 and at most 1")
    return float(value)


class FBetaScore(Metric):
    """(1 + beta**2) precision recall / (beta**2 precision + recall), of each class.

    `average` makes one number of them: "macro" their mean, "weighted" that
    weighted by how often each class is there, "micro" the score of all
    predictions together; None gives an array. A prediction counts as a one
    above `threshold`; with None the largest of each sample does, so that a single
    output, as of a sigmoid, always does: give `threshold=0.5` there.
    Outputs of any rank are (samples, classes).
    """

    larger_is_better = True
    average = Once(optional(one_of("micro", "macro", "weighted")))
    beta = Once(above_zero)
    threshold = Once(optional(_threshold))

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        self.average, self.beta, self.threshold = average, beta, threshold
        #: Those found, those found wrongly, those not found; made with the first batch.
        self._counts: np.ndarray | None = None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; `sample_weight` is (batch,) or of the predictions' shape."""
        targets, predictions = fitting(self.name, y_true, y_pred)
        if predictions.ndim < 2:
            raise ValueError(
                f"{self.name}: the predictions have shape {predictions.shape}; they must be "
                "(batch, ..., classes)"
            )
        if self.threshold is None:
            largest = predictions.max(axis=-1, keepdims=True)
            # Where all are 0 none is the largest.
            ones = as_rows((predictions >= largest) & (np.abs(predictions) > 1e-9))
        else:
            ones = as_rows(predictions > self.threshold)
        truth = as_rows(targets.astype(np.float64))
        counts = np.stack((ones * truth, ones * (1 - truth), (1.0 - ones) * truth))
        if sample_weight is not None:
            weights = broadcast_weights(sample_weight, predictions.shape, self.name)
            counts = counts * as_rows(weights)
        sums = counts.sum(axis=1)
        if self.average == "micro":
            sums = sums.sum(axis=1, keepdims=True)
        if self._counts is not None and self._counts.shape != sums.shape:
            raise ValueError(
                f"{self.name}: the predictions have shape {predictions.shape}; there were "
                f"{self._counts.shape[1]} classes before"
            )
        self._counts = sums if self._counts is None else self._counts + sums

    def result(self) -> Any:
        if self._counts is None:
            return 0.0
        found, wrongly, missed = self._counts
        epsilon = float(EPSILON)
        precision = found / (found + wrongly + epsilon)
        recall = found / (found + missed + epsilon)
        square = self.beta**2
        scores = (1 + square) * precision * recall / (square * precision + recall + epsilon)
        if self.average is None:
            return scores
        if self.average == "weighted":
            there = found + missed
            return float((scores * (there / (there.sum() + epsilon))).sum())
        return float(scores.mean())

    def reset_state(self) -> None:
        self._counts = None

    def get_config(self) -> dict[str, Any]:
        own = {"average": self.average, "beta": self.beta, "threshold": self.threshold}
        return {**super().get_config(), **own}


class F1Score(FBetaScore):
    """2 precision recall / (precision + recall), of each class; see `FBetaScore`."""

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["beta"]
        return config
