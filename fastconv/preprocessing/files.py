"""Batches from image files: decoded once, kept as 8-bit pixels, changed by the kernel."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core.naming import shortened
from .._core.options import Once, Option
from .._core.validation import one_of, optional
from . import image_files
from .batching import is_one_pass, process_batch
from .file_options import ON_ERROR, FileOptions
from .iterators import Iterator, described
from .listing import in_threads, report_unreadable
from .pixel_cache import DiskPixelCache, PixelCache, cache_key
from .saved_batches import SavedBatches
from .transform import ImageTransform

CLASS_MODES = ("categorical", "binary", "sparse", "input")  # and None


class FileIterator(Iterator):
    """Batches of image files: what DirectoryIterator and PathsIterator share.

    The first batch that is asked for is decoded alone, so that a look at one is
    quick. Whoever asks for another one gets all images decoded that the cache
    has room for, in parallel and with a progress bar on a terminal; after that
    a batch costs one compiled pass per image.

    Args:
        image_data_generator: changes and normalizes the images.
        options: of reading and serving the files.
        class_mode, subset: see DirectoryIterator and PathsIterator.

    An image keeps the number that it has in the listing, whatever cannot be
    read: its random changes, and its place among the others in every epoch, are
    those that it has when all can be. One that breaks after the listing leaves
    its batch shorter and takes its name and label out of the attributes.

    Attributes:
        filepaths: paths of the images. samples, n: how many. image_shape:
        (height, width, channels).
    """

    owner = "FileIterator"
    _class_modes: tuple[str, ...] = CLASS_MODES

    # The pixels that are kept were made with these options; others take another iterator.
    target_size = Once[tuple[int, int]]()
    color_mode, interpolation = Once[str](), Once[str]()
    keep_aspect_ratio, draft = Once[bool](), Once[bool]()
    pad_to_aspect_ratio = Once[bool]()
    on_error = Option(one_of(*ON_ERROR))

    directory: str
    num_classes: int
    class_indices: dict[str, int]

    def __init__(
        self,
        image_data_generator: ImageTransform,
        options: FileOptions,
        class_mode: str | None,
        subset: str | None,
    ) -> None:
        optional(one_of(*self._class_modes))(class_mode, "class_mode", self.owner)
        self.class_mode = class_mode
        self.subset = subset
        self.image_data_generator = image_data_generator
        self._options = options
        self.target_size, self.color_mode = options.target_size, options.color_mode
        self.interpolation, self.draft = options.interpolation, options.draft
        self.keep_aspect_ratio = options.keep_aspect_ratio
        self.pad_to_aspect_ratio = options.pad_to_aspect_ratio
        self.on_error = options.on_error
        self.image_shape = options.image_shape
        self._saved = SavedBatches.where(
            options.save_to_dir, options.save_prefix, options.save_format
        )
        self._broken: dict[int, str] = {}  # the image's index, and what to say of it
        self._broken_lock = threading.Lock()
        self._decoded_all = False

    def _announce(self, text: str) -> None:
        """Say what was found."""
        print(text)

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
        valid = [i for i in range(len(paths)) if i not in faults]
        if self._rows_stay and valid:
            self._broken.update(faults)
            return list(range(len(paths)))
        return valid

    def _report(self, faults: Sequence[str], stacklevel: int) -> None:
        outcome = "their rows are NaN" if self._rows_stay else "skipped"
        report_unreadable(faults, self.on_error, self.owner, stacklevel, outcome)

    def _take_files(self, paths: Sequence[str], known: dict[str, Any], none: str) -> None:
        """Serve those of the files that can be read; the second half of the construction.

        Args:
            paths: all that were listed.
            known: what else is known of each file, by the attribute's name.
            none: what is wrong if none can be read.
        """
        valid = self._readable(paths)
        belonging = f" belonging to {self.num_classes} classes" if self.num_classes else ""
        self._announce(f"Found {len(valid)} images{belonging}.")
        if not valid:
            raise ValueError(f"{self.owner}: {none}")
        listed = {"filepaths": paths, **known}
        self._listing = {name: _rows_of(values, valid) for name, values in listed.items()}
        self._paths: Sequence[str] = self._listing["filepaths"]
        self._numbers = np.asarray(valid)
        self._index_of = np.full(len(paths), -1)
        self._index_of[self._numbers] = np.arange(len(self._numbers))
        options = self._options
        super().__init__(
            len(self._paths), options.batch_size, options.shuffle, options.seed, options.prefetch
        )
        self._show()
        self._cache = self._make_cache()

    def _show(self) -> None:
        """Set the attributes that speak of the images: those that are served, in their order."""
        hidden = () if self._rows_stay or self.on_error == "raise" else self._broken
        shown = [i for i in range(len(self._paths)) if i not in hidden]
        for name, values in self._listing.items():
            vars(self)[name] = _rows_of(values, shown)
        vars(self).update(samples=len(shown), n=len(shown))

    def _described(self) -> str:
        classes = f" of {self.num_classes} classes" if self.num_classes else ""
        place = f" in {self.directory!r}" if self.directory else ""
        return classes + place + described(self.image_shape, self.image_data_generator)

    def _shuffled(self, draw: np.random.Generator) -> np.ndarray:
        # All that were listed are permuted, broken ones too, so that the place of an image in the
        # epoch does not depend on the others.
        order = self._index_of[draw.permutation(len(self._index_of))]
        return order[order >= 0]

    def _make_cache(self) -> PixelCache:
        options, count = self._options, len(self._paths)
        if options.cache != "disk":
            limit = options.cache_limit_mb if options.cache else 0
            return PixelCache(count, self.image_shape, limit)
        decoding = {
            "shape": self.image_shape,
            "color_mode": options.color_mode,
            "interpolation": options.interpolation,
            "keep_aspect_ratio": options.keep_aspect_ratio,
            "draft": options.draft,
            **({"pad_to_aspect_ratio": True} if options.pad_to_aspect_ratio else {}),
            "decoding": image_files.decoding_version(),
        }
        key = cache_key(self._paths, decoding)
        limit, folder = options.cache_limit_mb, options.cache_dir
        return DiskPixelCache(count, self.image_shape, limit, key, folder)

    def __getstate__(self) -> dict[str, Any]:
        # Pixels are not copied: the copy decodes again, or finds them on the disk.
        return super().__getstate__() | {
            "_cache": None,
            "_broken_lock": None,
            "_decoded_all": False,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._broken_lock = threading.Lock()
        self._cache = self._make_cache()

    def decode(self) -> None:
        """Decode, now and in parallel, all images that the cache has room for.

        Raises OSError for a file that breaks, with `on_error="raise"`.
        """
        with self._broken_lock:
            if self._decoded_all:
                return
            missing = [index for index in self._cache.missing() if index not in self._broken]
            faults = in_threads(
                self._decode_into_cache, missing, "Decoding" if self._options.progress else None
            )
            self._decoded_all = True
            self._cache.complete()
        self._report_broken([fault for fault in faults if fault is not None], stacklevel=5)

    def _prepare(self) -> None:
        if not self._decoded_all:
            self.decode()

    def _has_class_numbers(self) -> bool:
        return self.class_mode == "sparse" and self.num_classes > 2

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
            self.pad_to_aspect_ratio,
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
        valid = ~np.isin(indices, list(self._broken))
        if self._rows_stay:
            images = images[valid]
        # If an image broke after its batch was made ahead, the rows cannot be told apart any more,
        # and the batch is not written.
        if len(images) == np.count_nonzero(valid):
            self._saved.write(images, self._numbers[indices[valid]], (self.seed, epoch))

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
        valid = self._cache.read(used, pixels)

        def decode(i: int) -> tuple[int, str] | None:
            index = int(used[i])
            try:
                pixels[i] = self._load(index)
            except OSError as error:
                return index, self._fault(index, error)
            self._cache.put(index, pixels[i])
            valid[i] = True
            return None

        faults = in_threads(decode, np.flatnonzero(~valid).tolist())
        self._report_broken([fault for fault in faults if fault is not None], stacklevel=3)
        return pixels, np.flatnonzero(valid), used[valid]

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


def _rows_of(values: Any, rows: Sequence[int]) -> Any:
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows]


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


def targets_of(
    class_mode: str | None, batch: np.ndarray, numbers: np.ndarray, classes: int
) -> np.ndarray:
    """Return the targets that `class_mode`, not None, means for images of these class numbers."""
    if class_mode == "input":
        return batch.copy()
    if class_mode == "categorical":
        return np.eye(classes, dtype=np.float32)[numbers]
    return numbers.astype(np.float32)
