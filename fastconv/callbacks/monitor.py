"""What the callbacks that watch one metric have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import metrics
from .._core.validation import finite
from .base import Callback
from .names import LogNames
from .saved import saved_number


class MonitorCallback(Callback):
    """Base of callbacks that compare one metric with the best value so far.

    `mode` is "min", "max" or "auto": the direction that the metric itself
    declares (`Metric.larger_is_better`), or that its name is known for; losses
    are to be small. What has no known direction, and a name that the run does
    not log, is an error. An improvement is a change by more than `min_delta`
    in the right direction; a value that is not finite never is one.
    """

    def __init__(self, monitor: str, mode: str = "auto", min_delta: float = 0.0) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{self._owner}: mode is {mode!r}; it must be 'auto', 'min' or 'max'")
        if not isinstance(monitor, str):
            raise TypeError(f"{self._owner}: monitor is {monitor!r}; it must be a metric's name")
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(finite(min_delta, "min_delta", self._owner))
        self.best: float | None = None
        self._seen = False

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._seen = False

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Keep the run's facts; raise ValueError if it can be seen now that `monitor` will fail."""
        super().set_params(params)
        names: LogNames | None = params.get("logs")
        if names is not None and self._watches():
            if not names.holds(self.monitor) and not names.more:
                raise self._never_logged(str(names))
            self._larger_is_better()

    def _watches(self) -> bool:
        """Whether `monitor` matters to what this callback does."""
        return True

    def _larger_is_better(self) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        # A model knows its own metrics; whatever else is logged is known by its name or not.
        known = getattr(self.model, "larger_is_better", metrics.larger_is_better)
        larger = known(self.monitor.removeprefix("val_"))
        if larger is None:
            raise ValueError(
                f"{self._owner}: monitor is {self.monitor!r}; it must be a metric of which more is "
                "known to be better or worse; give mode='max' or mode='min'"
            )
        return larger

    def is_improvement(self, value: float, reference: float | None) -> bool:
        """Whether `value` is better than `reference`: every finite value is than None or NaN."""
        if not math.isfinite(value):
            return False
        larger = self._larger_is_better()
        if reference is None or math.isnan(reference):
            return True
        if larger:
            return value - self.min_delta > reference
        return value + self.min_delta < reference

    def monitored(self, logs: Mapping[str, float] | None) -> float | None:
        """Return the watched metric, or None for an epoch that has none while others have.

        Raises ValueError for a metric that this epoch should have had: the
        run never logs it. Raises TypeError for what is no number.
        """
        logs = logs or {}
        value = logs.get(self.monitor)
        if value is None:
            if not self._comes_later(logs):
                raise self._never_logged(", ".join(logs) or "none")
            return None
        self._seen = True
        if np.ndim(value) != 0:
            raise TypeError(
                f"{self._owner}: monitor is {self.monitor!r}, whose value has the shape "
                f"{np.shape(value)}; it must be one number"
            )
        return float(value)

    def _comes_later(self, logs: Mapping[str, float]) -> bool:
        names: LogNames | None = self.params.get("logs")
        if self._seen or names is None:
            return self._seen
        # A callback may add to the validation's metrics: those epochs are waited for.
        added = self.monitor.startswith("val_") and bool(names.sometimes)
        validated = any(name in logs for name in names.sometimes)
        return names.holds(self.monitor) or (added and not validated)

    def _never_logged(self, names: str) -> ValueError:
        if self.monitor.startswith("val_"):
            remedy = "give fit(validation_data=...) or monitor another"
        else:
            remedy = "monitor one of these"
        return ValueError(
            f"{self._owner}: monitor is {self.monitor!r}, which is not among this run's metrics "
            f"({names}); {remedy}; a callback that adds it to the logs must stand before this one"
        )

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.best = saved_number(state, "best")
        self._seen = self.best is not None
