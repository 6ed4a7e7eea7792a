"""Batches from image files: decoded once, kept as 8-bit pixels, changed by the kernel."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.validation import positive_pair
from . import image_files
from .batching import is_one_pass, process_batch
from .iterators import Iterator, described
from .listing import in_threads, report_unreadable, shortened
from .pixel_cache import DiskPixelCache, PixelCache, cache_key
from .saved_batches import SavedBatches

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
        on_error: "skip" leaves out what is no image together with its label,
            with one warning that counts and names the files; "raise" is an
            OSError, also in every batch that a file belongs to which breaks
            later. Without labels (class_mode=None) only its place says which
            image a row is, so there "skip" leaves none out: the row of a file
            that cannot be read is NaN. Rows of `predict` and `filenames` agree
            either way, and so do images and masks of two iterators of one seed
            with class_mode=None.
        cache: "memory" keeps decoded pixels across epochs; "disk" keeps them
            in a file across runs; None decodes again in every epoch.
        cache_limit_mb: megabytes of pixels to keep at most; images beyond are
            decoded again in every epoch.
        cache_dir: the folder for "disk"; by default `pixels` beside the
            downloaded data sets.
        progress: show a bar while decoding.
        batch_size, shuffle, seed, prefetch: see Iterator.

    An image keeps the number that it has in the listing, whatever cannot be
    read: its random changes, and its place among the others in every epoch, are
    those that it has when all can be. One that breaks after the listing leaves
    its batch shorter and takes its name and label out of the attributes.

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

        self._broken: dict[int, str] = {}  # the image's index, and what to say of it
        self._broken_lock = threading.Lock()
        self._decoded_all = False

    @property
    def _rows_stay(self) -> bool:
        """Whether an image that cannot be read keeps its row, of NaN."""
        return self.class_mode is None

    def _readable(self, paths: Sequence[str]) -> list[int]:
        """Return which of the files are to be served, and report those that are no images."""
        looks = in_threads(image_files.look_at, paths)
        faults = {i: f"{paths[i]} ({look.fault})" for i, look in enumerate(looks) if look.fault}
        self._report(list(faults.values()), stacklevel=7)
        report_remarks(paths, looks, self.owner, stacklevel=6)
        sound = [i for i in range(len(paths)) if i not in faults]
        if self._rows_stay and sound:
            self._broken.update(faults)
            return list(range(len(paths)))
        return sound

    def _report(self, faults: Sequence[str], stacklevel: int) -> None:
        outcome = "their rows are NaN" if self._rows_stay else "skipped"
        report_unreadable(faults, self.on_error, self.owner, stacklevel, outcome)

    def _take_files(
        self,
        listing: dict[str, Any],
        numbers: Sequence[int],
        listed: int,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        prefetch: int | str,
    ) -> None:
        """Serve the files; the second half of the construction.

        Args:
            listing: "filepaths" and what else is known of each file, by the
                attribute's name.
            numbers: of the files among all that were listed, so many.
        """
        self._listing = listing
        self._paths: Sequence[str] = listing["filepaths"]
        self._numbers = np.asarray(numbers)
        self._index_of = np.full(listed, -1)
        self._index_of[self._numbers] = np.arange(len(self._numbers))
        super().__init__(len(self._paths), batch_size, shuffle, seed, prefetch)
        self._show()
        self._cache = self._make_cache(*self._cache_options)

    def _show(self) -> None:
        """Set the attributes that speak of the images: those that are served, in their order."""
        hidden = () if self._rows_stay or self.on_error == "raise" else self._broken
        shown = [i for i in range(len(self._paths)) if i not in hidden]
        for name, values in self._listing.items():
            array = isinstance(values, np.ndarray)
            vars(self)[name] = values[shown] if array else [values[i] for i in shown]
        vars(self).update(samples=len(shown), n=len(shown))

    def _described(self) -> str:
        classes = f" of {self.num_classes} classes" if self.num_classes else ""
        place = f" in {self.directory!r}" if self.directory else ""
        return classes + place + described(self.image_shape, self.image_data_generator)

    def _shuffled(self, draw: np.random.Generator) -> np.ndarray:
        # Of all that were listed, so that each one's place does not depend on the others.
        order = self._index_of[draw.permutation(len(self._index_of))]
        return order[order >= 0]

    def _make_cache(
        self, cache: str | None, limit: float, folder: str | os.PathLike[str] | None
    ) -> PixelCache:
        if cache != "disk":
            return PixelCache(len(self._paths), self.image_shape, limit if cache else 0)
        options = {
            "shape": self.image_shape,
            "color_mode": self.color_mode,
            "interpolation": self.interpolation,
            "keep_aspect_ratio": self.keep_aspect_ratio,
            "draft": self.draft,
            "decoding": image_files.decoding_version(),
        }
        key = cache_key(self._paths, options)
        return DiskPixelCache(len(self._paths), self.image_shape, limit, key, folder)

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
            self._decoded_all = True
            self._cache.complete()
        self._report_broken([fault for fault in faults if fault is not None], stacklevel=5)

    def _prepare(self) -> None:
        if not self._decoded_all:
            self.decode()

    def _waits(self) -> bool:
        decodes = self._cache.capacity < len(self._paths)
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
            self._paths[index],
            self.color_mode,
            self.target_size,
            self.interpolation,
            self.keep_aspect_ratio,
            self.draft,
        )
        return np.asarray(image, np.uint8).reshape(self.image_shape)

    def _fault(self, index: int, error: OSError) -> str:
        reason = str(error.__cause__ or error.strerror or error)
        return f"{self._paths[index]} ({reason})"

    def _save(self, batch: Any, epoch: int, step: int) -> None:
        if self._saved is None:
            return
        images = batch[0] if isinstance(batch, tuple) else batch
        indices = self._indices(epoch, step)
        sound = ~np.isin(indices, list(self._broken))
        if self._rows_stay:
            images = images[sound]
        # Of a batch made ahead, before another one of its images broke, nobody knows which is
        # which any more.
        if len(images) == np.count_nonzero(sound):
            self._saved.write(images, self._numbers[indices[sound]], (self.seed, epoch))

    def _images(
        self, indices: np.ndarray, epoch: int, threads: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the finished batch, and the indices of the images it holds."""
        source, rows, used = self._read(indices)
        batch = process_batch(
            self.image_data_generator,
            source,
            rows,
            self._image_generators(self._numbers[used], epoch),
            lambda i: repr(self._paths[used[i]]),
            threads,
        )
        if self._rows_stay and len(used) < len(indices):
            whole = np.full((len(indices), *self.image_shape), np.nan, np.float32)
            whole[np.isin(indices, used)] = batch
            return whole, indices
        return batch, used

    def _read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return pixels, which rows of them are images, and the indices of these images.

        An image that cannot be read is in none of the three.
        """
        broken = np.isin(indices, list(self._broken))
        if self.on_error == "raise" and broken.any():
            self._report([self._broken[int(index)] for index in indices[broken]], stacklevel=2)
        used = indices[~broken]
        pixels = self._cache.all_pixels(used)
        if pixels is not None:
            return pixels, used, used
        pixels = np.empty((len(used), *self.image_shape), np.uint8)
        sound = self._cache.read(used, pixels)

        def decode(i: int) -> tuple[int, str] | None:
            index = int(used[i])
            try:
                pixels[i] = self._load(index)
            except OSError as error:
                return index, self._fault(index, error)
            self._cache.put(index, pixels[i])
            sound[i] = True
            return None

        faults = in_threads(decode, np.flatnonzero(~sound).tolist())
        self._report_broken([fault for fault in faults if fault is not None], stacklevel=3)
        return pixels, np.flatnonzero(sound), used[sound]

    def _report_broken(self, faults: Sequence[tuple[int, str]], stacklevel: int) -> None:
        """Serve no more, and report at once, the images that broke since they were listed."""
        if not faults:
            return
        with self._broken_lock:
            news = [text for index, text in faults if index not in self._broken]
            self._broken.update(faults)
            self._show()
            none = len(self._broken) == len(self._paths)
        self._report([text for _, text in faults] if self.on_error == "raise" else news, stacklevel)
        if none:
            raise OSError(f"{self.owner}: none of the {len(self._paths)} images can be read")


def report_remarks(
    paths: Sequence[str], looks: Sequence[image_files.Look], owner: str, stacklevel: int
) -> None:
    """Warn once of the files whose grey levels need the user."""
    remarks = [
        f"{path} ({look.remark.text})"
        for path, look in zip(paths, looks, strict=True)
        if look.remark is not None and look.remark.act
    ]
    if remarks:
        count = "1 file is" if len(remarks) == 1 else f"{len(remarks)} files are"
        warnings.warn(f"{owner}: {count} nearly black: {shortened(remarks)}", stacklevel=stacklevel)


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
