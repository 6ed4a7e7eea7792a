"""Batches from a folder of image files, one sub-folder per class."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .._core.naming import shortened
from .file_options import FileOptions
from .files import FileIterator, targets_of
from .iterators import subset_bounds
from .listing import (
    ENDINGS,
    class_folders,
    holds_images,
    image_names,
    is_system_folder,
    skipped_folders,
)
from .transform import ImageTransform


class DirectoryIterator(FileIterator):
    """Batches of the image files in the sub-folders of `directory`.

    A sub-folder is a class; classes are numbered in the order of their names
    as strings, in NFC: what a Mac wrote gets the names and numbers that it has
    elsewhere. Files ending in png, jpg, jpeg, bmp, ppm, tif or tiff are
    taken, at any depth, hidden ones not, nor what is in folders of a system's
    own, `__MACOSX`, `@eaDir`, `$RECYCLE.BIN` and the like, which are warned of
    where they hold images. So is a class without images, and a single class
    where targets are asked for. With class_mode=None a folder without
    sub-folders gives the images in it.

    Args:
        directory: the folder.
        classes: names of the sub-folders to use, in the order of their numbers.
        class_mode: the targets: "categorical" (n, classes), "binary" and
            "sparse" (n,), all float32; "input" gives the images themselves;
            None gives batches without targets.
        follow_links: enter folders that are symbolic links. A photo has one
            label: links to photos of another class are left out with a warning.
        subset: "training" or "validation": by the generator's
            validation_split, validation is the first part of each class.
        others: see FileOptions.

    Attributes:
        samples, n: number of images. classes: their class numbers, int32.
        class_indices: number of each class name. filenames: paths within the
        directory. filepaths: paths. image_shape: (height, width, channels).
    """

    owner = "flow_from_directory"
    classes: np.ndarray

    def __init__(
        self,
        directory: str | os.PathLike[str],
        image_data_generator: ImageTransform,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        *,
        follow_links: bool = False,
        subset: str | None = None,
        **options: Any,
    ) -> None:
        given = FileOptions.checked(
            self.owner,
            target_size=target_size,
            color_mode=color_mode,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            **options,
        )
        super().__init__(image_data_generator, given, class_mode, subset)
        self.directory = os.fspath(directory)
        folders = self._folders(classes)
        names = [name for name in folders if name]
        if class_mode == "binary" and len(names) > 2:
            raise ValueError(
                f"{self.owner}: class_mode='binary' is for two classes, {self.directory!r} has "
                f"{len(names)} ({', '.join(names[:5])} ...); use 'sparse' or 'categorical'"
            )
        self.class_indices = {name: number for number, name in enumerate(names)}
        self.num_classes = len(names)
        known = self._list_files(list(folders.values()), follow_links)
        paths = [os.path.join(self.directory, name) for name in known["filenames"]]
        part = f" for subset={self.subset!r}" if self.subset else ""
        none = (
            f"{self.directory!r} has no images{part}; one sub-folder per class "
            f"with files ending in {', '.join(ENDINGS)} is expected"
        )
        self._take_files(paths, known, none)
        self._warn_of_classes(self.classes, chosen=bool(classes))

    @property
    def labels(self) -> np.ndarray:
        """Class numbers of the images, (samples,) int32."""
        return self.classes

    def _folders(self, classes: Sequence[str] | None) -> dict[str, str]:
        """Return {class: sub-folder}; {"": ""} is the whole folder, images without classes."""
        folders = class_folders(self.directory, classes, self.owner)
        if self.class_mode is None and not folders:
            return {"": ""}
        return folders

    def _list_files(self, folders: Sequence[str], follow_links: bool) -> dict[str, Any]:
        """Return the files of every class that are listed as images, and their class numbers."""
        filenames: list[str] = []
        classes: list[int] = []
        skipped = [
            name
            for name in skipped_folders(self.directory)
            if is_system_folder(name) and name not in folders
        ]
        listed = [
            list(image_names(self.directory, folder, follow_links, skipped)) for folder in folders
        ]
        if self.class_mode not in ("input", None):
            self._leave_out_other_labels(listed)
        for number, found in enumerate(listed):
            if self.subset is not None:
                first, last = subset_bounds(
                    len(found), self.subset, self.image_data_generator.validation_split, self.owner
                )
                found = found[first:last]
            filenames += found
            classes += [number] * len(found)
        self._warn_of_skipped(sorted(set(skipped)))
        return {"filenames": filenames, "classes": np.array(classes, np.int32)}

    def _leave_out_other_labels(self, listed: list[list[str]]) -> None:
        """Take out of the classes' files, with a warning, links to photos of another class."""
        photos = _photos_behind(self.directory, itertools.chain(*listed))
        classes: dict[str, set[int]] = {}
        for number, names in enumerate(listed):
            for name in names:
                classes.setdefault(photos[name], set()).add(number)
        root = os.path.realpath(self.directory)
        links = {
            name
            for name, photo in photos.items()
            if len(classes[photo]) > 1 and photo != os.path.join(root, name)
        }
        if links:
            count = "1 link leads" if len(links) == 1 else f"{len(links)} links lead"
            warnings.warn(
                f"{self.owner}: {count} to a photo of another class, left out: "
                f"{shortened(sorted(links))}",
                stacklevel=6,
            )
        for names in listed:
            names[:] = [name for name in names if name not in links]

    def _warn_of_skipped(self, folders: Sequence[str]) -> None:
        """Warn of folders that are left out though they have images."""
        names = [repr(name) for name in folders if holds_images(self.directory, name)]
        if names:
            warnings.warn(
                f"{self.owner}: {', '.join(names)} in {self.directory!r} skipped: a system keeps "
                "its own there, no pictures of a class",
                stacklevel=5,
            )

    def _warn_of_classes(self, classes: np.ndarray, chosen: bool) -> None:
        """Warn of what trains a model badly: classes without images, a single class."""
        counts = np.bincount(classes, minlength=self.num_classes)
        empty = [name for name, number in self.class_indices.items() if counts[number] == 0]
        if empty:
            warnings.warn(
                f"{self.owner}: no images of {', '.join(map(repr, empty))} in {self.directory!r}"
                + (f" for subset={self.subset!r}" if self.subset else ""),
                stacklevel=4,
            )
        if self.num_classes == 1 and self.class_mode not in ("input", None) and not chosen:
            warnings.warn(
                f"{self.owner}: {self.directory!r} has one class only, "
                f"{next(iter(self.class_indices))!r}; a folder with one sub-folder per class is "
                "expected, or class_mode=None for images without targets",
                stacklevel=4,
            )

    def _assemble(self, indices: np.ndarray, epoch: int, threads: int | None) -> Any:
        batch, used = self._images(indices, epoch, threads)
        if self.class_mode is None:
            return batch
        numbers = self._listing["classes"][used]
        return batch, targets_of(self.class_mode, batch, numbers, self.num_classes)


def _photos_behind(directory: str, names: Iterable[str]) -> dict[str, str]:
    """Return the path without links of each of the files in `directory`."""
    real_folders: dict[str, str] = {}
    photos = {}
    for name in names:
        path = os.path.join(directory, name)
        folder, file = os.path.split(path)
        if folder not in real_folders:
            real_folders[folder] = os.path.realpath(folder)
        photos[name] = os.path.join(real_folders[folder], file)
        if os.path.islink(path):
            photos[name] = os.path.realpath(path)
    return photos
