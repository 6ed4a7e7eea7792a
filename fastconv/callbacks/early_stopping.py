"""Ending a training that no longer improves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._core.validation import finite, natural
from .monitor import MonitorCallback
from .output import say
from .saved import saved_count, saved_weights


class EarlyStopping(MonitorCallback):
    """Stop when `monitor` has not improved for `patience` epochs.

    Args:
        monitor: the metric that is watched.
        min_delta: how much counts as an improvement.
        patience: epochs without improvement after which training stops.
        verbose: 1 tells when training is stopped.
        mode: "min", "max" or "auto": as the metric is known to be better; an
            error for one that is not known.
        baseline: a value that must be beaten before patience counts anew.
        restore_best_weights: at the end of the training, stopped early or not,
            put back the weights of the best epoch.
        start_from_epoch: epochs to pass before watching, counted from 0.

    Unlike Keras: a value that is not finite is no improvement and is never
    remembered as the best; epochs without the metric (`validation_freq`) are
    passed over; a metric that the run never logs is an error.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = natural(patience, "patience", self._owner)
        self.verbose = verbose
        self.baseline = None if baseline is None else finite(baseline, "baseline", self._owner)
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = natural(start_from_epoch, "start_from_epoch", self._owner)
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_weights: list[np.ndarray] | None = None
        self.best_epoch = 0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        current = self.monitored(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.is_improvement(current, self.best):
            self.best = current
            self._remember(epoch)
            if self.baseline is None or self.is_improvement(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _remember(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.get_weights()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                say(f"Restoring the weights of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def get_state(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "wait": self.wait,
            "stopped_epoch": self.stopped_epoch,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        super().set_state(state)
        self.wait = saved_count(state, "wait")
        self.stopped_epoch = saved_count(state, "stopped_epoch")
        self.best_epoch = saved_count(state, "best_epoch")
        self.best_weights = saved_weights(state, "best_weights", self.model)
