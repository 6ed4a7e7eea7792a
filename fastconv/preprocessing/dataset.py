"""A folder of image files as a data set in one line."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any

from .._core.options import Option
from .._core.validation import channels_last, one_of, optional, truth
from .batch_dataset import BatchDataset, Shuffled
from .directory import DirectoryIterator
from .generator import ImageDataGenerator

_OWNER = "image_dataset_from_directory"
_NO_CLASSES = ("",)  # all images of the folder, at any depth
_CLASS_MODES = {"int": "sparse", "categorical": "categorical", "binary": "binary"}


class _Shuffle(int):
    """Whether a data set is shuffled; called, it makes another one, whose batches are."""

    def __new__(cls, value: bool, dataset: ImageDataset) -> _Shuffle:
        switch = super().__new__(cls, value)
        switch._dataset = dataset
        return switch

    _dataset: ImageDataset

    def __repr__(self) -> str:
        return repr(bool(self))

    def __call__(
        self,
        buffer_size: Any = None,
        seed: int | None = None,
        reshuffle_each_iteration: bool = True,
    ) -> Shuffled:
        return Shuffled(self._dataset, seed, reshuffle_each_iteration)


class _ShuffleOption(Option[bool]):
    """The option `shuffle` of an iterator, which is a data set's method as well."""

    def __get__(self, instance: Any, cls: type) -> Any:
        return self if instance is None else _Shuffle(instance.__dict__[self.name], instance)


class ImageDataset(DirectoryIterator, BatchDataset):
    """Image files in batches: a DirectoryIterator whose `for` loop is one epoch, and a data set.

    As a data set it has `map`, `cache`, `prefetch`, `shuffle`, `take`, `skip` and `cardinality`
    as TensorFlow's; batches are NumPy arrays.
    """

    owner = _OWNER
    shuffle = _ShuffleOption(truth)

    def __init__(self, *arguments: Any, verbose: bool = True, **options: Any) -> None:
        self._verbose = verbose
        super().__init__(*arguments, **options)

    @property
    def file_paths(self) -> list[str]:
        """Paths of the images, in the order of their classes."""
        return list(vars(self)["filepaths"])

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of their numbers."""
        return list(self.class_indices)

    def _folders(self, classes: Sequence[str] | None) -> dict[str, str]:
        return {"": ""} if classes == _NO_CLASSES else super()._folders(classes)

    def cache(self) -> ImageDataset:
        """Return the same: decoded pixels are kept, as the option `cache` says."""
        return self

    def _of_first_epoch(self, index: int) -> Any:
        return self.batch(0, range(len(self))[index])

    def _announce(self, text: str) -> None:
        if self._verbose:
            super()._announce(text)

    def __iter__(self) -> Iterator[Any]:
        return BatchDataset.__iter__(self)


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
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    verbose: bool = True,
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
        pad_to_aspect_ratio: put black beside the picture instead of stretching.
        data_format: "channels_last" is the one layout.
        verbose: print how many images were found.
        options: others of FileOptions: `cache`, `on_error`, `prefetch` ...

    >>> train, validation = image_dataset_from_directory(
    ...     "photos", image_size=(100, 100), validation_split=0.2, subset="both"
    ... )  # doctest: +SKIP
    """
    _check(labels, label_mode, class_names, validation_split, subset)
    channels_last(data_format, _OWNER)
    part = functools.partial(
        ImageDataset,
        directory,
        ImageDataGenerator(validation_split=validation_split or 0.0),
        target_size=image_size,
        color_mode=color_mode,
        classes=_NO_CLASSES if labels is None else class_names,
        class_mode=_CLASS_MODES[label_mode] if labels and label_mode else None,
        batch_size=batch_size,
        seed=seed,
        follow_links=follow_links,
        interpolation=interpolation,
        keep_aspect_ratio=crop_to_aspect_ratio,
        pad_to_aspect_ratio=pad_to_aspect_ratio,
        verbose=truth(verbose, "verbose", _OWNER),
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
    if labels is not None and not isinstance(labels, str):
        raise TypeError(
            f"{_OWNER}: labels is a {type(labels).__name__}; it must be 'inferred' or None; for "
            "labels of your own use ImageDataGenerator().flow_from_paths(paths, labels)"
        )
    optional(one_of("inferred"))(labels, "labels", _OWNER)
    if labels is None and class_names is not None:
        raise ValueError(
            f"{_OWNER}: class_names is {class_names!r} and labels is None; give one of them"
        )
    optional(one_of(*_CLASS_MODES))(label_mode, "label_mode", _OWNER)
    optional(one_of("training", "validation", "both"))(subset, "subset", _OWNER)
    if (validation_split is None) != (subset is None):
        raise ValueError(
            f"{_OWNER}: validation_split is {validation_split!r} and subset is {subset!r}; give "
            "both or neither"
        )
