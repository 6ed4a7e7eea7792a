"""The best of one rate where another is at least as asked, over many thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.options import Once
from .._core.validation import fraction, positive_integer, wrong_value
from .base import divide
from .confusion import Counting

_MOST_THRESHOLDS = 1_000_000


def _number(value: Any, argument: str, owner: str) -> int:
    if positive_integer(value, argument, owner) > _MOST_THRESHOLDS:
        raise wrong_value(value, argument, owner, f"at most {_MOST_THRESHOLDS}")
    return int(value)


class TradeOff(Counting):
    """Base: the best of a rate over `num_thresholds` evenly spaced thresholds."""

    larger_is_better = True
    num_thresholds = Once(_number)
    #: The name of the rate that is asked for, which is an option.
    _asked = ""

    def __init__(
        self, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any
    ) -> None:
        number = _number(num_thresholds, "num_thresholds", type(self).__name__)
        even = [0.5] if number == 1 else list(np.linspace(0, 1, number))
        super().__init__(even, None, class_id, name, dtype)
        self.num_thresholds = number

    def _rates(self) -> dict[str, np.ndarray]:
        true_positives, true_negatives = self.true_positives, self.true_negatives
        recall = divide(true_positives, true_positives + self.false_negatives)
        return {
            "recall": recall,
            "sensitivity": recall,
            "specificity": divide(true_negatives, true_negatives + self.false_positives),
            "precision": divide(true_positives, true_positives + self.false_positives),
        }

    def _best(self, wanted: str) -> float:
        rates = self._rates()
        enough = rates[self._asked] >= getattr(self, self._asked)
        return float(rates[wanted].max(where=enough, initial=0))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dtype": self.dtype,
            "class_id": self.class_id,
            "num_thresholds": self.num_thresholds,
            self._asked: getattr(self, self._asked),
        }


class SensitivityAtSpecificity(TradeOff):
    """The best sensitivity (recall) where the specificity is at least `specificity`."""

    specificity = Once(fraction)
    _asked = "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_thresholds, class_id, name, dtype)
        self.specificity = specificity

    def result(self) -> float:
        return self._best("sensitivity")


class SpecificityAtSensitivity(TradeOff):
    """The best specificity where the sensitivity (recall) is at least `sensitivity`."""

    sensitivity = Once(fraction)
    _asked = "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity

    def result(self) -> float:
        return self._best("specificity")


class PrecisionAtRecall(TradeOff):
    """The best precision where the recall is at least `recall`."""

    recall = Once(fraction)
    _asked = "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_thresholds, class_id, name, dtype)
        self.recall = recall

    def result(self) -> float:
        return self._best("precision")


class RecallAtPrecision(TradeOff):
    """The best recall where the precision is at least `precision`."""

    precision = Once(fraction)
    _asked = "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_thresholds, class_id, name, dtype)
        self.precision = precision

    def result(self) -> float:
        return self._best("recall")
