"""Folders that data sets live in: where the cache is, and how one comes to be at once."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .scratch import scratch_folder

_NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
_told: set[Path] = set()


def cache_folder() -> Path:
    """Return the folder that holds downloaded and drawn data sets; it may not exist yet.

    FASTCONV_DATA if set, else `fastconv` in XDG_CACHE_HOME or ~/.cache.

    Raises:
        ValueError: FASTCONV_DATA is a file.
    """
    chosen = os.environ.get("FASTCONV_DATA")
    if chosen:
        folder = _expanded(chosen)
        if folder.is_file():
            raise ValueError(
                f"FASTCONV_DATA is {chosen!r}, a file; it names the folder that data sets are kept "
                "in: give a data set itself with --data"
            )
        return folder
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(cache) if cache else Path.home() / ".cache") / "fastconv"
    except RuntimeError:  # a user without a home
        return _temporary_folder()


def place_of(name: str) -> Path:
    """Return where the data set `name` is kept, or is to be made.

    That is in the cache. Where it is not there and the cache cannot be
    written, as in a home folder that is read-only, it is in a folder for
    temporary files, which is said on stderr.

    Raises:
        ValueError: FASTCONV_DATA names a folder that cannot be written, or
            there is no other place either.
    """
    cache = cache_folder()
    if os.path.isdir(cache / name):
        return cache / name
    reason = _why_not_writable(cache)
    if reason is None:
        return cache / name
    chosen = os.environ.get("FASTCONV_DATA")
    if chosen:
        raise ValueError(
            f"FASTCONV_DATA is {chosen!r}; it must be a folder that can be written ({reason})"
        )
    folder = _temporary_folder()
    if (trouble := _why_not_writable(folder)) is not None:
        raise ValueError(
            f"neither {str(cache)!r} ({reason}) nor {str(folder)!r} ({trouble}) can be written; "
            "let FASTCONV_DATA name a folder for data sets"
        )
    if folder not in _told:
        _told.add(folder)
        print(
            f"{str(cache)!r} cannot be written ({reason}): data sets are kept in {str(folder)!r}; "
            "FASTCONV_DATA names another folder",
            file=sys.stderr,
            flush=True,
        )
    return folder / name


def _expanded(chosen: str) -> Path:
    try:
        return Path(chosen).expanduser()
    except RuntimeError as error:
        raise ValueError(
            f"FASTCONV_DATA is {chosen!r}; it must be a folder that can be written ({error})"
        ) from None


def _why_not_writable(folder: Path) -> str | None:
    """Return why no file can be made in `folder`, which is made if it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or str(error)


def _temporary_folder() -> Path:
    """Return this user's own folder among the temporary files, the same one every time."""
    return _own_folder(Path(tempfile.gettempdir()))


@functools.cache
def _own_folder(parent: Path) -> Path:
    user = os.geteuid() if hasattr(os, "geteuid") else 0
    folder = parent / f"fastconv-{user}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700)
    # Everybody may write to the parent, so a folder of that name that is not ours is not used.
    try:
        status = folder.lstat()
    except OSError:
        return folder
    others = stat.S_IWGRP | stat.S_IWOTH
    if stat.S_ISDIR(status.st_mode) and not status.st_mode & others and status.st_uid == user:
        return folder
    return Path(tempfile.mkdtemp(prefix="fastconv-", dir=parent))


def holds_data_set(folder: Path) -> bool:
    """Whether `folder` has the two sub-folders of a data set."""
    return (folder / "train").is_dir() and (folder / "validation").is_dir()


@contextlib.contextmanager
def filled_at_once(
    target: Path, is_whole: Callable[[Path], bool] = holds_data_set
) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes `target` when the block ends well.

    Nobody ever sees `target` half filled: on an error or Ctrl-C what was
    written is removed, after a kill by the next one that fills a folder beside
    it. If another process was faster, its `target` stays.

    Raises:
        FileExistsError: `target` is there, is not empty and not what `is_whole` accepts.
        OSError: the disk is full, or the like; the message names the folder.
    """
    with naming_full_disks(target), scratch_folder(target.parent, target.name) as outer:
        # Only its owner may enter a scratch folder; the inner folder has the usual permissions.
        inner = outer / target.name
        inner.mkdir()
        yield inner
        try:
            inner.rename(target)
        except OSError:
            if not target.exists():
                raise
            if not is_whole(target):
                raise FileExistsError(
                    f"{str(target)!r} is there already and is no data set (train/ and "
                    "validation/); remove it or choose another place"
                ) from None


@contextlib.contextmanager
def naming_full_disks(path: Path) -> Iterator[None]:
    """Let errors about a full disk say where it is full, and what to do."""
    try:
        yield
    except OSError as error:
        number = error.errno
        if number is None or number not in _NO_ROOM or error.filename is not None:
            raise
        raise OSError(
            number,
            f"{error.strerror}; free some, or let FASTCONV_DATA name a folder elsewhere",
            str(path),
        ) from error
