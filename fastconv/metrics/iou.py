"""Intersection over union: how far predicted and true areas of a class cover each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.options import Once, Option
from .._core.validation import (
    finite,
    integer,
    natural,
    optional,
    positive_integer,
    truth,
    wrong_type,
    wrong_value,
)
from ..losses.base import broadcast_weights, match_rank
from .base import Metric, divide, mismatch

_MOST_CLASSES = 10_000


def _classes(value: Any, argument: str, owner: str) -> int:
    if positive_integer(value, argument, owner) > _MOST_CLASSES:
        raise wrong_value(value, argument, owner, f"at most {_MOST_CLASSES}")
    return int(value)


def _class_ids(value: Any, argument: str, owner: str) -> list[int]:
    if isinstance(value, str) or not np.iterable(value) or not list(value):
        raise wrong_type(value, argument, owner, "a list of class numbers")
    return [natural(one, argument, owner) for one in value]


class IoU(Metric):
    """The mean over `target_class_ids` of common / (common + wrongly + missed), by class.

    Of class numbers, or (`sparse_y_true=False`, `sparse_y_pred=False`) of scores
    whose largest along `axis` is the class. Classes that are neither there nor
    predicted do not count, nor do samples of `ignore_class` or of numbers that
    are no class. Weights may be fractions, which Keras's default dtype cuts off.
    """

    larger_is_better = True
    num_classes = Once(_classes)
    target_class_ids = Once(_class_ids)
    ignore_class = Once(optional(integer))
    sparse_y_true = Once(truth)
    sparse_y_pred = Once(truth)
    axis = Once(integer)

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Any,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(dtype or "int", name)
        self.num_classes, self.target_class_ids = num_classes, target_class_ids
        self.ignore_class, self.axis = ignore_class, axis
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        if max(self.target_class_ids) >= self.num_classes:
            condition = f"below num_classes, {self.num_classes}"
            raise wrong_value(target_class_ids, "target_class_ids", self.name, condition)
        shape = (self.num_classes, self.num_classes)
        #: Samples by their true class and by the predicted one.
        self.total_cm = self.add_variable(shape, name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; `sample_weight` is (batch,) or has a weight for each class number."""
        targets, predictions = np.asarray(y_true), np.asarray(y_pred)
        if not self.sparse_y_true:
            targets = targets.argmax(axis=self.axis)
        if self.sparse_y_pred:
            _check_whole(predictions, self.name)
        else:
            predictions = predictions.argmax(axis=self.axis)
        targets = match_rank(targets, predictions.shape)
        if targets.shape != predictions.shape:
            raise mismatch(self.name, np.asarray(y_true), np.asarray(y_pred))
        weights = None
        if sample_weight is not None:
            weights = broadcast_weights(sample_weight, predictions.shape, self.name)
        known = np.isfinite(targets)
        for numbers in (targets, predictions):
            known &= (numbers >= 0) & (numbers < self.num_classes)
        if self.ignore_class is not None:
            known &= targets != self.ignore_class
        places = targets[known].astype(np.int64) * self.num_classes
        places += predictions[known].astype(np.int64)
        weights = None if weights is None else weights[known]
        counts = np.bincount(places, weights, minlength=self.num_classes**2)
        self.total_cm.assign_add(counts.reshape(self.num_classes, self.num_classes))

    def result(self) -> float:
        matrix = self.total_cm.value
        common = matrix.diagonal()
        union = matrix.sum(axis=0) + matrix.sum(axis=1) - common
        chosen = self.target_class_ids
        there = union[chosen] > 0
        shares = np.where(there, divide(common[chosen], union[chosen]), 0)
        return float(divide(shares.sum(), np.count_nonzero(there)))

    def get_config(self) -> dict[str, Any]:
        own = {
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }
        return {**super().get_config(), **own}


class BinaryIoU(IoU):
    """`IoU` of two classes, of which predictions of at least `threshold` are class 1."""

    threshold = Option(finite)

    def __init__(
        self,
        target_class_ids: Any = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; `sample_weight` is (batch,) or of the predictions' shape."""
        classes = np.asarray(y_pred, np.float32) >= self.threshold
        super().update_state(y_true, classes.astype(np.int64), sample_weight)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        kept = {key: config[key] for key in ("name", "dtype", "target_class_ids")}
        return {**kept, "threshold": self.threshold}


class MeanIoU(IoU):
    """`IoU` of all classes."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        every = range(_classes(num_classes, "num_classes", type(self).__name__))
        super().__init__(
            num_classes, every, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["target_class_ids"]
        return config


class OneHotIoU(IoU):
    """`IoU` of one-hot targets and of scores."""

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Any,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["sparse_y_true"]
        return config


class OneHotMeanIoU(MeanIoU):
    """`IoU` of all classes, of one-hot targets and of scores."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["sparse_y_true"]
        return config


def _check_whole(predictions: np.ndarray, owner: str) -> None:
    """Refuse scores where class numbers are wanted, of which Keras would cut the fractions off."""
    if predictions.dtype.kind == "f" and not np.equal(np.floor(predictions), predictions).all():
        raise ValueError(
            f"{owner}: the predictions are not class numbers; give sparse_y_pred=False for scores "
            "of classes, or BinaryIoU(threshold=...) for probabilities"
        )
