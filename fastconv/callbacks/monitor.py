"""What the callbacks that watch one metric have in common."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from .base import Callback
from .saved import saved_number

_LARGER_IS_BETTER = ("acc", "auc", "precision", "recall", "f1")


class MonitorCallback(Callback):
    """Base of callbacks that compare one metric with the best value so far.

    `mode` is "min", "max" or "auto": "max" for accuracies and the area under
    the curve, "min" for all else. An improvement is a change by more than
    `min_delta` in the right direction.
    """

    def __init__(self, monitor: str, mode: str = "auto", min_delta: float = 0.0) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(
                f"{type(self).__name__}: mode is {mode!r}; 'auto', 'min' and 'max' are accepted"
            )
        if mode == "auto":
            mode = "max" if any(part in monitor for part in _LARGER_IS_BETTER) else "min"
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(float(min_delta))
        self.best: float | None = None

    def is_improvement(self, value: float, reference: float | None) -> bool:
        """Whether `value` is better than `reference`; anything is better than None."""
        if reference is None:
            return True
        if self.mode == "max":
            return value - self.min_delta > reference
        return value + self.min_delta < reference

    def monitored(self, logs: Mapping[str, float] | None) -> float | None:
        """Return the watched metric, or None, with a warning, where the run has none."""
        logs = logs or {}
        value = logs.get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__}: monitor={self.monitor!r} is not among this run's metrics "
                f"({', '.join(logs) or 'none'}); "
                + (
                    "give fit(validation_data=...) or monitor another"
                    if self.monitor.startswith("val_")
                    else "monitor one of these"
                ),
                stacklevel=3,
            )
        return value

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.best = saved_number(state, "best")


def whole_number(value: Any, argument: str, owner: str, *, minimum: int = 0) -> int:
    """Return `value` as an int of at least `minimum`, or raise ValueError."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < minimum:
        raise ValueError(
            f"{owner}: {argument} is {value!r}; give a whole number of at least {minimum}"
        )
    return int(value)
