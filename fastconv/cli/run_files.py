"""The files that a training run writes: their names, whose they are, and who is at them now."""

from __future__ import annotations

import argparse
import glob
import os
import string
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

from .._core.files import is_at
from .common import UsageError, print_warning
from .run_summary import summary_of
from .train_recipe import run_recipe
from .train_settings import example_name, metric_names

try:
    import fcntl
except ImportError:  # another system than those with flock: runs there are not kept apart
    fcntl = None  # type: ignore[assignment]

_SEPARATORS = "-_. "
_LONGEST_STEM = 200
_MOST_NAMES = 10_000
_EVENTS = "events.out.tfevents."


# Names


def _stem(name: str) -> tuple[str, str]:
    """Split a checkpoint's name, without folders, before its first field: "model4", "-{epoch}"."""
    stem = name.removesuffix(".npz").partition("{")[0]
    if "{" in name:
        stem = stem.rstrip(_SEPARATORS)
    return stem, name[len(stem) :]


def numbered(path: str, number: int, is_pattern: bool = False) -> str:
    """Return the name of the `number`-th run: "model4-2-{epoch:02d}.npz", "log-2.csv"."""
    if number == 1:
        return path
    folder, name = os.path.split(path.rstrip("/"))
    stem, rest = _stem(name) if is_pattern else os.path.splitext(name)
    return os.path.join(folder, f"{stem}-{number}{rest}" if stem else f"{number}{rest}")


def last_path(pattern: str) -> str:
    """Return where the last epoch's state is kept: "model4.last.npz" for "model4-{epoch}.npz".

    It stands in the last folder of the pattern that has no field in its name.
    """
    folder, name = os.path.split(pattern)
    while "{" in folder:
        folder = os.path.dirname(folder)
    stem, rest = _stem(name)
    if not stem:
        literals = "".join(text for text, *_ in string.Formatter().parse(rest))
        stem = literals.removesuffix(".npz").strip(_SEPARATORS) or "model"
    return os.path.join(folder, f"{stem[:_LONGEST_STEM]}.last.npz")


def matches(pattern: str) -> list[str]:
    """Return what is there, dead links too, of the names that a checkpoint's pattern can have."""
    parts = string.Formatter().parse(pattern)
    return sorted(
        glob.glob(
            "".join(glob.escape(text) + ("" if field is None else "*") for text, field, *_ in parts)
        )
    )


# Folders


