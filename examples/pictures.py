"""What the examples learn from: shapes that are drawn, or with --data photos of cats and dogs."""

from __future__ import annotations

import argparse

import numpy as np
from command_line import count_and_seed
from shapes import SHAPES, blotches, drawn

from fastconv import datasets
from fastconv.preprocessing.image import ImageDataGenerator

CHANGES = {
    "rotation_range": 20,
    "width_shift_range": 0.1,
    "height_shift_range": 0.1,
    "zoom_range": 0.1,
    "horizontal_flip": True,
}


def labelled(chosen: argparse.Namespace, size: int, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures, (n, size, size, 3) of 0-255, and the numbers of their classes."""
    if chosen.data is None:
        count, seed = count_and_seed(chosen, part)
        x, y, _ = drawn(blotches(count, seed, size), seed)
        return x, y
    return _photos(chosen, size, part)


def masked(chosen: argparse.Namespace, size: int, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures with a shape in each, and its mask, (n, size, size, 1) of 0 and 255."""
    count, seed = count_and_seed(chosen, part)
    x = blotches(count, seed, size) if chosen.data is None else _photos(chosen, size, part)[0]
    x, _, masks = drawn(x, seed)
    return x, masks


def classifying(chosen: argparse.Namespace, size: int):
    """Return what a classifier is trained and validated on, and how many classes there are."""
    x, y = labelled(chosen, size, "train")
    training = ImageDataGenerator(rescale=1 / 255, **CHANGES).flow(x, y, seed=chosen.seed)
    x, y = labelled(chosen, size, "validation")
    validation = ImageDataGenerator(rescale=1 / 255).flow(x, y, shuffle=False)
    return training, validation, len(SHAPES) if chosen.data is None else 2


def _photos(chosen: argparse.Namespace, size: int, part: str) -> tuple[np.ndarray, np.ndarray]:
    count, seed = count_and_seed(chosen, part)
    files = ImageDataGenerator().flow_from_directory(
        datasets.dog_vs_cat(chosen.data) / part,
        target_size=(size, size),
        class_mode="binary",
        batch_size=count,
        seed=seed,
    )
    return next(files)
