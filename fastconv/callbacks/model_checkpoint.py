"""Saving the model while it is trained."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Mapping
from typing import Any

from .._core.model_formats import format_to_write
from .._core.validation import positive_integer
from .monitor import MonitorCallback
from .names import LogNames, Logs
from .output import say
from .saved import saved_count, saved_texts


class ModelCheckpoint(MonitorCallback):
    """Save the model at the end of every epoch, or only when it is the best so far.

    Args:
        filepath: where to; may hold `{epoch:02d}` (counted from 1), `{batch}`
            where `save_freq` is a number, and metrics such as
            `{val_loss:.2f}`. The suffix says how, as with `model.save`;
            a training goes on from ".npz" alone. Missing folders are made.
        monitor: the metric that says what is best.
        verbose: 1 tells of every file that is written.
        save_best_only: save only when `monitor` has improved. A value that is
            not finite, and an epoch without one (`validation_freq`), are no
            improvement: the file of the best stays as it is.
        save_weights_only: leave out the optimizer and the state of the run;
            a training cannot be resumed from such a file.
        mode: "min", "max" or "auto": as the metric is known to be better; an
            error for one that is not known.
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: a value that the first save must beat.
        period: epochs from one save to the next: old Keras's argument.

    `saved_paths` lists the files that were written, the oldest first.

    Raises ValueError, before anything is trained, for a metric in `monitor`
    (with `save_best_only`) or `filepath` that the run will not have.
    """

    runs_last = True

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
        *,
        period: int = 1,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = os.fspath(filepath)
        operation = "save_weights" if save_weights_only else "save_model"
        format_to_write(self.filepath, operation, self._owner)
        if save_freq != "epoch":
            save_freq = positive_integer(save_freq, "save_freq", self._owner)
            if period != 1:
                raise ValueError(
                    f"{self._owner}: period is {period!r}; it must be left out with save_freq"
                )
        if initial_value_threshold is not None and math.isnan(initial_value_threshold):
            raise ValueError(f"{self._owner}: initial_value_threshold is nan; it must be a number")
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self.period = positive_integer(period, "period", self._owner)
        self.initial_value_threshold = initial_value_threshold
        self.best = initial_value_threshold
        self.saved_paths: list[str] = []
        self._epoch = 0
        self._batches_since_save = 0
        self._epochs_since_save = 0
        self._unusable: float | None = None

    # What can be seen before the run

    def _watches(self) -> bool:
        return self.save_best_only

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Keep the run's facts; raise ValueError if no file could be named or chosen in it."""
        names: LogNames | None = params.get("logs")
        if names is not None and self.save_freq != "epoch":
            # The logs of a batch have nothing of the validation.
            own = tuple(name for name in names.always if not name.startswith("val_"))
            names = LogNames(own, (), names.more)
            params = {**params, "logs": names}
        super().set_params(params)
        if names is not None:
            self._check_filepath(names)

    def _check_filepath(self, names: LogNames) -> None:
        if not names.more:
            known = Logs.fromkeys((*names.always, *names.sometimes), 0.5)
            self._path(0, known, {} if self.save_freq == "epoch" else {"batch": 1})
        if self.save_best_only and not names.in_every_epoch(self.monitor):
            return  # and so nothing is saved in the epochs that lack the validation's metrics
        for name in names.sometimes:
            if re.search(rf"{{{re.escape(name)}\W", self.filepath):
                raise ValueError(
                    f"{self._owner}: filepath is {self.filepath!r}; it must be without {name}, "
                    "which with validation_freq not every epoch has"
                )

    # Saving

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._unusable = None
        # What cannot be saved at all is refused now, not when an epoch is done.
        self.model.check_saving(self.filepath, self.save_weights_only)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if isinstance(self.save_freq, str):
            return
        self._batches_since_save += 1
        if self._batches_since_save >= self.save_freq:
            self._batches_since_save = 0
            self._save_if_wanted(self._epoch, logs or {}, batch=batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.save_freq != "epoch":
            return
        self._epochs_since_save += 1
        if self._epochs_since_save >= self.period:
            self._epochs_since_save = 0
            self._save_if_wanted(epoch, logs or {})

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if self._unusable is not None and not self.saved_paths:
            warnings.warn(
                f"{self._owner}: {self.monitor} was {self._unusable}, never a number to compare; "
                "no model was saved",
                stacklevel=2,
            )

    def _save_if_wanted(self, epoch: int, logs: dict[str, float], **batch: int) -> None:
        if not self.save_best_only:
            path = self._path(epoch, logs, batch)
            self._save(path, f"Epoch {epoch + 1}: saving the model to {path}")
            return
        current = self.monitored(logs)
        before = "nothing" if self.best is None else f"{self.best:.5f}"
        if current is not None and self.is_improvement(current, self.best):
            self.best = current
            path = self._path(epoch, logs, batch)
            self._save(
                path,
                f"Epoch {epoch + 1}: {self.monitor} improved from {before} to {current:.5f}, "
                f"saving the model to {path}",
            )
            return
        if current is not None and not math.isfinite(current):
            self._unusable = current
        if self.verbose > 0:
            what = "is missing" if current is None else f"did not improve from {before}"
            say(f"Epoch {epoch + 1}: {self.monitor} {what}")

    def _path(self, epoch: int, logs: dict[str, float], batch: Mapping[str, int]) -> str:
        # format_map, not format(**logs): only a look-up finds "acc" for "accuracy".
        values = type(logs)({**logs, "epoch": epoch + 1, **batch})
        try:
            return self.filepath.format_map(values)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{self._owner}: filepath is {self.filepath!r}; it must be one that this run can "
                f"fill in, with {', '.join(values)} ({error})"
            ) from None

    def _save(self, path: str, message: str) -> None:
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        # Noted before, so that the file itself knows of it; a repeated name counts once.
        before = self.saved_paths
        self.saved_paths = [*(p for p in before if p != path), path]
        try:
            if self.save_weights_only:
                self.model.save_weights(path)
            else:
                self.model.save(path)
        except BaseException:
            self.saved_paths = before
            raise
        if self.verbose > 0:
            say(message)

    def get_state(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "batches_since_save": self._batches_since_save,
            "epochs_since_save": self._epochs_since_save,
            "saved_paths": list(self.saved_paths),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        super().set_state(state)
        self._batches_since_save = saved_count(state, "batches_since_save")
        state = {"epochs_since_save": 0, **state}  # which older files do not tell
        self._epochs_since_save = saved_count(state, "epochs_since_save")
        self.saved_paths = saved_texts(state, "saved_paths")
