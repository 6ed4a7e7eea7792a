"""Metrics of numbers that are no mean of a loss."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from .._core.options import Once
from .._core.validation import natural, one_of, optional
from ..losses.base import broadcast_weights
from .base import Metric, as_rows, fitting
from .reductions import MeanMetric


class RootMeanSquaredError(MeanMetric):
    """The root of the mean of (y_pred - y_true)**2 over all samples."""

    larger_is_better = False

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        targets, predictions = fitting(self.name, y_true, y_pred)
        difference = predictions - targets.astype(np.float64)
        return np.asarray(difference * difference)

    def result(self) -> float:
        return math.sqrt(super().result())


class R2Score(Metric):
    """1 - (sum of squared errors) / (sum of squared distances from the targets' mean).

    Of each output; `class_aggregation` makes one number of them: their
    "uniform_average", a "variance_weighted_average", or None for an array. With
    `num_regressors` it is adjusted for the number of independent predictors.
    """

    larger_is_better = True
    class_aggregation = Once(optional(one_of("uniform_average", "variance_weighted_average")))
    num_regressors = Once(natural)

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        #: Weights, targets, their squares, squared errors; made with the first batch.
        self._sums: np.ndarray | None = None
        self._samples = 0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; `sample_weight` is (batch,) or of the predictions' shape."""
        targets, predictions = fitting(self.name, y_true, y_pred)
        weights = np.ones(1) if sample_weight is None else sample_weight
        weights = broadcast_weights(weights, predictions.shape, self.name)
        columns = predictions.ndim > 1
        t, p, w = (
            as_rows(one) if columns else one[:, None]
            for one in (targets.astype(np.float64), predictions, weights)
        )
        sums = np.stack([one.sum(axis=0) for one in (w, w * t, w * t * t, w * (t - p) ** 2)])
        self._sums = sums if self._sums is None else self._sums + sums
        self._samples += t.size

    def result(self) -> Any:
        if self._sums is None:
            return 0.0
        count, total, squares, errors = self._sums
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = squares - total * (total / count)
            scores = 1 - errors / spread
            scores = np.where(np.isinf(scores), 0.0, scores)
            score: Any = scores
            if self.class_aggregation == "uniform_average":
                score = float(scores.mean())
            elif self.class_aggregation == "variance_weighted_average":
                score = float((spread * scores).sum() / spread.sum())
        if not self.num_regressors:
            return score
        freedom = self._samples - self.num_regressors - 1
        if freedom <= 0:
            warnings.warn(
                f"{self.name}: num_regressors is {self.num_regressors} and there are "
                f"{self._samples} values, too few to adjust the score, which is left as it is",
                stacklevel=2,
            )
            return score
        return 1 - (1 - score) * (self._samples - 1) / freedom

    def reset_state(self) -> None:
        self._sums, self._samples = None, 0

    def get_config(self) -> dict[str, Any]:
        own = {
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
        return {**super().get_config(), **own}
