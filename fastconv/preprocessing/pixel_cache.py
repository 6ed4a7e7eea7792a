"""Decoded pixels kept in memory or on disk, so that an epoch is not spent on decoding."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import warnings
import weakref
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.folders import cache_folder
from ..datasets.scratch import claimed_file, remove_abandoned

MEGABYTE = 1 << 20
_MAGIC = b"fastconv pixels 2\n"
_HEADER = 64
_NO_FILE = -1
_SUM = np.dtype("<u4")


class PixelCache:
    """The first images of a data set as uint8 pixels, as many as the limit holds.

    Which images are kept depends on their number alone, never on the order of
    use. Pages of the one array are touched only when an image is put in, so a
    generous limit costs nothing by itself. Threads may put the same image
    twice: the pixels are the same.
    """

    def __init__(self, count: int, image_shape: tuple[int, ...], limit_megabytes: float) -> None:
        image_bytes = int(np.prod(image_shape))
        self.image_shape = image_shape
        self.capacity = min(count, int(limit_megabytes * MEGABYTE) // image_bytes)
        self._present = np.zeros(self.capacity, np.uint8)
        self._pixels: np.ndarray | None = None
        self._allocating = threading.Lock()

    def all_pixels(self, indices: np.ndarray) -> np.ndarray | None:
        """Return all images, (capacity, height, width, channels), where these are in memory."""
        return self._pixels if self.has(indices).all() else None

    def has(self, indices: np.ndarray) -> np.ndarray:
        """Return, for each image number, whether it is kept, (n,) bool."""
        kept = np.zeros(len(indices), bool)
        inside = np.asarray(indices) < self.capacity
        kept[inside] = self._present[np.asarray(indices)[inside]] != 0
        return kept

    def read(self, indices: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """Copy those of the images that are kept into `pixels`; return which they are, (n,) bool.

        Args:
            indices: image numbers, (n,).
            pixels: (n, height, width, channels), uint8.
        """
        kept = self.has(indices)
        if self._pixels is not None and kept.any():
            pixels[kept] = self._pixels[indices[kept]]
        return kept

    def put(self, index: int, pixels: np.ndarray) -> None:
        """Keep the image's pixels if there is room for them."""
        if index < self.capacity and not self._present[index]:
            self._room()[index] = pixels
            self._present[index] = 1

    def _room(self) -> np.ndarray:
        with self._allocating:
            if self._pixels is None:
                self._pixels = np.empty((self.capacity, *self.image_shape), np.uint8)
            return self._pixels

    def missing(self) -> list[int]:
        """Return the numbers of the images that could be kept and are not yet."""
        return np.flatnonzero(self._present == 0).tolist()

    def complete(self) -> None:
        """Say that all that can be kept is kept."""


