"""Unpacking a zip that may be damaged or hostile."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import shutil
import stat
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from .._core.naming import shortened
from .folders import naming_full_disks
from .names import LeadsOut, decode_names, destination

# The real set has 64 MB in 2,800 files; far larger zips are not sets of photos to learn on.
MAX_BYTES = 4 << 30
MAX_FILES = 200_000
# Photos hardly shrink and flat drawings in BMP shrink a hundredfold; what shrinks more is a bomb.
MAX_RATIO = 200
_RATIO_COUNTS_FROM = 100 << 20
# `zipfile` reads the whole table of contents, which takes ten times its size in memory.
_MAX_TABLE_BYTES = 32 << 20
_BLOCK_BYTES, _SMALL_BLOCK_BYTES = 1 << 20, 1 << 12
_METHODS = {9: "Deflate64", 93: "Zstandard", 95: "xz", 96: "JPEG", 99: "AES"}
_LOCAL_HEADER_BYTES = 30
_DOS_FOLDER = 0x10
_some = functools.partial(shortened, most=5, separator=", ")


class _TooLarge(ValueError):
    """A table of contents that is not read."""


class _BoundedReader(io.BufferedReader):
    """A file that is never read more of at once than a table of contents may have."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > _MAX_TABLE_BYTES:
            raise _TooLarge(
                f"{self.name!r}: its table of contents has {size:,} bytes; at most "
                f"{_MAX_TABLE_BYTES:,} are read"
            )
        return super().read(size)


@dataclass
class _Plan:
    """What is to be done: folders and files to make, and what is left out, with its reason."""

    folders: dict[PurePosixPath, str] = field(default_factory=dict)
    files: dict[PurePosixPath, zipfile.ZipInfo] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[zipfile.ZipFile]:
    """Open a zip to read it.

    Raises:
        ValueError: it is damaged or no zip, on opening it and in the block.
    """
    with open(path, "rb", buffering=0) as raw, _BoundedReader(raw) as file:
        with _naming_damage(path):
            archive = zipfile.ZipFile(file)
        with archive:
            yield archive


def unpack(
    path: str | os.PathLike[str],
    folder: Path,
    max_bytes: int = MAX_BYTES,
    max_files: int = MAX_FILES,
) -> None:
    """Unpack the zip at `path` into the existing, empty `folder`, or refuse all of it.

    Nothing is written outside `folder`: a name that leads out of it refuses the
    zip. So do, before anything is written, more than `max_bytes` or `max_files`
    (folders counted), more bytes than the disk has free, more than 100 MB that
    are over 200 times the zip's size, members that overlap, and two different
    files of one name.

    One odd member does not spoil the rest: links and special files, names of
    more than 255 bytes, with a colon or a control character, or of a device of
    Windows are skipped with a warning that names them.

    Names are decoded as `decode_names` says and written in NFC, letters and
    accents joined.

    Raises:
        ValueError: the zip is damaged, encrypted or unsafe; the message says which.
        OSError: the disk is full, or the like.
    """
    with opened(path) as archive:
        _check_layout(archive, path)
        names, doubtful = decode_names(archive.infolist())
        plan = _plan(archive.infolist(), names, path)
        _check_sizes(plan, path, folder, max_bytes, max_files)
        for place in plan.folders:
            _make_folder(folder / place, path)
        for place, member in plan.files.items():
            _write(archive, member, folder / place, plan, path)
    _tell(path, plan, doubtful)


def _plan(
    members: Sequence[zipfile.ZipInfo], names: Sequence[str], path: str | os.PathLike[str]
) -> _Plan:
    """Sort the members by what becomes of them, or refuse the zip."""
    plan = _Plan()
    for member, name in zip(members, names, strict=True):
        try:
            place, oddity = destination(name)
        except LeadsOut as error:
            raise ValueError(f"{_shown(path)}: {error}") from None
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            oddity = oddity or "a link or a special file"
        is_folder = _is_folder(member, name, kind)
        if oddity is not None:
            # "./" and "/" alone stand for the folder itself, in which there is nothing to make.
            if place.parts or not is_folder:
                plan.skipped.append(f"{name!r} ({oddity})")
        elif is_folder:
            plan.folders[place] = name
        elif member.flag_bits & 0x1:
            raise ValueError(f"{_shown(path)}: {name!r} is encrypted; unpack it by hand")
        elif (other := plan.files.setdefault(place, member)) is not member:
            if (other.CRC, other.file_size) != (member.CRC, member.file_size):
                raise ValueError(f"{_shown(path)}: {name!r} is in it twice")
            plan.skipped.append(f"{name!r} (in it twice)")
    for place in (*plan.files, *plan.folders):
        for parent in place.parents[:-1]:
            plan.folders.setdefault(parent, "")
    for place in plan.files:
        if place in plan.folders:
            raise ValueError(
                f"{_shown(path)}: two of its names cannot be kept apart: {str(place)!r} is a file "
                "and a folder"
            )
    return plan


def _is_folder(member: zipfile.ZipInfo, name: str, kind: int) -> bool:
    if name.endswith(("/", "\\")) or kind == stat.S_IFDIR:
        return True
    return bool(kind == 0 and member.external_attr & _DOS_FOLDER and member.file_size == 0)


