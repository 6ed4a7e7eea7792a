"""The iterators that a data set's folder is trained with."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import Any

from .directory import DirectoryIterator
from .generator import ImageDataGenerator
from .growing import GrowingImages
from .parts import DataSet, listed_images, share_text, training_faults, validation_share


def training_iterators(
    data: DataSet,
    rescale: float | None,
    augmentation: Mapping[str, Any],
    early: tuple[int, int] | None = None,
    **options: Any,
) -> tuple[DirectoryIterator | GrowingImages, DirectoryIterator, str | None]:
    """Return the images to train on and those to validate with, and what is to be said of them.

    Two classes have the class_mode "binary", more "categorical". Where the data
    set has no part for validation, the first images of each class are kept for
    it; a part for testing stays untouched.

    Args:
        rescale, augmentation: of `ImageDataGenerator`; only training images are augmented.
        early: epochs in which images to train on are of another size, and their height and width.
        options: others of `flow_from_directory`.

    Raises:
        ValueError: nothing can be trained on it, as `training_faults` says.
    """
    folders = {role: folder for role, folder in data.class_folders.items() if role != "test"}
    counts = {role: listed_images(folder) for role, folder in folders.items()}
    for _, text in training_faults(counts):
        raise ValueError(text)
    # `class_folders` lists the part to train on first, and without one `training_faults` raised.
    training, classes = next(iter(folders.values())), next(iter(counts.values()))
    validation = folders.get("validation")
    options["class_mode"] = "binary" if len(classes) == 2 else "categorical"
    share = validation_share(classes) if validation is None else 0.0
    learn = ImageDataGenerator(rescale=rescale, validation_split=share, **augmentation)
    measure = ImageDataGenerator(rescale=rescale, validation_split=share)
    first, second = ("training", "validation") if share else (None, None)
    learnt: DirectoryIterator | GrowingImages
    learnt = learn.flow_from_directory(training, subset=first, **options)
    if early is not None:
        epochs, size = early
        small = {**options, "target_size": (size, size), "seed": learnt.seed}
        with contextlib.redirect_stdout(io.StringIO()):  # they are the same
            begin = learn.flow_from_directory(training, subset=first, **small)
        learnt = GrowingImages({0: begin, epochs: learnt})
    return (
        learnt,
        measure.flow_from_directory(
            validation or training, subset=second, shuffle=False, **options
        ),
        share_text(data, share) if share else None,
    )