class DiskPixelCache(PixelCache):
    """The same in a file, for the next run and for other processes.

    The file appears under its name when it is complete, by a rename; until then
    it has a name of its own, so that processes do not meet. Its name stands for
    the images' paths, sizes and times and for how they are decoded: whatever
    changes, another file is made, and those used longest ago are removed when
    all together pass the limit.

    The file is read, not mapped: where another program shortens it, there is an
    error to act upon instead of a signal that ends the process. The table and
    each image have a checksum. What is damaged is decoded anew: all of it if
    the file does not begin as it should, else the images whose pixels are not
    what they were, and the file is removed, for the next run to make another.

    In the file: 64 bytes that begin with a name and the CRC-32 of the table; the table,
    for each image one byte, whether it is there, and its CRC-32 in 4 bytes; the pixels.
    """

    def __init__(
        self,
        count: int,
        image_shape: tuple[int, ...],
        limit_megabytes: float,
        key: str,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(count, image_shape, limit_megabytes)
        self._limit = limit_megabytes * MEGABYTE
        self._folder = cache_folder() / "pixels" if folder is None else Path(folder)
        self.path = self._folder / f"{key}.pixels"
        self._image_bytes = int(np.prod(image_shape))
        self._pixels_at = _HEADER + self.capacity * (1 + _SUM.itemsize)
        self._sums = np.zeros(self.capacity, _SUM)
        self._file = _NO_FILE  # the open file's descriptor, to read or to write
        self._part: str | None = None  # its name while it is unfinished
        self._in_memory = False
        if self.capacity:
            self._open()

    def _open(self) -> None:
        """Open the file if it is there and whole."""
        try:
            file = os.open(self.path, os.O_RDONLY)
        except OSError:
            return
        closing = weakref.finalize(self, os.close, file)
        try:
            head = os.pread(file, self._pixels_at, 0)
            size = os.fstat(file).st_size
            os.utime(self.path)  # used now: the last to be removed
        except OSError:
            size = -1
        if size != self._file_size or head[:_HEADER] != _header(head[_HEADER:]):
            closing()
            return
        self._file = file
        self._present = np.frombuffer(head, np.uint8, self.capacity, _HEADER).copy()
        self._sums = np.frombuffer(head, _SUM, self.capacity, _HEADER + self.capacity)

    @property
    def _file_size(self) -> int:
        return self._pixels_at + self.capacity * self._image_bytes

    def all_pixels(self, indices: np.ndarray) -> np.ndarray | None:
        return super().all_pixels(indices) if self._in_memory else None

    def read(self, indices: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        if self._in_memory:
            return super().read(indices, pixels)
        kept = self.has(indices)
        for i in np.flatnonzero(kept):
            kept[i] = self._read_one(int(indices[i]), pixels[i])
        return kept

    def _read_one(self, index: int, pixels: np.ndarray) -> bool:
        """Read an image's pixels; return whether they are those that were written."""
        try:
            data = os.pread(self._file, self._image_bytes, self._offset(index))
        except OSError:
            data = b""
        if len(data) == self._image_bytes and zlib.crc32(data) == self._sums[index]:
            pixels[...] = np.frombuffer(data, np.uint8).reshape(self.image_shape)
            return True
        self._present[index] = 0
        if self._part is None:
            _remove(self.path)
        return False

    def put(self, index: int, pixels: np.ndarray) -> None:
        if index >= self.capacity or self._present[index]:
            return
        with self._allocating:
            if self._file == _NO_FILE and not self._in_memory:
                self._create()
        if self._in_memory:
            super().put(index, pixels)
        elif self._part is not None:  # a finished file is not written to
            self._write_one(index, np.ascontiguousarray(pixels))

    def _write_one(self, index: int, pixels: np.ndarray) -> None:
        data = pixels.tobytes()
        try:
            _write(self._file, data, self._offset(index))
        except OSError as error:
            part, self._part = self._part, None
            if part is not None:
                self._cannot_write(part, error, "what is not in it is decoded in every epoch")
            return
        self._sums[index] = zlib.crc32(data)
        self._present[index] = 1

    def _offset(self, index: int) -> int:
        return self._pixels_at + index * self._image_bytes

    def _create(self) -> None:
        """Make an unfinished file; where that is impossible the pixels stay in memory."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            remove_abandoned(self._folder, "*.part")
            # The file is locked for as long as it is open.
            file, part = claimed_file(self._folder, self.path.stem + ".", ".part")
            closing = weakref.finalize(self, os.close, file)
            self._cleaning = weakref.finalize(self, _remove_own, part, os.getpid())
        except OSError as error:
            self._stay_in_memory(self._folder, error)
            return
        try:
            # Reserving the room shows a full disk now, not when half the images are decoded.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file, 0, self._file_size)
            else:
                os.truncate(file, self._file_size)
        except OSError as error:
            self._stay_in_memory(part, error)
            closing()
            self._cleaning()
            return
        self._file = file
        self._part = part

    def complete(self) -> None:
        if self._part is None:
            return
        part = self._part
        try:
            table = self._present.tobytes() + self._sums.tobytes()
            _write(self._file, _header(table) + table, 0)
            os.fsync(self._file)
            os.replace(part, self.path)
        except OSError as error:
            self._cannot_write(self.path, error, "the next run decodes again")
            return
        self._part = None
        self._cleaning.detach()
        _shrink(self._folder, self._limit, self.path)

    def _stay_in_memory(self, path: str | os.PathLike[str], error: OSError) -> None:
        self._in_memory = True
        self._cannot_write(path, error, "the pixels are kept in memory")

    def _cannot_write(self, path: str | os.PathLike[str], error: OSError, outcome: str) -> None:
        warnings.warn(
            f"cache='disk': {os.fspath(path)!r} cannot be written ({error.strerror}); {outcome}",
            stacklevel=2,
        )


def _header(table: bytes) -> bytes:
    """Return what a file with this table begins with."""
    return (_MAGIC + zlib.crc32(table).to_bytes(4, "little")).ljust(_HEADER, b"\0")


def _write(file: int, data: bytes, offset: int) -> None:
    """Write all of `data`; a write that a full disk cuts short says so when it goes on."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def cache_key(paths: Sequence[str], options: dict[str, Any]) -> str:
    """Return a name for how these files, as they are now, look when decoded with `options`."""
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for path in paths:
        try:
            status = os.stat(path)
            numbers = (status.st_size, status.st_mtime_ns)
        except OSError:
            numbers = (-1, -1)
        digest.update(repr((os.path.abspath(path), *numbers)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def _remove(path: str | os.PathLike[str]) -> None:
    with contextlib.suppress(OSError):
        os.remove(path)


def _remove_own(path: str, process: int) -> None:
    """Remove a file unless this is a fork of the process that made it."""
    if os.getpid() == process:
        _remove(path)


def _shrink(folder: Path, limit: float, spared: Path) -> None:
    """Remove the files used longest ago while all together pass the limit."""
    found = []
    for path in folder.glob("*.pixels"):
        with contextlib.suppress(OSError):
            found.append((path.stat().st_mtime, path.stat().st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= limit:
            return
        if path != spared:
            _remove(path)
            total -= size
