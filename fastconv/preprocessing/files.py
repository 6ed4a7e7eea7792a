"""Batches from image files: decoded once, kept as 8-bit pixels, changed by the kernel."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._validation import positive_pair
from . import image_files
from .batching import is_one_pass, process_batch
from .iterators import Iterator, SavedBatches
from .listing import in_threads, report_unreadable
from .pixel_cache import DiskPixelCache, PixelCache, cache_key

if TYPE_CHECKING:
    from .generator import ImageDataGenerator

CLASS_MODES = ("categorical", "binary", "sparse", "input", None)
_CACHES = ("memory", "disk", None)
_ON_ERROR = ("skip", "raise")


class FileIterator(Iterator):
    """Batches of image files: what DirectoryIterator and PathsIterator share.

    The first batch that is asked for is decoded alone, so that a look at one is
    quick. Whoever asks for another one gets all images decoded that the cache
    has room for, in parallel and with a progress bar on a terminal; after that
    a batch costs one compiled pass per image.

    Args:
        image_data_generator: changes and normalizes the images.
        target_size: (height, width) that every image is brought to, in pixels.
        color_mode: "rgb", "grayscale" or "rgba".
        interpolation, keep_aspect_ratio, draft: see `load_img`.
        save_to_dir, save_prefix, save_format: write every batch to this folder.
        on_error: "skip" leaves out what is no image, with one warning that
            counts and names the files, and lets the next readable image stand
            in for one that breaks later; "raise" is an OSError for either, in
            every batch that the broken one belongs to.
        cache: "memory" keeps decoded pixels across epochs; "disk" keeps them
            in a file across runs; None decodes again in every epoch.
        cache_limit_mb: megabytes of pixels to keep at most; images beyond are
            decoded again in every epoch.
        cache_dir: the folder for "disk"; by default `pixels` beside the
            downloaded data sets.
        progress: show a bar while decoding.
        batch_size, shuffle, seed, prefetch: see Iterator.

    Attributes:
        filepaths: paths of the images. samples, n: how many. image_shape:
        (height, width, channels).
    """

    owner = "FileIterator"

    def __init__(
        self,
        image_data_generator: ImageDataGenerator,
        *,
        target_size: tuple[int, int],
        color_mode: str,
        interpolation: str,
        keep_aspect_ratio: bool,
        draft: bool,
        save_to_dir: str | os.PathLike[str] | None,
        save_prefix: str,
        save_format: str,
        on_error: str,
        cache: str | None,
        cache_limit_mb: float,
        cache_dir: str | os.PathLike[str] | None,
        progress: bool,
    ) -> None:
        self.image_data_generator = image_data_generator
        self.target_size = positive_pair(target_size, "target_size", self.owner)
        self.color_mode = color_mode
        self.image_shape = (*self.target_size, image_files.channels_of(color_mode, self.owner))
        image_files.check_interpolation(interpolation, self.owner)
        self.interpolation = interpolation
        self.keep_aspect_ratio = bool(keep_aspect_ratio)
        self.draft = bool(draft)
        check_one_of(on_error, _ON_ERROR, "on_error", self.owner)
        self.on_error = on_error
        check_one_of(cache, _CACHES, "cache", self.owner)
        self._cache_options = (cache, cache_limit_mb, cache_dir)
        self._progress = progress
        self._saved = (
            None if save_to_dir is None else SavedBatches(save_to_dir, save_prefix, save_format)
        )

    def _readable(self, paths: Sequence[str]) -> list[int]:
        """Return the numbers of the files that look like images, and report the others."""
        faults = in_threads(image_files.find_fault, paths)
        report_unreadable(
            [f"{path} ({fault})" for path, fault in zip(paths, faults, strict=True) if fault],
            self.on_error,
            self.owner,
            stacklevel=6,
        )
        return [i for i, fault in enumerate(faults) if fault is None]

    def _take_files(
        self,
        filepaths: Sequence[str],
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        prefetch: int | str,
    ) -> None:
        """Serve these files; the second half of the construction."""
        self.filepaths = list(filepaths)
        self.samples = len(self.filepaths)
        super().__init__(self.samples, batch_size, shuffle, seed, prefetch)
        self._cache = self._make_cache(*self._cache_options)
        self._broken: dict[int, str] = {}  # the image's number, and what to say of it
        self._broken_lock = threading.Lock()
        self._decoded_all = False

    def _make_cache(
        self, cache: str | None, limit: float, folder: str | os.PathLike[str] | None
    ) -> PixelCache:
        if cache != "disk":
            return PixelCache(self.samples, self.image_shape, limit if cache else 0)
        options = {
            "shape": self.image_shape,
            "color_mode": self.color_mode,
            "interpolation": self.interpolation,
            "keep_aspect_ratio": self.keep_aspect_ratio,
            "draft": self.draft,
        }
        key = cache_key(self.filepaths, options)
        return DiskPixelCache(self.samples, self.image_shape, limit, key, folder)

    def __getstate__(self) -> dict[str, Any]:
        # Pixels stay behind: the copy decodes again, or finds them on the disk.
        return super().__getstate__() | {
            "_cache": None,
            "_broken_lock": None,
            "_decoded_all": False,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._broken_lock = threading.Lock()
        self._cache = self._make_cache(*self._cache_options)

    def decode(self) -> None:
        """Decode, now and in parallel, all images that the cache has room for.

        Raises OSError for a file that breaks, with `on_error="raise"`.
        """
        with self._broken_lock:
            if self._decoded_all:
                return
            missing = [index for index in self._cache.missing() if index not in self._broken]
            faults = in_threads(
                self._decode_into_cache, missing, "Decoding" if self._progress else None
            )
            found = [fault for fault in faults if fault is not None]
            self._broken.update(found)
            self._decoded_all = True
            self._cache.complete()
        report_unreadable([text for _, text in found], self.on_error, self.owner, stacklevel=4)

    def _prepare(self) -> None:
        if not self._decoded_all:
            self.decode()

    def _waits(self) -> bool:
        decodes = self._cache.capacity < self.n
        return decodes or self._saved is not None or not is_one_pass(self.image_data_generator)

    def _decode_into_cache(self, index: int) -> tuple[int, str] | None:
        """Keep the pixels of image `index`; return it and what is wrong with it, if it breaks."""
        try:
            self._cache.put(index, self._load(index))
        except OSError as error:
            return index, self._fault(index, error)
        return None

    def _load(self, index: int) -> np.ndarray:
        image = image_files.load_img(
            self.filepaths[index],
            self.color_mode,
            self.target_size,
            self.interpolation,
            self.keep_aspect_ratio,
            self.draft,
        )
        return np.asarray(image, np.uint8).reshape(self.image_shape)

    def _fault(self, index: int, error: OSError) -> str:
        reason = str(error.__cause__ or error.strerror or error)
        return f"{self.filepaths[index]} ({reason})"

    def _images(self, indices: np.ndarray, epoch: int, threads: int | None) -> Any:
        """Return the finished batch, and the numbers of the images it really holds."""
        source, rows, used = self._read(indices)
        batch = process_batch(
            self.image_data_generator,
            source,
            rows,
            self._image_generators(used, epoch),
            lambda i: repr(self.filepaths[used[i]]),
            threads,
        )
        if self._saved is not None:
            self._saved.write(batch, used, epoch)
        return batch, used

    def _read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return pixels, which of them are the batch, and the numbers of the images they are."""
        used = np.array(indices)
        for i in np.flatnonzero(np.isin(used, list(self._broken))):
            if self.on_error == "raise":
                report_unreadable([self._broken[int(used[i])]], "raise", self.owner, stacklevel=2)
            used[i] = self._stand_in(int(used[i]))
        kept = self._cache.has(used)
        if kept.all():
            return self._cache.pixels, used, used
        pixels = np.empty((len(used), *self.image_shape), np.uint8)
        pixels[kept] = self._cache.pixels[used[kept]] if kept.any() else 0

        def decode(i: int) -> None:
            used[i], pixels[i] = self._decode(int(used[i]))

        in_threads(decode, np.flatnonzero(~kept).tolist())
        return pixels, np.arange(len(used)), used

    def _stand_in(self, index: int) -> int:
        """Return the next image that is not known to be broken."""
        for candidate in (*range(index, self.n), *range(index)):
            if candidate not in self._broken:
                return candidate
        raise OSError(f"{self.owner}: none of the {self.n} images can be read")

    def _decode(self, index: int) -> tuple[int, np.ndarray]:
        """Return the pixels of image `index`, or the next readable one and its number."""
        while True:
            index = self._stand_in(index)
            try:
                pixels = self._load(index)
            except OSError as error:
                self._mark_broken(index, error)
                continue
            self._cache.put(index, pixels)
            return index, pixels

    def _mark_broken(self, index: int, error: OSError) -> None:
        fault = self._fault(index, error)
        with self._broken_lock:
            known = index in self._broken
            self._broken[index] = fault
        if not known or self.on_error == "raise":
            report_unreadable([fault], self.on_error, self.owner, stacklevel=2)


def check_one_of(value: Any, accepted: Sequence[Any], argument: str, owner: str) -> None:
    """Raise ValueError unless `value` is among the `accepted`."""
    if value not in accepted:
        raise ValueError(
            f"{owner}: {argument} is {value!r}; {', '.join(map(repr, accepted[:-1]))} and "
            f"{accepted[-1]!r} are accepted"
        )


def targets_of(
    class_mode: str | None, batch: np.ndarray, numbers: np.ndarray, classes: int
) -> np.ndarray:
    """Return the targets that `class_mode`, not None, means for images of these class numbers."""
    if class_mode == "input":
        return batch.copy()
    if class_mode == "categorical":
        return np.eye(classes, dtype=np.float32)[numbers]
    return numbers.astype(np.float32)
