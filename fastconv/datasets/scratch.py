"""Unfinished files and folders that know whose they are, so that a killed process leaves none.

Whoever makes one holds a lock on it (flock), which ends with the process, however it ends. The
next one that works in the same place removes what nobody holds, beside others at work.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .._core.files import is_at, lock

#: The ending of unfinished folders' names, by which no other program's folder is removed.
FOLDER_ENDING = ".fastconv-part"
# Where a file system has no locks, what is older than this is taken for abandoned.
_ABANDONED_SECONDS = 24 * 3600.0
_NAME_CHARACTERS = 40  # of the target's name, which may be as long as names may be


@contextlib.contextmanager
def scratch_folder(parent: Path, name: str) -> Iterator[Path]:
    """Give a new folder in `parent`, which is made, and remove it at the end.

    Folders of processes that were killed are removed first.
    """
    parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(parent, f".*{FOLDER_ENDING}")
    folder, handle = _claimed_folder(parent, name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _claimed_folder(parent: Path, name: str) -> tuple[Path, int]:
    prefix = f".{name[:_NAME_CHARACTERS]}-"
    while True:
        folder = Path(tempfile.mkdtemp(FOLDER_ENDING, prefix, dir=parent))
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY)
            if _claim(handle, folder):
                return folder, handle
            os.close(handle)


def claimed_file(folder: Path, prefix: str, suffix: str) -> tuple[int, str]:
    """Make a file as `tempfile.mkstemp` does, locked for as long as the handle or a copy is open.

    Return the handle and the path.
    """
    while True:
        handle, path = tempfile.mkstemp(suffix, prefix, folder)
        if _claim(handle, path):
            return handle, path
        os.close(handle)


def _claim(handle: int, path: str | os.PathLike[str]) -> bool:
    """Lock what was just made; False if somebody took it for abandoned and removed it."""
    return lock(handle) is not False and is_at(handle, path)


def remove_abandoned(folder: Path, pattern: str) -> None:
    """Remove the entries of `folder`, files and folders, that match and that nobody holds."""
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):
            # Another user's link of such a name is not followed, and a pipe is not waited for.
            handle = os.open(
                path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
            )
            try:
                if _is_abandoned(handle):
                    _remove(path)
            finally:
                os.close(handle)


def _is_abandoned(handle: int) -> bool:
    status = os.fstat(handle)
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        return False
    locked = lock(handle)
    # An empty file takes no room, and its maker may be about to lock it.
    empty = stat.S_ISREG(status.st_mode) and status.st_size == 0
    if locked is None or (locked and empty):
        return time.time() - status.st_mtime > _ABANDONED_SECONDS
    return locked


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()
