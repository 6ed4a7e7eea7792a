"""Areas under curves, from counts at many thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import activations
from .._core.options import Once
from .._core.validation import (
    finite,
    fraction,
    integer,
    one_of,
    optional,
    positive_integer,
    truth,
    wrong_type,
    wrong_value,
)
from ..losses.base import broadcast_weights
from .base import Metric, divide, fitting

_MOST_THRESHOLDS = 1_000_000


def _number_of_thresholds(value: Any, argument: str, owner: str) -> int:
    if not 2 <= integer(value, argument, owner) <= _MOST_THRESHOLDS:
        condition = f"at least 2 and at most {_MOST_THRESHOLDS}"
        raise wrong_value(value, argument, owner, condition)
    return int(value)


def _numbers(check: Any) -> Any:
    def checked(value: Any, argument: str, owner: str) -> list[float]:
        if not np.iterable(value) or isinstance(value, str):
            raise wrong_type(value, argument, owner, "a list of numbers")
        return [float(check(one, argument, owner)) for one in value]

    return checked


def _any_case(*words: str) -> Any:
    check = one_of(*words)

    def checked(value: Any, argument: str, owner: str) -> str:
        cases = {word.lower(): word for word in words}
        known = cases.get(value.lower()) if isinstance(value, str) else None
        return check(value if known is None else known, argument, owner)

    return checked


class AUC(Metric):
    """Area under the ROC curve, or that of precision over recall ("PR"), or its gain ("PRGAIN").

    From counts at `num_thresholds` evenly spaced thresholds, or at `thresholds`.
    Predictions are probabilities, or logits (`from_logits`); beyond [0, 1] they
    are taken as 0 or 1. With `multi_label` each output has a curve of its own,
    and their areas are averaged, by `label_weights` if they are given; without
    it these weigh the outputs' predictions. A NaN makes it NaN.
    """

    larger_is_better = True
    num_thresholds = Once(_number_of_thresholds)
    curve = Once(_any_case("ROC", "PR", "PRGAIN"))
    summation_method = Once(_any_case("interpolation", "majoring", "minoring"))
    thresholds = Once(optional(_numbers(fraction)))
    multi_label = Once(truth)
    num_labels = Once(optional(positive_integer))
    label_weights = Once(optional(_numbers(finite)))
    from_logits = Once(truth)

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(dtype, name)
        self.thresholds = thresholds
        self.num_thresholds = num_thresholds if thresholds is None else len(self.thresholds) + 2
        self.curve, self.summation_method = curve, summation_method
        self.multi_label, self.num_labels = multi_label, num_labels
        self.label_weights, self.from_logits = label_weights, from_logits
        if num_labels is not None and not multi_label:
            remedy = "or give multi_label=True"
            raise wrong_value(num_labels, "num_labels", self.name, "left out", remedy)
        #: Negatives and positives, by threshold and label; made with the first batch.
        self._counts: np.ndarray | None = None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; `sample_weight` is (batch,) or of the predictions' shape."""
        # Thresholds are compared in float32: what lies on one must fall where Keras puts it.
        y_pred = np.asarray(y_pred, np.float32)
        if self.from_logits:
            y_pred = activations.sigmoid(y_pred)
        targets, predictions = fitting(self.name, y_true, y_pred)
        weights = np.ones(1) if sample_weight is None else sample_weight
        weights = broadcast_weights(weights, predictions.shape, self.name)
        labels = self._labels(predictions.shape)
        if self.label_weights is not None and not self.multi_label:
            weights = weights * np.asarray(self.label_weights)
        if self._counts is None:
            self._counts = np.zeros((2, self.num_thresholds, labels))
        if np.isnan(predictions).any():
            self._counts.fill(np.nan)
            return
        buckets = self._buckets(predictions) * labels
        if labels > 1:
            buckets += np.arange(labels)
        for row, chosen in enumerate((targets == 0, targets != 0)):
            self._counts[row] += np.bincount(
                buckets[chosen], weights[chosen], minlength=self.num_thresholds * labels
            ).reshape(self.num_thresholds, labels)

    def _labels(self, shape: tuple[int, ...]) -> int:
        """Return how many labels have a curve of their own, or raise ValueError."""
        outputs = shape[-1] if len(shape) > 1 else 1
        if self.multi_label and len(shape) < 2:
            raise ValueError(
                f"{self.name}: the predictions have shape {shape}; with multi_label they must be "
                "(batch, labels)"
            )
        if self.num_labels not in (None, outputs):
            raise ValueError(
                f"{self.name}: num_labels is {self.num_labels}; the predictions have shape {shape}"
            )
        if self.label_weights is not None and len(self.label_weights) != outputs:
            raise ValueError(
                f"{self.name}: label_weights has {len(self.label_weights)} numbers; the "
                f"predictions have shape {shape}"
            )
        if self._counts is not None and self.multi_label and self._counts.shape[-1] != outputs:
            raise ValueError(
                f"{self.name}: the predictions have shape {shape}; there were "
                f"{self._counts.shape[-1]} labels before"
            )
        return outputs if self.multi_label else 1

    def _buckets(self, predictions: np.ndarray) -> np.ndarray:
        """Return the number of the last threshold that each prediction is above."""
        inside = np.clip(predictions, 0, 1)
        if self.thresholds is None:
            steps = np.float32(self.num_thresholds - 1)
            return np.asarray(np.maximum(np.ceil(inside * steps) - 1, 0), np.int64)
        limits = np.sort(np.asarray(self.thresholds, np.float32))
        # Before these is one that all are above.
        return np.asarray(np.searchsorted(limits, inside, side="left"))

    def result(self) -> float:
        if self._counts is None:
            return 0.0
        # A row for each threshold: how many negatives and positives are above it.
        false_positives, true_positives = self._counts[:, ::-1].cumsum(axis=1)[:, ::-1]
        positives, negatives = true_positives[:1], false_positives[:1]
        recall = divide(true_positives, positives)
        if self.curve == "ROC":
            areas = self._area(divide(false_positives, negatives), recall)
        elif self.curve == "PRGAIN":
            gains = _gains(true_positives, false_positives)
            areas = self._area(*gains)
        elif self.summation_method == "interpolation":
            areas = _interpolated(true_positives, false_positives)
        else:
            areas = self._area(recall, divide(true_positives, true_positives + false_positives))
        if self.multi_label and self.label_weights is not None:
            weights = np.asarray(self.label_weights)
            return float(divide((areas * weights).sum(), weights.sum()))
        return float(areas.mean())

    def _area(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        heights = {
            "interpolation": lambda: (y[:-1] + y[1:]) / 2,
            "majoring": lambda: np.maximum(y[:-1], y[1:]),
            "minoring": lambda: np.minimum(y[:-1], y[1:]),
        }[self.summation_method]()
        area: np.ndarray = ((x[:-1] - x[1:]) * heights).sum(axis=0)
        return area

    def reset_state(self) -> None:
        self._counts = None

    def get_config(self) -> dict[str, Any]:
        own = {
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self.label_weights,
            "from_logits": self.from_logits,
        }
        given = {} if self.thresholds is None else {"thresholds": self.thresholds}
        return {**super().get_config(), **own, **given}


def _gains(true_positives: np.ndarray, false_positives: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the gains of recall and precision, as Keras defines them where they diverge."""
    positives, negatives = true_positives[:1], false_positives[:1]
    scale = divide(positives, negatives)
    recall = 1 - scale * divide(positives - true_positives, true_positives)
    precision = 1 - scale * divide(false_positives, true_positives)
    none = true_positives == 0
    return np.maximum(np.where(none, 0, recall), 0), np.where(none, 1, precision)


def _interpolated(true_positives: np.ndarray, false_positives: np.ndarray) -> np.ndarray:
    """Return the area under precision over recall, after Davis and Goadrich (2006)."""
    predicted = true_positives + false_positives
    before, after = predicted[:-1], predicted[1:]
    found = true_positives[:-1] - true_positives[1:]
    slope = divide(found, np.maximum(before - after, 0))
    intercept = true_positives[1:] - slope * after
    both = (before > 0) & (after > 0)
    ratio = np.where(both, divide(before, after), 1.0)
    gain = slope * (found + intercept * np.log(ratio))
    area: np.ndarray = divide(gain, true_positives[:1]).sum(axis=0)
    return area
