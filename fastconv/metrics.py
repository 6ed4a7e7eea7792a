"""Metrics: what is reported of a model besides its loss."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ._core.json_values import Configured
from ._core.naming import describe, snake_case
from ._core.options import Once, Option
from ._core.registry import Registry
from ._core.validation import finite, integer, wrong_value
from .losses.base import broadcast_weights, match_rank

# Words, which single spaces or marks may join: "val accuracy", "top-5", "f1@0.5", "head/loss".
_NAME = re.compile(r"\w+(?:[ .@/+:=-]\w+)*")
_LONGEST_NAME = 100
_MOST_THRESHOLDS = 1_000_000


def is_name(name: Any) -> bool:
    """Whether `name` is made of words, as a metric's must be."""
    return isinstance(name, str) and len(name) <= _LONGEST_NAME and bool(_NAME.fullmatch(name))


def check_name(name: Any) -> str:
    """Return a metric's name if it is made of words.

    It becomes a column of tables, a part of files' names and a line on the
    screen, and may come out of a file of a stranger's. Raises ValueError.
    """
    if not is_name(name):
        raise ValueError(
            f"metrics: the name {str(name)[:_LONGEST_NAME]!r} is not made of words; give letters, "
            f"digits and '_', at most {_LONGEST_NAME}, such as 'accuracy' or 'top_5'"
        )
    return str(name)


class Metric(Configured):
    """Base class: `update` with each batch, `result` at any time, `reset` for a new epoch.

    `name`, made from the class's name unless given, is what the logs say; it
    must be made of words (`check_name`). `larger_is_better` says which way the
    metric gets better, for callbacks that look for the best epoch; None leaves
    it to their `mode=`.
    """

    larger_is_better: bool | None = None

    def __init__(self, name: str | None = None) -> None:
        self.name = check_name(name or snake_case(type(self).__name__))

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch."""
        raise NotImplementedError(f"{type(self).__name__} does not define update")

    def result(self) -> float:
        """Return the metric of what was taken in since the last `reset`."""
        raise NotImplementedError(f"{type(self).__name__} does not define result")

    def reset(self) -> None:
        """Forget every batch."""
        raise NotImplementedError(f"{type(self).__name__} does not define reset")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; they fit JSON."""
        return {"name": self.name}

    __repr__ = describe


class MeanMetric(Metric):
    """A weighted mean over samples; a subclass defines `values`."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.reset()

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return what is averaged, (batch, ...)."""
        raise NotImplementedError(f"{type(self).__name__} does not define values")

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        values = np.asarray(self.values(np.asarray(y_true), np.asarray(y_pred)))
        if sample_weight is None:
            self._total += _sum_of_sample_means(values)
            self._count += len(values)
            return
        values = np.asarray(values, np.float64)
        weights = broadcast_weights(sample_weight, values.shape, self.name)
        self._total += _sum_of_sample_means(values * weights)
        self._count += _sum_of_sample_means(weights)

    def result(self) -> float:
        return self._total / self._count if self._count else 0.0

    def reset(self) -> None:
        self._total, self._count = 0.0, 0.0


