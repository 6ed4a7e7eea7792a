"""From pixels to a batch: the one way that all iterators take.

What ImageDataGenerator itself does runs in one compiled pass per image, from
8-bit pixels to finished floats. Python that the user brings, be it a
`preprocessing_function` or a subclass, is called image by image.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from ..ops.augmentation import pick_pixels, transform_images
from . import augmentation
from .normalization import EPSILON
from .transform import DRAWS, ImageTransform

_STEPS = ("get_random_transform", "apply_transform", "random_transform", "standardize")
_NO_CHANGE = np.eye(3)[:2]


def process_batch(
    generator: ImageTransform,
    source: np.ndarray,
    rows: np.ndarray,
    draws: Callable[[int], np.random.Generator],
    describe: Callable[[int], str],
    threads: int | None = None,
) -> np.ndarray:
    """Return a float32 batch of images changed and normalized by `generator`.

    Args:
        source: (m, height, width, channels), uint8 or float32, values of 0-255;
            it is not written to.
        rows: (n,), which images of `source` the batch is made of.
        draws: gives the random numbers of the i-th image of the batch.
        describe: names the i-th image of the batch, for an error.
        threads: of the kernels; None takes fastconv's number.

    Raises:
        RuntimeError: Python of the user's failed on an image; the message
            names it, and the cause is the error itself.
    """
    own = _has_own_steps(generator)
    if not len(rows):
        return np.empty((0, *source.shape[1:]), np.float32)
    if _changes_in_kernel(generator):
        batch = _by_kernel(generator, source, rows, draws, threads)
        if _normalizes_in_kernel(generator):
            return batch
        changed: Callable[[int], np.ndarray] = batch.__getitem__
    else:
        batch = np.empty((len(rows), *source.shape[1:]), np.float32)
        changes = own or _changes_values(generator) or _changes_geometry(generator)

        def changed(i: int) -> np.ndarray:
            image = source[rows[i]]
            return generator.random_transform(image, draws(i)) if changes else image

    for i in range(len(rows)):
        with _blamed_on(describe, i):
            batch[i] = generator.standardize(changed(i))
    return batch


def is_one_pass(generator: ImageTransform) -> bool:
    """Whether its batches are compiled code from pixels to floats."""
    return _changes_in_kernel(generator) and _normalizes_in_kernel(generator)


def _by_kernel(
    generator: ImageTransform,
    source: np.ndarray,
    rows: np.ndarray,
    draws: Callable[[int], np.random.Generator],
    threads: int | None,
) -> np.ndarray:
    """Return the batch after the random changes, and normalized where the kernel does it all."""
    factor: np.ndarray | float = 1.0
    offset: np.ndarray | float = 0.0
    center = scale = False
    if _normalizes_in_kernel(generator):
        factor, offset = generator.channel_scale()
        center, scale = generator.samplewise_center, generator.samplewise_std_normalization
    matrices = np.broadcast_to(_NO_CHANGE, (len(rows), 2, 3))
    shifts = gains = None
    if _changes_geometry(generator) or _changes_values(generator):
        numbers = np.empty((len(rows), DRAWS))
        for i, row in enumerate(numbers):
            draws(i).random(out=row)
        height, width = source.shape[1:3]
        parameters = generator.draw_parameters(numbers, height, width)
        matrices = augmentation.inverse_matrices(parameters, height, width)
        shifts, gains = parameters["channel_shift_intensity"], parameters["brightness"]
        if generator.interpolation_order == 0 and _changes_geometry(generator):
            # Values come after the geometry, as always.
            picked = np.empty((len(rows), *source.shape[1:]), np.float32)
            pick_pixels(source, rows, matrices, generator.fill_mode, generator.cval, picked)
            source, rows = picked, np.arange(len(rows))
            matrices = np.broadcast_to(_NO_CHANGE, (len(rows), 2, 3))
    return transform_images(
        source,
        rows,
        matrices,
        shifts=shifts,
        gains=gains,
        fill_mode=generator.fill_mode,
        cval=generator.cval,
        factor=factor,
        offset=offset,
        center=center,
        scale=scale,
        epsilon=EPSILON,
        num_threads=threads,
    )


def _has_own_steps(generator: ImageTransform) -> bool:
    """Whether a subclass, or whoever set an attribute, replaced what the kernel stands for."""
    return any(
        getattr(type(generator), step) is not getattr(ImageTransform, step)
        or step in vars(generator)
        for step in _STEPS
    )


def _changes_in_kernel(generator: ImageTransform) -> bool:
    """Whether the random changes are the kernel's."""
    compiled = generator.interpolation_order in (0, 1) or not _changes_geometry(generator)
    return compiled and not _has_own_steps(generator)


def _changes_geometry(generator: ImageTransform) -> bool:
    """Whether pixels may move."""
    return bool(
        generator.rotation_range
        or np.any(generator.width_shift_range)
        or np.any(generator.height_shift_range)
        or generator.shear_range
        or generator.zoom_range != (1, 1)
        or generator.horizontal_flip
        or generator.vertical_flip
    )


def _changes_values(generator: ImageTransform) -> bool:
    """Whether values may change at random."""
    return bool(generator.channel_shift_range or generator.brightness_range is not None)


def _normalizes_in_kernel(generator: ImageTransform) -> bool:
    """Whether the normalizations are of the kernel's kind."""
    return not (
        generator.preprocessing_function
        or generator.zca_whitening
        or (generator.samplewise_center and generator.featurewise_center)
    )


@contextlib.contextmanager
def _blamed_on(describe: Callable[[int], str], i: int) -> Iterator[None]:
    try:
        yield
    except MemoryError:  # no fault of the image's, and caught by its type
        raise
    except Exception as error:
        raise RuntimeError(
            f"ImageDataGenerator: {describe(i)} could not be prepared: "
            f"{type(error).__name__}: {error}"
        ) from error
