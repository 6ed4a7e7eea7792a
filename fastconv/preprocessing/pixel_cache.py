"""Decoded pixels kept in memory or on disk, so that an epoch is not spent on decoding."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import warnings
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.folders import cache_folder
from ..datasets.scratch import claimed_file, remove_abandoned

MEGABYTE = 1 << 20
_MAGIC = b"fastconv pixels 1\n"
_HEADER = 64


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

    @property
    def pixels(self) -> np.ndarray:
        """All images, (capacity, height, width, channels); only those that `has` tells count."""
        if self._pixels is None:
            with self._allocating:
                if self._pixels is None:
                    self._pixels = self._allocate()
        return self._pixels

    def has(self, indices: np.ndarray) -> np.ndarray:
        """Return, for each image number, whether it is kept, (n,) bool."""
        kept = np.zeros(len(indices), bool)
        inside = np.asarray(indices) < self.capacity
        kept[inside] = self._present[np.asarray(indices)[inside]] != 0
        return kept

    def put(self, index: int, pixels: np.ndarray) -> None:
        """Keep the image's pixels if there is room for them."""
        if index < self.capacity and not self._present[index]:
            # First of all, since it may put another array in the place of `_present`.
            kept = self.pixels
            kept[index] = pixels
            self._present[index] = 1

    def missing(self) -> list[int]:
        """Return the numbers of the images that could be kept and are not yet."""
        return np.flatnonzero(self._present == 0).tolist()

    def complete(self) -> None:
        """Note that no more images will come: all were tried."""

    def _allocate(self) -> np.ndarray:
        return np.empty((self.capacity, *self.image_shape), np.uint8)


class DiskPixelCache(PixelCache):
    """The same in a file, for the next run and for other processes.

    The file appears under its name when it is complete, by a rename; until then
    it has a name of its own, so that processes do not meet. Its name stands for
    the images' paths, sizes and times and for how they are decoded: whatever
    changes, another file is made, and those used longest ago are removed when
    all together pass the limit.
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
        self._part: str | None = None
        self._open()

    def _open(self) -> None:
        """Map the file if it is there and whole."""
        pixels_at = _HEADER + self.capacity
        size = pixels_at + self.capacity * int(np.prod(self.image_shape))
        try:
            with open(self.path, "rb") as file:
                sound = file.read(len(_MAGIC)) == _MAGIC
                sound = sound and os.fstat(file.fileno()).st_size == size
                if not sound or not self.capacity:
                    return
                whole = np.memmap(file, np.uint8, "r")
            os.utime(self.path)  # used now: the last to be removed
        except OSError:
            return
        self._present = whole[_HEADER:pixels_at]
        self._pixels = whole[pixels_at:].reshape(self.capacity, *self.image_shape)

    def put(self, index: int, pixels: np.ndarray) -> None:
        if self._present.flags.writeable:
            super().put(index, pixels)

    def _allocate(self) -> np.ndarray:
        pixels_at = _HEADER + self.capacity
        size = pixels_at + self.capacity * int(np.prod(self.image_shape))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            remove_abandoned(self._folder, "*.part")
            # Locked for as long as the map is there, which keeps a handle of its own.
            handle, part = claimed_file(self._folder, self.path.stem + ".", ".part")
            self._cleaning = weakref.finalize(self, _remove, part)
            with os.fdopen(handle, "r+b") as file:
                # A full disk must show here: later it would be a crash on writing to the map.
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)
                else:
                    file.truncate(size)
                file.write(_MAGIC)
                file.flush()
                whole = np.memmap(file, np.uint8, "r+", shape=(size,))
        except OSError as error:
            warnings.warn(
                f"cache='disk': {str(self._folder)!r} cannot be written ({error.strerror}); the "
                "pixels are kept in memory",
                stacklevel=2,
            )
            return super()._allocate()
        self._part = part
        present = whole[_HEADER:pixels_at]
        present[:] = self._present
        self._present = present
        return whole[pixels_at:].reshape(self.capacity, *self.image_shape)

    def complete(self) -> None:
        if self._part is None:
            return
        part, self._part = self._part, None
        try:
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            os.replace(part, self.path)
            self._cleaning.detach()
        except OSError as error:
            warnings.warn(
                f"cache='disk': {str(self.path)!r} cannot be written ({error.strerror}); the next "
                "run decodes again",
                stacklevel=2,
            )
            return
        _shrink(self._folder, self._limit, self.path)


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
