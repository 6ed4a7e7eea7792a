"""Batches from a folder of image files, one sub-folder per class."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from .._validation import positive_pair
from . import image_files
from .batching import process_batch
from .iterators import Iterator, SavedBatches, subset_bounds
from .pixel_cache import PixelCache

if TYPE_CHECKING:
    from .generator import ImageDataGenerator

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")
_CLASS_MODES = ("categorical", "binary", "sparse", "input", None)
_OWNER = "flow_from_directory"
_NAMES_SHOWN = 20


class DirectoryIterator(Iterator):
    """Batches of the image files in the sub-folders of `directory`.

    A sub-folder is a class; classes are numbered in the order of their names
    as strings. Files ending in png, jpg, jpeg, bmp, ppm, tif or tiff are
    taken, at any depth, hidden ones not. A file that is no image is left out,
    and one warning names all of them; a file that breaks later is named once,
    and the next readable one takes its place, so that no epoch stops.

    Args:
        directory: the folder.
        image_data_generator: changes and normalizes the images.
        target_size: (height, width) that every image is brought to, in pixels.
        color_mode: "rgb", "grayscale" or "rgba".
        classes: names of the sub-folders to use, in the order of their numbers.
        class_mode: the targets: "categorical" (n, classes), "binary" and
            "sparse" (n,), all float32; "input" gives the images themselves;
            None gives batches without targets.
        batch_size, shuffle, seed: see Iterator.
        save_to_dir, save_prefix, save_format: write every batch to this folder.
        follow_links: enter folders that are symbolic links.
        subset: "training" or "validation": by the generator's
            validation_split, validation is the first part of each class.
        interpolation, keep_aspect_ratio: see `load_img`.
        cache: "memory" keeps decoded pixels across epochs; None decodes again.
        cache_limit_mb: megabytes of pixels to keep at most; images beyond are
            decoded again in every epoch.

    Attributes:
        samples, n: number of images. classes: their class numbers, int32.
        class_indices: number of each class name. filenames: paths within the
        directory. filepaths: paths. image_shape: (height, width, channels).
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        image_data_generator: ImageDataGenerator,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        cache: str | None = "memory",
        cache_limit_mb: float = 1024,
    ) -> None:
        self.directory = os.fspath(directory)
        self.image_data_generator = image_data_generator
        self.target_size = positive_pair(target_size, "target_size", _OWNER)
        self.color_mode = color_mode
        self.image_shape = (*self.target_size, image_files.channels_of(color_mode, _OWNER))
        image_files.check_interpolation(interpolation, _OWNER)
        self.interpolation = interpolation
        self.keep_aspect_ratio = keep_aspect_ratio
        self.class_mode = class_mode
        self.subset = subset
        _check_options(class_mode, cache)

        names = _class_names(self.directory, classes)
        if class_mode == "binary" and len(names) > 2:
            raise ValueError(
                f"{_OWNER}: class_mode='binary' is for two classes, {self.directory!r} has "
                f"{len(names)} ({', '.join(names[:5])} ...); use 'sparse' or 'categorical'"
            )
        self.class_indices = {name: number for number, name in enumerate(names)}
        self.num_classes = len(names)
        self._list_files(follow_links)
        super().__init__(self.samples, batch_size, shuffle, seed)

        self._saved = (
            None if save_to_dir is None else SavedBatches(save_to_dir, save_prefix, save_format)
        )
        limit = cache_limit_mb if cache == "memory" else 0
        self._cache = PixelCache(self.samples, self.image_shape, limit)
        self._broken: set[int] = set()
        self._broken_lock = threading.Lock()

    @property
    def labels(self) -> np.ndarray:
        """Class numbers of the images, (samples,) int32."""
        return self.classes

    def _list_files(self, follow_links: bool) -> None:
        """Find the images of every class, report what is no image, and print the count."""
        filenames: list[str] = []
        classes: list[int] = []
        for name, number in self.class_indices.items():
            found = list(_image_names(self.directory, name, follow_links))
            if self.subset is not None:
                first, last = subset_bounds(
                    len(found), self.subset, self.image_data_generator.validation_split, _OWNER
                )
                found = found[first:last]
            filenames += found
            classes += [number] * len(found)
        paths = [os.path.join(self.directory, name) for name in filenames]
        faults = _in_threads(image_files.find_fault, paths)
        _report(
            [f"{path} ({fault})" for path, fault in zip(paths, faults, strict=True) if fault],
            stacklevel=5,
        )
        sound = [i for i, fault in enumerate(faults) if fault is None]
        self.filenames = [filenames[i] for i in sound]
        self.filepaths = [paths[i] for i in sound]
        self.classes = np.array([classes[i] for i in sound], np.int32)
        self.samples = len(sound)
        print(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        if not sound:
            part = f" for subset={self.subset!r}" if self.subset else ""
            raise ValueError(
                f"{_OWNER}: {self.directory!r} has no images{part}; one sub-folder per class "
                f"with files ending in {', '.join(ENDINGS)} is expected"
            )

    def _assemble(self, indices: np.ndarray, epoch: int) -> Any:
        pixels, indices = self._read(indices)
        batch = process_batch(
            self.image_data_generator,
            pixels,
            np.arange(len(indices)),
            self._image_generators(indices, epoch),
            lambda i: repr(self.filepaths[indices[i]]),
        )
        if self._saved is not None:
            self._saved.write(batch, indices, epoch)
        if self.class_mode is None:
            return batch
        if self.class_mode == "input":
            return batch, batch.copy()
        numbers = self.classes[indices]
        if self.class_mode == "categorical":
            return batch, np.eye(self.num_classes, dtype=np.float32)[numbers]
        return batch, numbers.astype(np.float32)

    def _read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return uint8 pixels, and the numbers of the images they really are."""
        pixels = np.empty((len(indices), *self.image_shape), np.uint8)
        used = np.array(indices)
        missing = []
        for i, index in enumerate(indices):
            kept = self._cache.get(index)
            if kept is None:
                missing.append(i)
            else:
                pixels[i] = kept

        def decode(i: int) -> None:
            used[i], pixels[i] = self._decode(int(indices[i]))

        _in_threads(decode, missing)
        return pixels, used

    def _decode(self, index: int) -> tuple[int, np.ndarray]:
        """Return the pixels of image `index`, or the next readable one and its number."""
        for candidate in (*range(index, self.n), *range(index)):
            if candidate in self._broken:
                continue
            try:
                image = image_files.load_img(
                    self.filepaths[candidate],
                    self.color_mode,
                    self.target_size,
                    self.interpolation,
                    self.keep_aspect_ratio,
                )
            except OSError as error:
                self._mark_broken(candidate, error)
                continue
            pixels = np.asarray(image, np.uint8).reshape(self.image_shape)
            self._cache.put(candidate, pixels)
            return candidate, pixels
        raise OSError(f"{_OWNER}: none of the {self.n} images in {self.directory!r} can be read")

    def _mark_broken(self, index: int, error: OSError) -> None:
        with self._broken_lock:
            known = index in self._broken
            self._broken.add(index)
        if not known:
            reason = str(error.__cause__ or error.strerror or error)
            _report([f"{self.filepaths[index]} ({reason})"], stacklevel=2)


def _check_options(class_mode: str | None, cache: str | None) -> None:
    if class_mode not in _CLASS_MODES:
        raise ValueError(
            f"{_OWNER}: class_mode is {class_mode!r}; one of "
            f"{', '.join(map(repr, _CLASS_MODES))} is accepted"
        )
    if cache not in ("memory", None):
        raise ValueError(f"{_OWNER}: cache is {cache!r}; 'memory' and None are accepted")


def _class_names(directory: str, classes: Sequence[str] | None) -> list[str]:
    if not os.path.isdir(directory):
        raise FileNotFoundError(
            f"{_OWNER}: there is no folder {directory!r}; a folder with one sub-folder per class "
            "is expected"
        )
    if not classes:
        with os.scandir(directory) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    names = list(classes)
    for name in names:
        if not os.path.isdir(os.path.join(directory, name)):
            raise FileNotFoundError(
                f"{_OWNER}: classes names {name!r}, but there is no such folder in {directory!r}"
            )
    if len(set(names)) < len(names):
        raise ValueError(f"{_OWNER}: classes is {names!r}; every class may be named once")
    return names


def _image_names(directory: str, class_name: str, follow_links: bool) -> Iterable[str]:
    """Yield the paths, relative to `directory`, of the files that end like images, sorted."""
    visited = set()
    walk = os.walk(os.path.join(directory, class_name), followlinks=follow_links)
    for folder, subfolders, files in walk:
        # A link back to a folder above would make the walk endless.
        place = os.path.realpath(folder)
        if place in visited:
            subfolders.clear()
            continue
        visited.add(place)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                yield os.path.relpath(os.path.join(folder, name), directory)


def _in_threads(function: Any, items: Sequence[Any]) -> list[Any]:
    """Return [function(item) ...]; Pillow decodes without holding the interpreter's lock."""
    from ..runtime import get_num_threads

    threads = min(get_num_threads(), len(items))
    if threads <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))


def _report(faults: list[str], stacklevel: int) -> None:
    """Warn of files that are no images."""
    if not faults:
        return
    more = f"; and {len(faults) - _NAMES_SHOWN} more" if len(faults) > _NAMES_SHOWN else ""
    count = "1 file is" if len(faults) == 1 else f"{len(faults)} files are"
    names = "; ".join(faults[:_NAMES_SHOWN]) + more
    warnings.warn(
        f"{_OWNER}: {count} not readable as images, skipped: {names}",
        stacklevel=stacklevel,
    )
