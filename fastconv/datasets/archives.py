"""Unpacking a zip that may be damaged or hostile."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

# The real set has 64 MB in 2,800 files; what goes far beyond is not a set of photos to learn on.
MAX_BYTES = 4 << 30
MAX_FILES = 200_000
_BLOCK_BYTES = 1 << 20


def unpack(
    path: str | os.PathLike[str],
    folder: Path,
    max_bytes: int = MAX_BYTES,
    max_files: int = MAX_FILES,
) -> None:
    """Unpack the zip at `path` into the existing `folder`, or refuse all of it.

    Nothing is written outside `folder`: names that lead out of it, symbolic
    links and special files, and more than `max_bytes` or `max_files` are
    refused before anything is written.

    Raises:
        ValueError: the zip is damaged, encrypted or unsafe; the message says which.
        OSError: the disk is full, or the like.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            _check(members, path, max_bytes, max_files)
            for member in members:
                _write(archive, member, folder, path)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(
            f"{_shown(path)}: two of its names cannot be kept apart: {error}"
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError) as error:
        raise ValueError(f"{_shown(path)} is damaged or no zip: {error}; get it anew") from error


def _check(
    members: list[zipfile.ZipInfo], path: str | os.PathLike[str], max_bytes: int, max_files: int
) -> None:
    """Refuse a zip by its table of contents alone."""
    if len(members) > max_files:
        raise ValueError(
            f"{_shown(path)} holds {len(members):,} files; at most {max_files:,} are unpacked"
        )
    total = sum(member.file_size for member in members)
    if total > max_bytes:
        raise ValueError(
            f"{_shown(path)} would unpack to {total:,} bytes; at most {max_bytes:,} are unpacked"
        )
    seen = set()
    for member in members:
        if member.flag_bits & 0x1:
            raise ValueError(f"{_shown(path)}: {member.filename!r} is encrypted; unpack it by hand")
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise ValueError(
                f"{_shown(path)}: {member.filename!r} is a link or a special file; only plain "
                "files are unpacked"
            )
        name = _relative(member, path)
        if name in seen:
            raise ValueError(f"{_shown(path)}: {member.filename!r} is in it twice")
        seen.add(name)


def _relative(member: zipfile.ZipInfo, path: str | os.PathLike[str]) -> PurePosixPath:
    """Return where a member goes, relative to the target folder."""
    # Windows takes a backslash for a separator and a colon for a drive.
    name = PurePosixPath(member.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in member.filename or not name.parts:
        raise ValueError(
            f"{_shown(path)}: {member.filename!r} leads out of the folder it would be unpacked in"
        )
    return name


def _write(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    folder: Path,
    path: str | os.PathLike[str],
) -> None:
    target = folder / _relative(member, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    left = member.file_size
    with archive.open(member) as source, open(target, "xb") as file:
        while block := source.read(_BLOCK_BYTES):
            # The table of contents was believed when the total was checked; it may lie.
            left -= len(block)
            if left < 0:
                raise zipfile.BadZipFile(f"{member.filename!r} is longer than it says")
            file.write(block)


def _shown(path: str | os.PathLike[str]) -> str:
    return repr(os.fspath(path))
