"""HDF5 files that are read without trust, by h5py (an extra, imported when first used).

A file is followed along hard links alone, so nothing outside of it is opened, and only plain
arrays of numbers are read: what Keras never writes (compression, external and virtual storage)
could make a small file take any memory. Each array takes as many bytes of memory as of the file.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

_LARGEST_LIST = 100_000


def require_h5py() -> Any:
    """Return h5py, or raise ImportError that says how to install it."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"h5py cannot be imported ({error}); Keras's files are HDF5, install it with: "
            "pip install 'fastconv[hdf5]'"
        ) from error
    return h5py


class Folder:
    """A group of an HDF5 file: what it holds by name, its texts, and its arrays."""

    def __init__(self, group: Any, size: int, path: str = "") -> None:
        self._group, self._size, self.path = group, size, path

    def names(self) -> list[str]:
        """Return the names of all that it holds."""
        return [str(name) for name in self._group]

    def find(self, path: str) -> Any:
        """Return the Folder or the array's `Entry` at a path below, or None."""
        h5py, found = require_h5py(), self._group
        for name in path.split("/"):
            if not isinstance(found, h5py.Group) or name in ("", ".", "..") or name not in found:
                return None
            link = found.get(name, getclass=True, getlink=True)
            if link is not h5py.HardLink:
                raise ValueError(
                    f"{self.path}/{path} is a {link.__name__}: links to elsewhere are not followed"
                )
            found = found[name]
        where = f"{self.path}/{path}"
        if isinstance(found, h5py.Group):
            return Folder(found, self._size, where)
        return Entry(found, self._size, where)

    def folder(self, path: str) -> Folder:
        """Return the Folder at a path; raise ValueError for anything else."""
        found = self.find(path)
        if not isinstance(found, Folder):
            raise ValueError(f"{self.path}/{path} is no group")
        return found

    def entry(self, path: str) -> Entry:
        """Return the array at a path; raise ValueError for anything else."""
        found = self.find(path)
        if not isinstance(found, Entry):
            raise ValueError(f"{self.path}/{path} is no array")
        return found

    def text(self, name: str) -> str | None:
        """Return a text among the attributes, None where there is none."""
        found = self._attribute(name)
        return None if found is None else _text(found)

    def texts(self, name: str) -> list[str]:
        """Return a list of texts among the attributes; long ones are in parts, as Keras has them.

        Raises ValueError where there is none.
        """
        found = self._attribute(name)
        parts = [found]
        if found is None:
            numbered = (self._attribute(f"{name}{number}") for number in range(_LARGEST_LIST))
            parts = list(itertools.takewhile(lambda part: part is not None, numbered))
        if not parts:
            raise ValueError(f"{self.path or '/'} has no {name!r}")
        return [_text(one) for part in parts for one in np.atleast_1d(part)]

    def has(self, name: str) -> bool:
        """Whether there is an attribute of that name."""
        return name in self._group.attrs

    def _attribute(self, name: str) -> Any:
        attributes = self._group.attrs
        if name not in attributes:
            return None
        shape = attributes.get_id(name).shape or ()
        if math.prod(shape) > _LARGEST_LIST:
            raise ValueError(f"{self.path or '/'} has {math.prod(shape):,} texts as {name!r}")
        return attributes[name]


class Entry:
    """An array of an HDF5 file, which is not read before its size is known to be the file's."""

    def __init__(self, dataset: Any, size: int, path: str) -> None:
        self.path = path
        if not hasattr(dataset, "shape") or dataset.shape is None:
            raise ValueError(f"{path} is no array")
        if dataset.external or dataset.is_virtual:
            raise ValueError(f"{path} lies in other files, which are not opened")
        if dataset.dtype.kind not in "fiu" or dataset.dtype.hasobject:
            raise ValueError(f"{path} has the dtype {dataset.dtype}; it must be numbers")
        if dataset.id.get_create_plist().get_nfilters():
            raise ValueError(
                f"{path} is compressed, which Keras's files are not; h5repack -f NONE undoes it"
            )
        self.shape: tuple[int, ...] = tuple(int(one) for one in dataset.shape)
        self.size = math.prod(self.shape) * dataset.dtype.itemsize
        chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
        if max(self.size, chunk) > size or dataset.id.get_storage_size() < self.size:
            raise ValueError(
                f"{path} announces an array of shape {self.shape}, which the file is too small for"
            )
        self._dataset = dataset

    def read(self) -> np.ndarray:
        """Return the array in float32; raise ValueError where a number does not fit."""
        with np.errstate(over="raise"):
            return np.asarray(self._dataset[()]).astype(np.float32)


@contextlib.contextmanager
def reading_hdf5(file: BinaryIO, size: int) -> Iterator[Folder]:
    """Give the root of an open HDF5 file of that many bytes."""
    _check_heaps(file)
    with require_h5py().File(file, "r") as root:
        yield Folder(root, size)


_HEAP = b"GCOL\1\0\0\0"
_BLOCK = 1 << 24


def _check_heaps(file: BinaryIO) -> None:
    """Refuse heaps of texts whose parts do not follow one another: HDF5 would search for ever."""
    file.seek(0)
    at, before = 0, b""
    while block := file.read(_BLOCK):
        data = before + block
        found = data.find(_HEAP)
        while found >= 0:
            _check_heap(file, at - len(before) + found)
            found = data.find(_HEAP, found + 1)
        at += len(block)
        before = data[1 - len(_HEAP) :]
        file.seek(at)
    file.seek(0)


def _check_heap(file: BinaryIO, start: int) -> None:
    file.seek(start + len(_HEAP))
    end = start + int.from_bytes(file.read(8), "little")
    place = start + 16
    while place + 16 <= end:
        file.seek(place)
        head = file.read(16)
        index, size = int.from_bytes(head[:2], "little"), int.from_bytes(head[8:], "little")
        step = size if index == 0 else 16 + (size + 7 & ~7)
        if len(head) < 16 or step < 16 or place + step > end:
            raise ValueError(f"a heap of texts at byte {start:,} is damaged")
        place += step


def in_order(names: list[str], kind: str) -> list[str]:
    """Return the names that are `kind`, `kind_1`, `kind_2` and so on, by number."""
    found = ((re.fullmatch(rf"{re.escape(kind)}(?:_(\d{{1,9}}))?", name), name) for name in names)
    numbered = [(int(match[1] or 0), name) for match, name in found if match]
    return [name for _, name in sorted(numbered)]


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if not isinstance(value, str):
        raise ValueError(f"an attribute is a {type(value).__name__}; it must be a text")
    return str(value)