class BinaryAccuracy(MeanMetric):
    """The share of predictions on the target's side of `threshold`; exactly on it counts as 0."""

    larger_is_better = True
    threshold = Option(finite)

    def __init__(self, name: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = threshold

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        targets = match_rank(y_true, y_pred.shape)
        if targets.shape != y_pred.shape:
            raise _mismatch(self.name, y_true, y_pred)
        right: np.ndarray = (y_pred > self.threshold) == targets
        return right

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


class CategoricalAccuracy(MeanMetric):
    """The share of samples whose largest prediction is that of the one-hot target."""

    larger_is_better = True

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        if y_true.shape != y_pred.shape:
            raise _mismatch(self.name, y_true, y_pred)
        right: np.ndarray = y_true.argmax(axis=-1) == y_pred.argmax(axis=-1)
        return right


class SparseCategoricalAccuracy(MeanMetric):
    """The share of samples whose largest prediction is that of the target's class number."""

    larger_is_better = True

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        shape = y_pred.shape[:-1]
        if y_true.shape not in (shape, (*shape, 1)):
            raise _mismatch(self.name, y_true, y_pred)
        right: np.ndarray = y_true.reshape(shape) == y_pred.argmax(axis=-1)
        return right


class _Accuracy(Metric):
    """Accuracy of the kind that the first batch's shapes ask for, as in Keras 3.

    Whatever the loss: one output is `BinaryAccuracy`; of several outputs, class
    numbers are `SparseCategoricalAccuracy`, and targets of the outputs' shape
    `CategoricalAccuracy`. For several answers of yes or no, each counted by
    itself, name "binary_accuracy".
    """

    larger_is_better = True

    def __init__(self, name: str = "accuracy") -> None:
        super().__init__(name)
        self._metric: MeanMetric | None = None

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if self._metric is None:
            self._metric = _kind_by_shape(np.shape(y_true), np.shape(y_pred))(self.name)
        self._metric.update(y_true, y_pred, sample_weight)

    def result(self) -> float:
        return 0.0 if self._metric is None else self._metric.result()

    def reset(self) -> None:
        # The next data may be of another shape.
        self._metric = None


def _thresholds(value: Any, argument: str, owner: str) -> int:
    if not 2 <= integer(value, argument, owner) <= _MOST_THRESHOLDS:
        condition = f"at least 2 and at most {_MOST_THRESHOLDS}"
        raise wrong_value(value, argument, owner, condition)
    return int(value)


class AUC(Metric):
    """Area under the ROC curve, from counts at `num_thresholds` evenly spaced thresholds.

    Predictions are probabilities; beyond [0, 1] they are taken as 0 or 1.
    """

    larger_is_better = True
    num_thresholds = Once(_thresholds)
    _counts: np.ndarray | None = None  # made with the first batch

    def __init__(self, num_thresholds: int = 200, name: str | None = None) -> None:
        super().__init__(name)
        self.num_thresholds = num_thresholds
        self.reset()

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        # Thresholds are compared in float32: what lies on one must fall where Keras puts it.
        y_pred = np.asarray(y_pred, np.float32)
        y_true = match_rank(np.asarray(y_true), y_pred.shape)
        if y_true.shape != y_pred.shape:
            raise _mismatch(self.name, y_true, y_pred)
        if sample_weight is None:
            weights = np.ones(y_pred.shape)
        else:
            weights = broadcast_weights(sample_weight, y_pred.shape, self.name)
        if self._counts is None:
            self._counts = np.zeros((2, self.num_thresholds))
        if np.isnan(y_pred).any():
            self._counts.fill(np.nan)
            return
        steps = np.float32(self.num_thresholds - 1)
        buckets = np.maximum(np.ceil(np.clip(y_pred, 0, 1) * steps) - 1, 0).astype(np.int64)
        for row, chosen in enumerate((y_true == 0, y_true != 0)):
            self._counts[row] += np.bincount(
                buckets[chosen], weights[chosen], minlength=self.num_thresholds
            )

    def result(self) -> float:
        if self._counts is None:
            return 0.0
        # A column for each threshold: how many negatives and positives are above it.
        above = self._counts[:, ::-1].cumsum(axis=1)[:, ::-1]
        totals = above[:, :1]
        rates = np.divide(above, totals, out=np.zeros_like(above), where=totals != 0)
        false_rate, true_rate = rates
        heights = (true_rate[:-1] + true_rate[1:]) / 2
        return float(((false_rate[:-1] - false_rate[1:]) * heights).sum())

    def reset(self) -> None:
        self._counts = None

    def get_config(self) -> dict[str, Any]:
        return {"num_thresholds": self.num_thresholds, **super().get_config()}


def get(identifier: Any) -> Metric:
    """Return a new metric of a name, class or config, or the metric itself.

    "accuracy" and "acc" take their kind from the shapes of the first batch;
    the name given is the name in the logs.  Raises ValueError for an unknown
    name and TypeError for anything else.
    """
    if isinstance(identifier, str):
        identifier = {"class_name": identifier, "config": {"name": identifier}}
    return _registry.get(identifier)


def serialize(metric: Metric) -> str | dict[str, Any]:
    """Return that from which `get` makes the same metric again; it fits JSON."""
    return metric.name if isinstance(metric, _Accuracy) else _registry.serialize(metric)


def larger_is_better(name: str) -> bool | None:
    """Return whether more of what is called `name` is better, None where that is not known.

    >>> larger_is_better("accuracy"), larger_is_better("mse"), larger_is_better("iou")
    (True, False, None)
    """
    if name in _registry.known:
        return _registry.find_class(name).larger_is_better
    if name in _LARGER_IS_BETTER:
        return True
    return False if name in _SMALLER_IS_BETTER else None


def _sum_of_sample_means(values: np.ndarray) -> float:
    # NumPy counts many times faster than it adds.
    total = np.count_nonzero(values) if values.dtype == bool else values.sum(dtype=np.float64)
    return float(total) * len(values) / max(values.size, 1)


def _kind_by_shape(target: tuple[int, ...], prediction: tuple[int, ...]) -> type[MeanMetric]:
    if prediction[-1] == 1:
        return BinaryAccuracy
    if len(target) < len(prediction) or target[-1] == 1:
        return SparseCategoricalAccuracy
    return CategoricalAccuracy


def _mismatch(owner: str, y_true: np.ndarray, y_pred: np.ndarray) -> ValueError:
    return ValueError(
        f"{owner}: the targets have shape {y_true.shape} and the predictions {y_pred.shape}; "
        "they do not fit each other"
    )


_registry: Registry[Metric] = Registry(
    Metric,
    {
        "accuracy": _Accuracy,
        "binary_accuracy": BinaryAccuracy,
        "categorical_accuracy": CategoricalAccuracy,
        "sparse_categorical_accuracy": SparseCategoricalAccuracy,
        "auc": AUC,
    },
    words=("metrics", "metric", "a Metric"),
    aliases={"acc": "accuracy"},
)

# Names of measures, beyond those above, that callbacks may log.
_LARGER_IS_BETTER = frozenset(
    ("acc", "accuracy", "precision", "recall", "f1_score", "top_k_categorical_accuracy")
)
_SMALLER_IS_BETTER = frozenset(
    (
        "loss",
        "mse",
        "mae",
        "mean_squared_error",
        "mean_absolute_error",
        "binary_crossentropy",
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "binary_focal_crossentropy",
        "huber",
        "hinge",
        "kl_divergence",
    )
)
