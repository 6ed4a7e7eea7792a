"""NumPy archives (.npz) that are written whole or not at all, and read without trust."""

from __future__ import annotations

import contextlib
import math
import os
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from typing import BinaryIO, cast

import numpy as np

from .._core.files import open_regular, replacing
from .._core.json_values import ARRAY_KINDS

_ZIP_START = b"PK\x03\x04"
_SUFFIX = ".npy"

# A file decides itself how much memory it takes, within these bounds. fastconv stores arrays as
# they are; others may compress them, but an array of weights never by much.
_ALWAYS_ALLOWED = 64 << 20
_LARGEST_RATIO = 16

_LONGEST_HEADER = 4096
_LONGEST_NAME = 65_000  # in bytes; a zip counts them in 16 bits
_CHUNK = 1 << 20
# What NumPy writes for a plain array: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
_HEADER = re.compile(
    rb"\{'descr': *'([<>|=][biufcSU]\d{1,9})', *'fortran_order': *(True|False), *"
    rb"'shape': *\(((?:\d{1,18}, *)*(?:\d{1,18})?)\) *,? *\}[ \n]*"
)


class CheckpointError(ValueError):
    """A file that cannot be taken as a checkpoint: the message says which and why."""


@contextlib.contextmanager
def reading(path: str, fault: str = "the file is damaged", remedy: str = "") -> Iterator[None]:
    """Turn whatever goes wrong in the block into a CheckpointError that names the file.

    This is the one place that does: a file from elsewhere may hold anything,
    and so the parsers of zips, JSON and arrays, and the constructors that are
    handed what stands in it, may raise anything.
    """
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, KeyError):
            reason = f"it lacks {reason}"
        if len(reason) > 1000:
            reason = f"{reason[:1000]} ..."
        raise CheckpointError(f"{path}: {fault}: {reason}{remedy}") from error


def write(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Write `arrays` by name to `path`, so that `numpy.load(path)` gives them back.

    A reader, or a crash at any moment, finds the old file or the new one; see
    `_core.files.replacing`. Raises ValueError, before anything is written, for what
    `read` would refuse: Python objects, names that a zip cannot hold.
    """
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in arrays.items():
        _check(name, array)
    with replacing(path) as file:
        _write_zip(file, arrays)


def _check(name: str, array: np.ndarray) -> None:
    if array.dtype.kind not in ARRAY_KINDS:
        raise ValueError(
            f"archive: {name!r} is an array of {array.dtype}; it must be of numbers or text: "
            "nothing is pickled"
        )
    size = len(name.encode("utf-8", "replace"))
    if "\0" in name or size > _LONGEST_NAME or any("\ud800" <= c <= "\udfff" for c in name):
        raise ValueError(f"archive: a name is {name[:99]!r}; it must be one that a zip can hold")


def _write_zip(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            # A ZipInfo of our own has a fixed date: equal contents make equal files.
            info = zipfile.ZipInfo(f"{name}{_SUFFIX}")
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def read(
    path: str | os.PathLike[str], only: Collection[str] | None = None
) -> dict[str, np.ndarray]:
    """Return the arrays of an archive by name, in the order they were written.

    With `only`, those of these names that are there. The checksums of what is
    read are verified and nothing is unpickled. All sizes are known before
    anything is inflated: 64 MB and 16 times the file's size bound what all
    arrays take together.

    Raises FileNotFoundError, IsADirectoryError or PermissionError for a path
    that cannot be opened, OSError for a pipe or a device, and CheckpointError
    for a file that is damaged, too large when inflated, or no NumPy archive.
    """
    path = os.fsdecode(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"checkpoint {path!r} does not exist")
    if os.path.isdir(path):
        raise IsADirectoryError(f"checkpoint {path!r} is a folder; give a .npz file")
    with open_regular(path) as file, reading(path):
        start = file.read(len(_ZIP_START))
        if start != _ZIP_START:
            what = "is empty" if not start else "is not a fastconv checkpoint (no NumPy archive)"
            raise CheckpointError(f"{path}: the file {what}")
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_members(members, os.fstat(file.fileno()).st_size)
            named = {info.filename.removesuffix(_SUFFIX): info for info in members}
            return {
                name: _read_member(archive, info)
                for name, info in named.items()
                if only is None or name in only
            }


def _check_members(members: list[zipfile.ZipInfo], file_size: int) -> None:
    """Refuse, by the zip's directory alone, what would take too much or hide something."""
    if len({info.filename for info in members}) != len(members):
        raise ValueError("two parts have one name")
    for info in members:
        # Other methods' decoders take memory of their own accord.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{info.filename!r} is compressed in a way that NumPy does not use")
    total = sum(info.file_size for info in members)
    allowed = _ALWAYS_ALLOWED + _LARGEST_RATIO * file_size
    if total > allowed:
        raise ValueError(
            f"its {file_size:,} bytes would become {total:,}; at most {allowed:,} are read"
        )


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """Return the array of a .npy member; raise ValueError unless it is whole."""
    with cast(zipfile.ZipExtFile, archive.open(info)) as member:
        dtype, fortran_order, shape = _read_header(member, info.filename)
        size = math.prod(shape) * dtype.itemsize
        if size != info.file_size - member.tell():
            raise ValueError(f"{info.filename!r} does not hold the {shape} array it announces")
        memory = np.empty(size, np.uint8)
        for at in range(0, size, _CHUNK):
            chunk = memory.data[at : at + _CHUNK]
            if member.readinto(chunk) != len(chunk):
                raise ValueError(f"{info.filename!r} ends early")
        member.read(1)  # at the end the checksum is verified, of an array of no numbers too
    return memory.view(dtype).reshape(shape, order="F" if fortran_order else "C")


def _read_header(member: zipfile.ZipExtFile, name: str) -> tuple[np.dtype, bool, tuple[int, ...]]:
    """Return dtype, order and shape; the header is matched, not evaluated."""
    start = member.read(8)
    if start[:6] != b"\x93NUMPY" or start[6:] not in (b"\1\0", b"\2\0", b"\3\0"):
        raise ValueError(f"{name!r} is no NumPy array")
    length = int.from_bytes(member.read(2 if start[6] == 1 else 4), "little")
    header = member.read(min(length, _LONGEST_HEADER))
    found = _HEADER.fullmatch(header)
    if found is None or len(header) != length:
        raise ValueError(
            f"{name!r} is no array of numbers or text; Python objects are never unpickled"
        )
    descr, order, sizes = (part.decode("ascii") for part in found.groups())
    shape = tuple(int(size) for size in sizes.split(",") if size.strip())
    return np.dtype(descr), order == "True", shape
