"""From pixels to a batch: the one way that all iterators take."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .generator import ImageDataGenerator


def process_batch(
    generator: ImageDataGenerator,
    pixels: np.ndarray,
    draws: Callable[[int], np.random.Generator],
) -> np.ndarray:
    """Return a float32 batch of images changed and normalized by `generator`.

    A subclass of ImageDataGenerator is asked image by image, since it may have
    its own `random_transform` and `standardize`.

    Args:
        pixels: (n, height, width, channels), uint8 or float32, values of 0-255.
        draws: gives the random numbers of the i-th image of the batch.
    """
    changes = _changes_images(generator)
    if not changes and _normalizes_alike(generator):
        return generator.standardize(pixels)
    batch = np.empty(pixels.shape, np.float32)
    for i, image in enumerate(pixels):
        if changes:
            image = generator.random_transform(image, draws(i))
        batch[i] = generator.standardize(image)
    return batch


def _changes_images(generator: ImageDataGenerator) -> bool:
    """Whether any random change may be switched on."""
    return bool(
        type(generator) is not ImageDataGenerator
        or generator.rotation_range
        or np.any(generator.width_shift_range)
        or np.any(generator.height_shift_range)
        or generator.shear_range
        or generator.zoom_range != (1, 1)
        or generator.channel_shift_range
        or generator.brightness_range is not None
        or generator.horizontal_flip
        or generator.vertical_flip
    )


def _normalizes_alike(generator: ImageDataGenerator) -> bool:
    """Whether normalizing a batch as a whole is the same as image by image."""
    return type(generator) is ImageDataGenerator and not (
        generator.preprocessing_function or generator.samplewise_center or generator.zca_whitening
    )
