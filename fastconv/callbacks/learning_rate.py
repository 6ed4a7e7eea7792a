"""Changing the learning rate while training."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from .._core.validation import finite, natural
from .base import Callback
from .monitor import MonitorCallback
from .output import say
from .saved import saved_count


class LearningRateScheduler(Callback):
    """Set the learning rate at every epoch's start.

    `schedule(epoch, learning_rate)`, or `schedule(epoch)`, returns the new
    rate; epochs are counted from 0. The logs gain "learning_rate".
    """

    adds_to_logs = ("learning_rate",)

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(
                f"LearningRateScheduler: schedule is {schedule!r}; it must be a function of the "
                "epoch and the current learning rate"
            )
        self.schedule = schedule
        self.verbose = verbose
        self._takes_rate = _takes_two(schedule)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        current = float(self.model.optimizer.learning_rate)
        rate = self.schedule(epoch, current) if self._takes_rate else self.schedule(epoch)
        try:
            rate = float(rate)
        except (TypeError, ValueError):
            raise TypeError(
                f"LearningRateScheduler: schedule returned {rate!r}; it must be a float"
            ) from None
        if not (math.isfinite(rate) and rate >= 0):
            raise ValueError(
                f"LearningRateScheduler: schedule returned {rate} for epoch {epoch}; it must be a "
                "finite number of at least 0"
            )
        self.model.optimizer.learning_rate = rate
        if self.verbose > 0:
            say(f"Epoch {epoch + 1}: setting the learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # a built-in function that does not tell
        return True
    return True


class ReduceLROnPlateau(MonitorCallback):
    """Multiply the learning rate by `factor` when `monitor` has stopped improving.

    Args:
        monitor: the metric that is watched.
        factor: what the rate is multiplied by; below 1.
        patience: epochs without improvement before the rate is reduced.
        verbose: 1 tells of every change.
        mode: "min", "max" or "auto": as the metric is known to be better; an
            error for one that is not known.
        min_delta: how much counts as an improvement.
        cooldown: epochs to wait after a reduction before watching again.
        min_lr: the rate never goes below this.

    The logs gain "learning_rate". A value that is not finite is no improvement;
    epochs without the metric (`validation_freq`) are passed over; a metric that
    the run never logs is an error.
    """

    adds_to_logs = ("learning_rate",)

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = finite(factor, "factor", self._owner)
        if not 0 < self.factor < 1:
            raise ValueError(f"{self._owner}: factor is {factor!r}; it must be between 0 and 1")
        self.patience = natural(patience, "patience", self._owner)
        self.cooldown = natural(cooldown, "cooldown", self._owner)
        self.min_lr = finite(min_lr, "min_lr", self._owner)
        self.verbose = verbose
        self._reset()

    def _reset(self) -> None:
        self.best = None
        self.wait = 0
        self.cooldown_counter = 0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._reset()

    def in_cooldown(self) -> bool:
        """Whether the wait after a reduction is still on."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        current = self.monitored(logs)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def _reduce(self, epoch: int) -> bool:
        rate = float(self.model.optimizer.learning_rate)
        if rate <= self.min_lr:
            return False
        rate = max(rate * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = rate
        if self.verbose > 0:
            say(f"Epoch {epoch + 1}: ReduceLROnPlateau sets the learning rate to {rate}.")
        return True

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def set_state(self, state: Mapping[str, Any]) -> None:
        super().set_state(state)
        self.wait = saved_count(state, "wait")
        self.cooldown_counter = saved_count(state, "cooldown_counter")
