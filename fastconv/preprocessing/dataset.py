"""A folder of image files as a data set in one line."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any

from .directory import DirectoryIterator
from .generator import ImageDataGenerator
from .ranges import one_of

_OWNER = "image_dataset_from_directory"
_NO_CLASSES = ("",)  # all images of the folder, at any depth
_CLASS_MODES = {"int": "sparse", "categorical": "categorical", "binary": "binary", None: None}


class ImageDataset(DirectoryIterator):
    """A DirectoryIterator that a `for` loop goes through once: the next loop is the next epoch."""

    owner = _OWNER

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of their numbers."""
        return list(self.class_indices)

    def _folders(self, classes: Sequence[str] | None) -> dict[str, str]:
        return {"": ""} if classes == _NO_CLASSES else super()._folders(classes)

    def __iter__(self) -> Iterator[Any]:
        for step in range(len(self)):
            yield self[step]
        self.on_epoch_end()


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: str | None = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    **options: Any,
) -> ImageDataset | tuple[ImageDataset, ImageDataset]:
    """Return the images in the sub-folders of `directory` in batches, values of 0-255.

    As in Keras; what differs: labels are (n,) in every mode but "categorical", float32, and
    validation is the first part of each class rather than of the shuffled whole, so that it does
    not depend on the seed. Larger pictures are made smaller by Pillow, which averages over all
    their pixels (antialiasing) where Keras looks at a few.

    Args:
        directory: the folder, one sub-folder per class.
        labels: "inferred" from the sub-folders, or None for images alone: all
            that are in the folder, at any depth.
        label_mode: "int", "binary", "categorical", or None for images alone.
        class_names: names of the sub-folders, in the order of their numbers.
        image_size: (height, width) in pixels.
        validation_split: the fraction that is for validation.
        subset: "training", "validation", or "both" for a pair.
        crop_to_aspect_ratio: cut instead of stretching.
        options: others of FileOptions: `cache`, `on_error`, `prefetch` ...

    >>> train, validation = image_dataset_from_directory(
    ...     "photos", image_size=(100, 100), validation_split=0.2, subset="both"
    ... )  # doctest: +SKIP
    """
    _check(labels, label_mode, class_names, validation_split, subset)
    part = functools.partial(
        ImageDataset,
        directory,
        ImageDataGenerator(validation_split=validation_split or 0.0),
        target_size=image_size,
        color_mode=color_mode,
        classes=_NO_CLASSES if labels is None else class_names,
        class_mode=None if labels is None else _CLASS_MODES[label_mode],
        batch_size=batch_size,
        seed=seed,
        follow_links=follow_links,
        interpolation=interpolation,
        keep_aspect_ratio=crop_to_aspect_ratio,
        **options,
    )
    if subset == "both":
        return part(subset="training", shuffle=shuffle), part(subset="validation", shuffle=False)
    return part(subset=subset, shuffle=shuffle)


def _check(
    labels: str | None,
    label_mode: str | None,
    class_names: Sequence[str] | None,
    validation_split: float | None,
    subset: str | None,
) -> None:
    """Refuse what is no choice, and arguments that contradict one another."""
    one_of(labels, ("inferred", None), "labels", _OWNER)
    if labels is None and class_names is not None:
        raise ValueError(
            f"{_OWNER}: class_names is {class_names!r} and labels is None; give one of them"
        )
    one_of(label_mode, tuple(_CLASS_MODES), "label_mode", _OWNER)
    one_of(subset, ("training", "validation", "both", None), "subset", _OWNER)
    if (validation_split is None) != (subset is None):
        raise ValueError(
            f"{_OWNER}: validation_split is {validation_split!r} and subset is {subset!r}; give "
            "both or neither"
        )
