"""A training that goes on where it was, after whatever ended it."""

from __future__ import annotations

import contextlib
import os

from .._core.validation import positive_integer, truth
from .base import Callback


class BackupAndRestore(Callback):
    """Keep the run in a file, from which the same call of `fit` goes on after an interruption.

    Whatever ended the run, an error, Ctrl-C, SIGKILL or the power: calling the same program
    again, `fit` finds the file and restores weights, optimizer, epoch, history, random states
    and callbacks, and the end has the bits of a run that was never stopped. A run that ends by
    itself removes the file.

    Args:
        backup_dir: the folder, of this run alone; it is made if missing.
        save_freq: "epoch", or a number of batches after which the file is written as well. From
            one written within an epoch that epoch is begun again, as in Keras, with what was
            learnt of it.
        double_checkpoint: keep the file before the last, too, as `previous.npz`; it is taken
            where the last, `latest.npz`, is missing. Files are replaced whole or not at all,
            even without.
        delete_checkpoint: remove the files when the training ends by itself.

    Unlike Keras: only its own files are removed, and the folder if it is empty then; a
    `resume_from` given as well counts while there is no file here; a file of another model is
    an error, and nothing is changed. Of data that are gone through by `iter()` a new pass
    begins, see `fit(resume_from)`.
    """

    runs_last = 2  # behind other checkpoints, whose states it keeps

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        self.backup_dir = os.fspath(backup_dir)
        if not self.backup_dir:
            raise ValueError("BackupAndRestore: backup_dir is ''; it must be a folder's name")
        if save_freq != "epoch":
            save_freq = positive_integer(save_freq, "save_freq", "BackupAndRestore")
        self.save_freq = save_freq
        self.double_checkpoint = truth(double_checkpoint, "double_checkpoint", "BackupAndRestore")
        self.delete_checkpoint = truth(delete_checkpoint, "delete_checkpoint", "BackupAndRestore")
        self._batches_since_save = 0

    @property
    def _paths(self) -> tuple[str, str]:
        latest, previous = (os.path.join(self.backup_dir, n) for n in ("latest", "previous"))
        return f"{latest}.npz", f"{previous}.npz"

    def checkpoint_to_resume(self) -> str | None:
        """Return the file of an interrupted run, None if there is none."""
        return next((path for path in self._paths if os.path.exists(path)), None)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._batches_since_save = 0
        # What cannot be saved at all is refused now, not when an epoch is done.
        self.model.check_saving()
        os.makedirs(self.backup_dir, exist_ok=True)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._batches_since_save += 1
        if self.save_freq != "epoch" and self._batches_since_save >= int(self.save_freq):
            self._save()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._save()

    def _save(self) -> None:
        self._batches_since_save = 0
        latest, previous = self._paths
        if self.double_checkpoint and os.path.exists(latest):
            os.replace(latest, previous)
        self.model.save(latest)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if not self.delete_checkpoint:
            return
        for path in self._paths:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
        with contextlib.suppress(OSError):  # not empty: the rest is somebody else's
            os.rmdir(self.backup_dir)