def _check_layout(archive: zipfile.ZipFile, path: str | os.PathLike[str]) -> None:
    """Refuse members that lie over each other: a few bytes could become any number of files."""
    members = sorted(archive.infolist(), key=lambda member: member.header_offset)
    starts = [*(member.header_offset for member in members[1:]), archive.start_dir]
    for member, following in zip(members, starts, strict=False):
        end = member.header_offset + _LOCAL_HEADER_BYTES + member.compress_size
        if end > following or member.header_offset < 0:
            raise ValueError(
                f"{_shown(path)}: {member.filename!r} overlaps what comes behind it; the zip is "
                "damaged or a bomb"
            )


def _check_sizes(
    plan: _Plan, path: str | os.PathLike[str], folder: Path, max_bytes: int, max_files: int
) -> None:
    """Refuse what would be too much, by the table of contents alone."""
    count = len(plan.files)
    if count + len(plan.folders) > max_files:
        folders = f" in {len(plan.folders):,} folders" if count <= max_files else ""
        raise ValueError(
            f"{_shown(path)} holds {count:,} files{folders}; at most {max_files:,} are unpacked"
        )
    total = sum(member.file_size for member in plan.files.values())
    if total > max_bytes:
        raise ValueError(
            f"{_shown(path)} would unpack to {total:,} bytes; at most {max_bytes:,} are unpacked"
        )
    packed = os.path.getsize(path)
    if total > _RATIO_COUNTS_FROM and total > MAX_RATIO * packed:
        raise ValueError(
            f"{_shown(path)} of {packed:,} bytes would unpack to {total:,}; at most {MAX_RATIO} "
            "times its size is unpacked"
        )
    free = shutil.disk_usage(folder).free
    if total > free:
        # The folder is temporary, so the caller, who knows the final one, names it.
        raise OSError(errno.ENOSPC, f"{_shown(path)} unpacks to {total:,} bytes, {free:,} are free")


def _make_folder(place: Path, path: str | os.PathLike[str]) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise _clash(path, error) from error


def _write(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    target: Path,
    plan: _Plan,
    path: str | os.PathLike[str],
) -> None:
    left = member.file_size
    with _naming_damage(path, member):
        source = archive.open(member)
    try:
        file = open(target, "xb")  # noqa: SIM115 - closed below; its errors differ from reading's
    except FileExistsError as error:
        raise _clash(path, error) from error
    except OSError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ):
            raise
        plan.skipped.append(f"{member.filename!r} ({error.strerror})")
        return
    with source, file, naming_full_disks(target):
        while block := _read(source, member, path):
            # The total was checked by the table of contents, which may lie.
            left -= len(block)
            if left < 0:
                raise ValueError(
                    f"{_shown(path)} is damaged: {member.filename!r} is longer than it says"
                )
            file.write(block)


def _read(source: IO[bytes], member: zipfile.ZipInfo, path: str | os.PathLike[str]) -> bytes:
    # The other decompressors unpack a whole input block into memory, however little is asked for.
    bounded = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    with _naming_damage(path, member):
        return source.read(_BLOCK_BYTES if bounded else _SMALL_BLOCK_BYTES)


@contextlib.contextmanager
def _naming_damage(
    path: str | os.PathLike[str], member: zipfile.ZipInfo | None = None
) -> Iterator[None]:
    """Turn what `zipfile` and its decompressors raise on damaged bytes into a ValueError."""
    try:
        yield
    except (MemoryError, _TooLarge):
        raise
    except Exception as error:
        # Errors of the disk have a number; EINVAL comes from offsets that a damaged zip names.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        reason = str(error) or type(error).__name__
        if isinstance(error, NotImplementedError) and member is not None:
            method = _METHODS.get(member.compress_type, f"method {member.compress_type}")
            raise ValueError(
                f"{_shown(path)}: {member.filename!r} is packed in a way that is not read here "
                f"({method}: {reason}); unpack it by other means and give the folder"
            ) from error
        if isinstance(error, UnicodeError):
            reason = f"a name that should be UTF-8 is not ({reason})"
        raise ValueError(f"{_shown(path)} is damaged or no zip: {reason}; get it anew") from error


def _clash(path: str | os.PathLike[str], error: OSError) -> ValueError:
    return ValueError(f"{_shown(path)}: two of its names cannot be kept apart: {error}")


def _tell(path: str | os.PathLike[str], plan: _Plan, doubtful: Sequence[str]) -> None:
    if plan.skipped:
        warnings.warn(
            f"{_shown(path)}: {len(plan.skipped)} of its members skipped: {_some(plan.skipped)}",
            stacklevel=3,
        )
    if doubtful:
        warnings.warn(
            f"{_shown(path)}: the encoding of {len(doubtful)} of its names is unknown, CP437 is "
            f"taken: {_some([*map(repr, doubtful)])}; pack it anew, in UTF-8, if they look wrong",
            stacklevel=3,
        )


def _shown(path: str | os.PathLike[str]) -> str:
    return repr(os.fspath(path))