def check_folders(settings: Mapping[str, Any]) -> None:
    """Refuse, before any work, folders that nothing could be written to."""
    for option, path, is_file in (
        ("checkpoint", example_name(settings["checkpoint"]), True),
        ("history", settings["history"], True),
        ("log-dir", settings["log_dir"], False),
    ):
        if not path:
            continue
        folder = os.path.dirname(os.path.abspath(path)) if is_file else os.path.abspath(path)
        while not os.path.lexists(folder):  # missing folders are made
            folder = os.path.dirname(folder)
        if not os.path.isdir(folder):
            raise UsageError(f"--{option} {path!r}: {folder!r} is no folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UsageError(f"--{option} {path!r}: no right to write in {folder!r}")


# Locks


@contextmanager
def locked(path: str) -> Iterator[bool]:
    """Keep other runs from `path` for a while; give False if another one keeps it now.

    The lock is on a hidden file beside it, which goes when the lock does; a
    killed run leaves the file, but not the lock.
    """
    folder, name = os.path.split(os.path.realpath(path))
    lock = os.path.join(folder, f".{name[:_LONGEST_STEM]}.lock")
    made = _make_folders(folder)
    handle = None
    try:
        try:
            handle = _lock(lock)
        except BlockingIOError:
            yield False
            return
        except OSError as error:
            warnings.warn(f"{lock!r} cannot be locked against other runs: {error}", stacklevel=4)
        yield True
    finally:
        if handle is not None:
            # Whoever clears hidden files away ends no training, and another run's lock stays.
            with suppress(FileNotFoundError):
                if is_at(handle, lock):
                    os.unlink(lock)
            os.close(handle)
        for folder in reversed(made):
            try:
                os.rmdir(folder)
            except OSError:  # it is used now
                break


def _lock(lock: str) -> int | None:
    """Return the handle of the file, locked; raise BlockingIOError if another process has it."""
    if fcntl is None:
        return None
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it may have removed the file between the two calls.
            if is_at(handle, lock):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _make_folders(folder: str) -> list[str]:
    """Make what is missing of a folder's path; return what was made, the outermost first."""
    missing = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    missing.reverse()
    for folder in missing:
        os.makedirs(folder, exist_ok=True)
    return missing


# Whose a file is


class Resumed(NamedTuple):
    """The file that a run goes on from, and the settings in it, checked."""

    path: str
    settings: dict[str, Any]


class _Outputs:
    """Decides, for a run, which of the names it would write to are its own or free."""

    def __init__(
        self, model: Any, overwrite: bool, resumed: Resumed | None, more: Sequence[str]
    ) -> None:
        names = metric_names(model)
        columns = [*names, *(f"val_{name}" for name in names), *more]
        self.header = ",".join(["epoch", *sorted(columns)])
        self.overwrite = overwrite
        self.resumed = resumed

    def present(self, name: str, path: str) -> list[str]:
        """Return what is there of the names that the setting `name` of this value stands for."""
        if name == "checkpoint":
            return list(dict.fromkeys([*matches(path), *_there(last_path(path))]))
        if name == "log_dir":
            return [path] if os.path.isdir(path) and os.listdir(path) else []
        return _there(path)

    def is_own(self, name: str, path: str) -> bool:
        """Whether this very run wrote what is at `path`, so that it may go on with it."""
        if name == "checkpoint":
            found = summary_of(path)
            if self.resumed is None:
                # The state of a run that was ended in its first epoch holds nothing yet.
                return found is not None and found.epoch == 0
            run = self.resumed.settings.get("run")
            same = run is not None and found is not None and found.run == run
            return same or os.path.realpath(path) == os.path.realpath(self.resumed.path)
        noted = None if self.resumed is None else self.resumed.settings.get(name)
        return path == noted and self.is_of_its_kind(name, path)

    def is_of_its_kind(self, name: str, path: str) -> bool:
        """Whether what is at `path` came from some run, so that --overwrite means it."""
        if name == "log_dir":
            return _holds_events(path)
        if not os.path.isfile(path):
            return False
        if name == "checkpoint":
            return summary_of(path) is not None
        if name == "history":
            with open(path, newline="", encoding="utf-8", errors="replace") as file:
                first = file.readline(len(self.header) + 2)
            return first.strip() in ("", self.header)
        return True

    def foreign(self, name: str, path: str) -> str | None:
        """Return the first thing that is in the way of writing to `path`, None if none is."""
        in_the_way = [p for p in self.present(name, path) if not self.is_own(name, p)]
        if self.overwrite:
            in_the_way = [p for p in in_the_way if not self.is_of_its_kind(name, p)]
        return in_the_way[0] if in_the_way else None


def _there(path: str) -> list[str]:
    return [path] if os.path.lexists(path) else []


def _holds_events(folder: str) -> bool:
    """Whether a folder holds what TensorBoard reads, and nothing else."""
    try:
        for part in os.listdir(folder):
            inside = os.listdir(os.path.join(folder, part))
            if part not in ("train", "validation") or not all(
                name.startswith(_EVENTS) for name in inside
            ):
                return False
    except OSError:
        return False
    return True


@contextmanager
def claimed_outputs(
    model: Any, settings: dict[str, Any], arguments: argparse.Namespace, resumed: Resumed | None
) -> Iterator[None]:
    """Keep the run's names for it; a name that is another's is changed, and it is said.

    A resumed run goes on with the files that its settings name, where they are
    its own. `settings` and `arguments.plot` hold the names afterwards.
    """
    scheduled = run_recipe(settings).schedule is not None
    more = ("learning_rate",) if scheduled else ()
    outputs = _Outputs(model, arguments.overwrite, resumed, more)
    wanted = {name: settings[name] for name in ("checkpoint", "history", "log_dir")}
    with ExitStack() as stack:
        for name, path in {**wanted, "plot": arguments.plot}.items():
            if path is None:
                continue
            if resumed is not None and getattr(arguments, name) is None:
                _claim_noted(outputs, name, path, resumed, stack)
            elif name == "plot":
                arguments.plot = _claim(outputs, name, path, stack)
            else:
                settings[name] = _claim(outputs, name, path, stack)
        yield


def _claim(outputs: _Outputs, name: str, wanted: str, stack: ExitStack) -> str:
    """Return the first of a name, name-2, name-3 ... that is free or the run's own, locked."""
    option = f"--{name.replace('_', '-')} {wanted!r}"
    why = ""
    for number in range(1, _MOST_NAMES + 1):
        path = numbered(wanted, number, name == "checkpoint")
        with ExitStack() as attempt:
            if not attempt.enter_context(locked(_lock_of(name, path))):
                why = why or "another training is writing there now"
            elif not (in_the_way := outputs.foreign(name, path)):
                stack.enter_context(attempt.pop_all())
                if number > 1:
                    print_warning(f"{option}: {why}; this run writes to {path!r}")
                return path
            elif outputs.overwrite:
                raise UsageError(
                    f"{option}: {in_the_way!r} was not written by a training and is not "
                    "overwritten; remove it or give another name"
                )
            else:
                why = why or f"{in_the_way!r} is there already and kept without --overwrite"
    raise UsageError(f"{option}: {why}, as are all names to {path!r}; give another")


def _claim_noted(
    outputs: _Outputs, name: str, path: str, resumed: Resumed, stack: ExitStack
) -> None:
    """Lock a name that a file holds, or refuse it."""
    remedy = f"give --{name.replace('_', '-')}"
    where = f"--resume {resumed.path}"
    if not stack.enter_context(locked(_lock_of(name, path))):
        raise UsageError(f"{where}: another training is writing to {path!r} now; {remedy}")
    if in_the_way := outputs.foreign(name, path):
        raise UsageError(
            f"{where}: its {name} is {in_the_way!r}, which is not this run's; {remedy}"
        )


def _lock_of(name: str, path: str) -> str:
    return last_path(path) if name == "checkpoint" else path


# Where a file may send its reader


def check_inside(settings: Mapping[str, Any], said: Mapping[str, Any], resumed: str) -> None:
    """Refuse paths out of a checkpoint that leave the working folder and the checkpoint's."""
    folders = trusted_folders(resumed)
    for name in ("checkpoint", "history", "log_dir"):
        path = settings[name]
        if path is None or name in said:
            continue
        for written in _all_written(name, path):
            if not is_inside(written, folders):
                raise UsageError(
                    f"--resume {resumed}: its {name} is {path!r}, which leads to "
                    f"{os.path.realpath(written)!r}, outside of the working folder and the "
                    f"checkpoint's; if it is meant, give --{name.replace('_', '-')}"
                )


def trusted_folders(resumed: str) -> list[str]:
    """Return the working folder and the checkpoint's."""
    return [os.path.realpath("."), os.path.realpath(os.path.dirname(resumed) or ".")]


def is_inside(path: str, folders: Sequence[str]) -> bool:
    """Whether `path` is in one of the real paths `folders`, its links followed."""
    real = os.path.realpath(path)
    return any(os.path.commonpath([real, folder]) == folder for folder in folders)


def _all_written(name: str, path: str) -> Iterator[str]:
    """Yield where a setting can lead to: its own links, and those in place of its folders."""
    yield path
    if name == "log_dir":
        for part in ("train", "validation"):
            yield os.path.join(path, part)
    if name == "checkpoint":
        yield last_path(path)
        yield example_name(path)
        while "{" in path:
            yield from matches(path)
            path = os.path.dirname(path)
