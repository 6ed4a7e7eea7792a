"""Counts of right and wrong answers above thresholds, and shares of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.options import Once
from .._core.validation import fraction, natural, optional, positive_integer, wrong_type
from ..losses.base import broadcast_weights
from .base import Metric, divide, fitting

_ANY = -1e10
"""The threshold that all of the `top_k` largest predictions are above."""


def _thresholds(value: Any, argument: str, owner: str) -> Any:
    if value is None or not np.iterable(value):
        return optional(fraction)(value, argument, owner)
    if isinstance(value, str) or not list(value):
        raise wrong_type(value, argument, owner, "a number from 0 to 1, or several")
    return [fraction(one, argument, owner) for one in value]


class Counting(Metric):
    """Counts predictions above each threshold, of targets that are 0 and of others.

    A subclass's `result` is made of them: a number, or an array for several thresholds.
    """

    thresholds = Once(_thresholds)
    top_k = Once(optional(positive_integer))
    class_id = Once(optional(natural))

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        self.thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        given = (0.5 if top_k is None else _ANY) if thresholds is None else self.thresholds
        # Compared in float32, as in Keras.
        self._limits = np.atleast_1d(np.asarray(given, np.float32))
        shape = self._limits.shape
        self.true_positives = self.add_variable(shape, name="true_positives")
        self.false_positives = self.add_variable(shape, name="false_positives")
        self.true_negatives = self.add_variable(shape, name="true_negatives")
        self.false_negatives = self.add_variable(shape, name="false_negatives")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; `sample_weight` is (batch,) or of the predictions' shape."""
        targets, predictions = fitting(self.name, y_true, y_pred)
        weights = None
        if sample_weight is not None:
            weights = broadcast_weights(sample_weight, predictions.shape, self.name)
        if self.top_k is not None:
            predictions = _only_largest(predictions, self.top_k)
        if self.class_id is not None:
            if predictions.ndim < 2 or self.class_id >= predictions.shape[-1]:
                raise ValueError(
                    f"{self.name}: class_id is {self.class_id}; the predictions have shape "
                    f"{predictions.shape}"
                )
            targets, predictions = targets[..., self.class_id], predictions[..., self.class_id]
            weights = None if weights is None else weights[..., self.class_id]
        above, totals = count_above(targets, predictions, self._limits, weights)
        self.false_positives.assign_add(above[0])
        self.true_positives.assign_add(above[1])
        self.true_negatives.assign_add(totals[0] - above[0])
        self.false_negatives.assign_add(totals[1] - above[1])

    def _one_or_all(self, values: Any) -> Any:
        values = np.asarray(values)
        return float(values[0]) if len(values) == 1 else values

    def get_config(self) -> dict[str, Any]:
        own = {"thresholds": self.thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **own}


class Precision(Counting):
    """The share of ones among what is predicted to be one: above `thresholds`, 0.5 by default.

    With `top_k` only the k largest predictions of a sample count as ones, with
    `class_id` only that output is looked at. Nothing predicted is 0.
    """

    larger_is_better = True

    def result(self) -> Any:
        predicted = self.true_positives + self.false_positives
        return self._one_or_all(divide(self.true_positives, predicted))


class Recall(Counting):
    """The share of ones that are predicted to be: above `thresholds`, 0.5 by default.

    With `top_k` only the k largest predictions of a sample count as ones, with
    `class_id` only that output is looked at. No ones at all is 0.
    """

    larger_is_better = True

    def result(self) -> Any:
        ones = self.true_positives + self.false_negatives
        return self._one_or_all(divide(self.true_positives, ones))


class _Count(Counting):
    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(thresholds, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "thresholds": self.thresholds}


class TruePositives(_Count):
    """How many ones are predicted to be: above `thresholds`, 0.5 by default."""

    larger_is_better = True

    def result(self) -> Any:
        return self._one_or_all(self.true_positives)


class FalsePositives(_Count):
    """How many zeros are predicted to be ones: above `thresholds`, 0.5 by default."""

    larger_is_better = False

    def result(self) -> Any:
        return self._one_or_all(self.false_positives)


class TrueNegatives(_Count):
    """How many zeros are predicted to be: not above `thresholds`, 0.5 by default."""

    larger_is_better = True

    def result(self) -> Any:
        return self._one_or_all(self.true_negatives)


class FalseNegatives(_Count):
    """How many ones are predicted to be zeros: not above `thresholds`, 0.5 by default."""

    larger_is_better = False

    def result(self) -> Any:
        return self._one_or_all(self.false_negatives)


def count_above(
    targets: np.ndarray, predictions: np.ndarray, limits: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many targets that are 0, and others, have a prediction above each limit.

    (2, limits) float64, weighed; and how many there are. NaN is above none.
    """
    order = np.argsort(limits, kind="stable")
    flat = np.asarray(predictions, np.float32).reshape(-1)
    # A prediction's bucket is the number of limits that it is above.
    buckets = np.searchsorted(limits[order], flat, side="left")
    buckets[np.isnan(flat)] = 0
    buckets += (targets.reshape(-1) != 0) * (len(limits) + 1)
    flat_weights = None if weights is None else weights.reshape(-1)
    counts = np.bincount(buckets, flat_weights, minlength=2 * (len(limits) + 1))
    tails = counts.reshape(2, -1).astype(np.float64)[:, ::-1].cumsum(axis=1)[:, ::-1]
    above = np.empty((2, len(limits)))
    above[:, order] = tails[:, 1:]
    return above, tails[:, 0]


def _only_largest(predictions: np.ndarray, k: int) -> np.ndarray:
    """Return predictions in which all but the `k` largest, the first of equals, are below all."""
    order = np.argsort(-predictions, axis=-1, kind="stable")
    kept = np.full(predictions.shape, 2 * _ANY, np.float32)
    largest = order[..., :k]
    values = np.take_along_axis(predictions, largest, axis=-1)
    np.put_along_axis(kept, largest, values.astype(np.float32), axis=-1)
    return kept
