"""Saving the model while it is trained."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .monitor import MonitorCallback, whole_number
from .saved import saved_count, saved_texts


class ModelCheckpoint(MonitorCallback):
    """Save the model at the end of every epoch, or only when it is the best so far.

    Args:
        filepath: where to; may hold `{epoch:02d}` (counted from 1), `{batch}`
            where `save_freq` is a number, and metrics such as
            `{val_loss:.2f}`. Must end in ".npz". Missing folders are made.
        monitor: the metric that says what is best.
        verbose: 1 tells of every file that is written.
        save_best_only: save only when `monitor` has improved.
        save_weights_only: leave out the optimizer and the state of the run;
            a training cannot be resumed from such a file.
        mode: "min", "max" or "auto" (by the metric's name).
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: a value that the first save must beat.

    `saved_paths` lists the files that were written, the oldest first.
    """

    runs_last = True

    def __init__(
        self,
        filepath: str | os.PathLike,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = os.fspath(filepath)
        if not self.filepath.endswith(".npz"):
            raise ValueError(
                f"ModelCheckpoint: filepath is {self.filepath!r}; fastconv writes NumPy archives: "
                f"give a name that ends in '.npz', such as "
                f"{os.path.splitext(self.filepath)[0] + '.npz'!r}"
            )
        if save_freq != "epoch":
            save_freq = whole_number(save_freq, "save_freq", "ModelCheckpoint", minimum=1)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self.best = initial_value_threshold
        self.saved_paths: list[str] = []
        self._epoch = 0
        self._batches_since_save = 0

    def on_train_begin(self, logs=None) -> None:
        # What cannot be saved at all is refused now, not when an epoch is done.
        self.model.check_saving()

    def on_epoch_begin(self, epoch: int, logs=None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs=None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches_since_save += 1
        if self._batches_since_save >= self.save_freq:
            self._batches_since_save = 0
            self._save_if_wanted(self._epoch, logs or {}, batch=batch + 1)

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        if self.save_freq == "epoch":
            self._save_if_wanted(epoch, logs or {})

    def _save_if_wanted(self, epoch: int, logs: Mapping[str, float], **batch: int) -> None:
        path = self._path(epoch, logs, batch)
        if not self.save_best_only:
            self._save(path, f"Epoch {epoch + 1}: saving the model to {path}")
            return
        current = self.monitored(logs)
        if current is None:
            self._save(path, f"Epoch {epoch + 1}: saving the model to {path}")
            return
        before = "nothing" if self.best is None else f"{self.best:.5f}"
        if self.is_improvement(current, self.best):
            self.best = current
            self._save(
                path,
                f"Epoch {epoch + 1}: {self.monitor} improved from {before} to {current:.5f}, "
                f"saving the model to {path}",
            )
        elif self.verbose > 0:
            print(f"Epoch {epoch + 1}: {self.monitor} did not improve from {before}")

    def _path(self, epoch: int, logs: Mapping[str, float], batch: Mapping[str, int]) -> str:
        # format_map, not format(**logs): only a look-up finds "acc" for "accuracy".
        values = type(logs)({**logs, "epoch": epoch + 1, **batch})
        try:
            return self.filepath.format_map(values)
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"ModelCheckpoint: filepath {self.filepath!r} cannot be filled in ({error}); "
                f"this run has {', '.join(values)}"
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
            print(message)

    def get_state(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "batches_since_save": self._batches_since_save,
            "saved_paths": list(self.saved_paths),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        super().set_state(state)
        self._batches_since_save = saved_count(state, "batches_since_save")
        self.saved_paths = saved_texts(state, "saved_paths")
