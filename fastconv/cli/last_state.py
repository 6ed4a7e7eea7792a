"""The state of a run's last epoch: kept beside the best model, and found again."""

from __future__ import annotations

import argparse
import glob
import os
from collections.abc import Iterator
from typing import Any

from ..callbacks import Callback
from .common import UsageError, load_model, print_warning
from .run_files import is_inside, last_path, locked, matches, trusted_folders
from .run_summary import Summary, summary_of
from .train_settings import FIXED, check_path

AUTO = "auto"


class LastState(Callback):
    """Write the whole run at every epoch's end, and for a new run at its start.

    A run goes on exactly from an epoch's end alone: what a stopped run had done
    of the next epoch is done again.

    Args:
        pattern: the checkpoint's; `path` is where the state goes.
        checkpoint: the ModelCheckpoint, which goes in front of this callback:
            its state at the epoch's end is in the file.
        resumed: the file that the run goes on from, if any.

    `best_paths` lists what the checkpoint wrote in this session. `remove` takes
    the file away once the run has ended.
    """

    runs_last = True

    def __init__(self, pattern: str, checkpoint: Any, resumed: str | None) -> None:
        super().__init__()
        self.path = last_path(pattern)
        self.resumable = resumed
        self.best_paths: list[str] = []
        self._checkpoint = checkpoint
        self._saved: list[str] = []

    def on_train_begin(self, logs: Any = None) -> None:
        # A resumed run has not taken up its state yet, and has its file already.
        if self.resumable is None:
            self._save()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._saved = self._checkpoint.saved_paths

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._checkpoint.saved_paths is not self._saved:  # each save makes a new list
            path = self._checkpoint.saved_paths[-1]
            self.best_paths = [*(p for p in self.best_paths if p != path), path]
        self._save()

    def _save(self) -> None:
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        self.model.save(self.path)
        self.resumable = self.path

    def remove(self) -> None:
        """Remove the file, if it is there."""
        if os.path.lexists(self.path):
            os.unlink(self.path)


def load_state(arguments: argparse.Namespace) -> tuple[str, Any] | None:
    """Return the file that `--resume` means, and its model; None to start anew.

    Of a pattern, of a best model or of a file that is gone the state of the
    last epoch is meant, where there is one of the same run.
    """
    given = arguments.resume
    if given == AUTO and not os.path.exists(given):
        return _load_newest(arguments)
    for path in _instead_of(given):
        model = _load_or_skip(path)
        if model is not None:
            return path, model
    if not os.path.exists(given) and _is_pattern(given):
        raise UsageError(f"--resume {given}: no file of this name's pattern is there")
    return given, load_model(given)


def _load_newest(arguments: argparse.Namespace) -> tuple[str, Any] | None:
    """Return the newest whole state, and its model, in the working folder.

    What is said of the run must be so in the file, or it is another run's.
    """
    found = [last_path(arguments.checkpoint)] if arguments.checkpoint else glob.glob("*.last.npz")
    for path in sorted(filter(os.path.isfile, found), key=os.path.getmtime, reverse=True):
        with locked(path) as free:
            if not free:
                print_warning(f"{path} is skipped: another training is writing it now")
                continue
        for candidate in (path, *_best_of(path)):
            summary = summary_of(candidate)
            if summary is not None and not _is_meant(summary, arguments):
                break
            model = _load_or_skip(candidate)
            if model is not None:
                return candidate, model
    if arguments.arch is None:
        raise UsageError(
            "--resume auto: the working folder holds no whole state of a run that was stopped "
            "(*.last.npz); give a file, or --arch to start anew"
        )
    return None


def _is_meant(summary: Summary, arguments: argparse.Namespace) -> bool:
    said = {name: getattr(arguments, name) for name in FIXED}
    return all(value is None or summary.settings.get(name) == value for name, value in said.items())


def _best_of(last: str) -> list[str]:
    """Return the best models beside a last state, by their names, the newest first."""
    stem = last.removesuffix(".last.npz")
    found = [path for path in glob.glob(f"{glob.escape(stem)}*.npz") if path != last]
    return sorted(filter(summary_of, found), key=os.path.getmtime, reverse=True)


def _load_or_skip(path: str) -> Any:
    """Return the model in a file, or None, with a word, where it is damaged."""
    try:
        return load_model(path)
    except (UsageError, ValueError, OSError) as error:
        print_warning(f"{path} is skipped: {error}")
        return None


def _instead_of(given: str) -> Iterator[str]:
    """Yield the files, the best first, that `given` stands for where it is not meant itself."""
    if not os.path.exists(given) and _is_pattern(given):
        found = [last_path(given), *sorted(matches(given), key=os.path.getmtime, reverse=True)]
        yield from filter(os.path.isfile, found)
        return
    best = summary_of(given)
    for path in _last_states(given, best):
        last = summary_of(path)
        if os.path.exists(given) and best is None:
            continue  # a damaged or foreign file is for its reader to refuse
        if last is None:
            print_warning(f"{path} is skipped: the file is damaged")
        elif best is None or (last.run == best.run is not None and last.epoch > best.epoch):
            yield path


def _last_states(given: str, best: Summary | None) -> list[str]:
    """Return where the last state of a best model can be: by its name and by its settings."""
    folder = os.path.dirname(given)
    found = [os.path.join(folder, last_path(os.path.basename(given).replace("{", "_")))]
    pattern = None if best is None else best.settings.get("checkpoint")
    if isinstance(pattern, str) and _is_pattern(pattern, plain=True):
        noted = last_path(pattern)
        found += [noted, os.path.join(folder, os.path.basename(noted))]
    folders = trusted_folders(given)
    return [p for p in dict.fromkeys(found) if os.path.isfile(p) and is_inside(p, folders)]


def _is_pattern(text: str, plain: bool = False) -> bool:
    """Whether a text is a checkpoint's pattern, with a field unless `plain` is enough."""
    try:
        check_path("checkpoint", text)
    except ValueError:
        return False
    return plain or "{" in text
