"""Accuracies: how often a prediction is right."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.options import Option
from .._core.validation import finite, positive_integer, truth
from .base import Metric, fitting, mismatch
from .reductions import MeanMetric


class Accuracy(MeanMetric):
    """The share of predictions that are equal to their targets, number by number."""

    larger_is_better = True

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        targets, predictions = fitting(self.name, y_true, y_pred)
        return np.asarray(np.equal(targets, predictions))


class BinaryAccuracy(MeanMetric):
    """The share of predictions on the target's side of `threshold`; exactly on it counts as 0.

    A target between 0 and 1, as mixup makes them, counts as the nearer of the two (in Keras no
    prediction is ever right there).
    """

    larger_is_better = True
    threshold = Option(finite)

    def __init__(
        self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ) -> None:
        super().__init__(name, dtype)
        self.threshold = threshold

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        targets, predictions = fitting(self.name, y_true, y_pred)
        between = (targets > 0) & (targets < 1)
        if between.any():
            targets = np.where(between, targets > 0.5, targets)
        return np.asarray(np.equal(predictions > self.threshold, targets))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


class CategoricalAccuracy(MeanMetric):
    """The share of samples whose largest prediction is that of the one-hot target."""

    larger_is_better = True

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        if y_true.shape != y_pred.shape:
            raise mismatch(self.name, y_true, y_pred)
        return np.asarray(np.equal(y_true.argmax(axis=-1), y_pred.argmax(axis=-1)))


class SparseCategoricalAccuracy(MeanMetric):
    """The share of samples whose largest prediction is that of the target's class number."""

    larger_is_better = True

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return np.asarray(
            np.equal(_class_numbers(self.name, y_true, y_pred), y_pred.argmax(axis=-1))
        )


class TopKCategoricalAccuracy(MeanMetric):
    """The share of samples where less than `k` predictions are above the one-hot target's."""

    larger_is_better = True
    k = Option(positive_integer)

    def __init__(
        self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None
    ) -> None:
        super().__init__(name, dtype)
        self.k = k

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        if y_true.shape != y_pred.shape:
            raise mismatch(self.name, y_true, y_pred)
        return _in_top(y_true.argmax(axis=-1), y_pred, self.k)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k}


class SparseTopKCategoricalAccuracy(MeanMetric):
    """The share of samples where less than `k` predictions are above the class number's.

    With `from_sorted_ids` predictions are class numbers, the likeliest first.
    """

    larger_is_better = True
    k = Option(positive_integer)
    from_sorted_ids = Option(truth)

    def __init__(
        self,
        k: int = 5,
        name: str = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(name, dtype)
        self.k, self.from_sorted_ids = k, from_sorted_ids

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        numbers = _class_numbers(self.name, y_true, y_pred)
        if self.from_sorted_ids:
            return np.asarray(np.any(y_pred[..., : self.k] == numbers[..., None], axis=-1))
        return _in_top(numbers, y_pred, self.k)

    def get_config(self) -> dict[str, Any]:
        sorted_ids = {"from_sorted_ids": True} if self.from_sorted_ids else {}
        return {**super().get_config(), "k": self.k, **sorted_ids}


class AccuracyByShape(Metric):
    """Accuracy of the kind that the first batch's shapes ask for, as in Keras 3.

    Whatever the loss: one output is `BinaryAccuracy`; of several outputs, class
    numbers are `SparseCategoricalAccuracy`, and targets of the outputs' shape
    `CategoricalAccuracy`. For several answers of yes or no, each counted by
    itself, name "binary_accuracy".
    """

    larger_is_better = True

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self._metric: MeanMetric | None = None
        self._is_decided = False

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch."""
        metric = self._metric
        if metric is None or not self._is_decided:
            y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
            kind = _kind_by_shape(y_true.shape, y_pred.shape)
            if metric is None or type(metric) is not kind:
                metric = self._metric = kind(self.name)
            self._is_decided = True
        metric.update_state(y_true, y_pred, sample_weight)

    def result(self) -> float:
        return 0.0 if self._metric is None else self._metric.result()

    def reset_state(self) -> None:
        # The next data may be of another shape.
        self._is_decided = False
        if self._metric is not None:
            self._metric.reset_state()


def _kind_by_shape(target: tuple[int, ...], prediction: tuple[int, ...]) -> Any:
    if prediction[-1] == 1:
        return BinaryAccuracy
    if len(target) < len(prediction) or target[-1] == 1:
        return SparseCategoricalAccuracy
    return CategoricalAccuracy


def _class_numbers(owner: str, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    shape = y_pred.shape[:-1]
    if y_true.shape not in (shape, (*shape, 1)):
        raise mismatch(owner, y_true, y_pred)
    return y_true.reshape(shape)


def _in_top(numbers: np.ndarray, y_pred: np.ndarray, k: int) -> np.ndarray:
    """Whether fewer than `k` predictions are above that of a class, or are NaN; NaN never is."""
    classes = y_pred.shape[-1]
    known = (numbers >= 0) & (numbers < classes)
    places = np.where(known, numbers, 0).astype(np.int64)
    own = np.take_along_axis(y_pred, places[..., None], axis=-1)
    above = classes - np.count_nonzero(y_pred <= own, axis=-1)
    return np.asarray(known & (above < k) & ~np.isnan(own[..., 0]))


# The same of arrays: a float32 for each sample


def accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return 1 where a prediction equals its target, else 0."""
    return _of(Accuracy(), y_true, y_pred)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> np.ndarray:
    """Return 1 where a prediction is on its target's side of `threshold`, else 0."""
    return _of(BinaryAccuracy(threshold=threshold), y_true, y_pred)


def categorical_accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return 1 where the largest prediction is that of the one-hot target, else 0."""
    return _of(CategoricalAccuracy(), y_true, y_pred)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return 1 where the largest prediction is that of the class number, else 0."""
    return _of(SparseCategoricalAccuracy(), y_true, y_pred)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> np.ndarray:
    """Return 1 where the one-hot target is among the `k` largest predictions, else 0."""
    return _of(TopKCategoricalAccuracy(k), y_true, y_pred)


def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> np.ndarray:
    """Return 1 where the class number is among the `k` largest predictions, else 0."""
    metric = SparseTopKCategoricalAccuracy(k, from_sorted_ids=from_sorted_ids)
    return _of(metric, y_true, y_pred)


def _of(metric: MeanMetric, y_true: Any, y_pred: Any) -> np.ndarray:
    return np.asarray(metric.values(np.asarray(y_true), np.asarray(y_pred)), np.float32)
