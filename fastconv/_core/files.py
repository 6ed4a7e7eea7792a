"""Files that are replaced as a whole, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # no POSIX: what a killed writer leaves then stays
    fcntl = None  # type: ignore[assignment]

# A name in a folder may have 255 bytes: a temporary file's is far below, whatever the target's.
_LONGEST_STEM = 120


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Give a file to write; when the block ends without an error it takes `path`'s place.

    A reader, or a crash at any moment, finds the old file or the new one: the
    file is written beside `path`, flushed to the disk and then renamed. A
    symbolic link keeps pointing where it does, and the mode and the owner of
    a file that is replaced are kept. What writers that were killed have left
    of the same target is removed first.

    Raises FileNotFoundError if the folder is missing, IsADirectoryError if
    `path` is a folder, OSError if it is a device or the like, which would be
    lost; an OSError names `path`.
    """
    path = os.path.realpath(os.fsdecode(path))
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"{path!r} cannot be written: there is no folder {folder!r}; make it"
        )
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path!r} cannot be written: it is a folder; give a file's name")
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"{path!r} cannot be replaced: it is a device or a pipe; give a file's name")
    try:
        _remove_abandoned(folder, _stem(name))
        done = False
        while not done:
            temporary = os.path.join(folder, f"{_stem(name)}{os.urandom(6).hex()}.tmp")
            try:
                with open(temporary, "xb") as file:
                    if not _claim(file.fileno(), temporary):
                        continue
                    _take_mode(file, path)
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                    # Renamed while it is still locked, so that nobody takes it for abandoned.
                    os.replace(temporary, path)
                    done = True
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)
                raise
    except OSError as error:
        if error.errno is None:
            raise
        # "No space left on device" alone helps nobody, nor does the name of the file beside.
        raise OSError(error.errno, error.strerror, path) from error
    _sync_folder(folder)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to read; raise OSError for a pipe or a device, whose bytes may never come or end.

    Whoever means one can hand over an open file.
    """
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    return file


def _open_at_once(path: str, flags: int) -> int:
    # To open a pipe would wait for its writer.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@contextlib.contextmanager
def named_in_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the file in an OSError that does not: a full disk does not say of which file."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)
        raise


def _stem(name: str) -> str:
    """Return what the names of a target's temporary files begin with."""
    if len(os.fsencode(name)) > _LONGEST_STEM:
        import hashlib  # three milliseconds, for names that hardly anybody has

        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return f".{name}."


def _claim(handle: int, path: str) -> bool:
    """Lock a new file: it is somebody's. Return whether it is still there.

    Another writer may have taken it for abandoned in the moment before.
    """
    return not lock(handle, wait=True) or is_at(handle, path)


def _remove_abandoned(folder: str, stem: str) -> None:
    """Remove a target's temporary files that no writer holds locked: theirs were killed."""
    pattern = re.compile(re.escape(stem) + r"[0-9a-f]{12}\.tmp")
    for name in os.listdir(folder):
        if not pattern.fullmatch(name):
            continue
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
            try:
                if lock(handle) and is_at(handle, path):
                    os.unlink(path)
            finally:
                os.close(handle)


def lock(handle: int, wait: bool = False) -> bool | None:
    """Lock a file or folder until it is closed, however that comes; return whether that was done.

    It is False where another one holds the lock, None where there are no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # NFS locks nothing that was opened for reading alone
        return None
    return True


def is_at(handle: int, path: str | os.PathLike[str]) -> bool:
    """Whether `path` is, itself and not by a link, the file or folder that is open."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _take_mode(file: BinaryIO, path: str) -> None:
    """Give a new file the mode and, where that is allowed, the owner of the one it replaces."""
    try:
        replaced = os.stat(path)
    except FileNotFoundError:
        return
    mine = os.fstat(file.fileno())
    if hasattr(os, "fchown") and (mine.st_uid, mine.st_gid) != (replaced.st_uid, replaced.st_gid):
        for owner in ((-1, replaced.st_gid), (replaced.st_uid, -1)):
            with contextlib.suppress(OSError):
                os.fchown(file.fileno(), *owner)
    os.chmod(file.name, stat.S_IMODE(replaced.st_mode))


def _sync_folder(folder: str) -> None:
    """Put the renaming itself on the disk, where the system lets a folder be synced."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
