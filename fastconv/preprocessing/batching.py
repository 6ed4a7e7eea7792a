"""From pixels to a batch: the one way that all iterators take.

What ImageDataGenerator itself does runs in one compiled pass per image, from
8-bit pixels to finished floats. Python that the user brings, be it a
`preprocessing_function` or a subclass, is called image by image.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

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
    count, (height, width) = len(rows), source.shape[1:3]
    stays = np.broadcast_to(_NO_CHANGE, (count, 2, 3))
    normalization = _kernel_normalization(generator)
    if not (_changes_geometry(generator) or _changes_values(generator)):
        return transform_images(source, rows, stays, **normalization, num_threads=threads)
    numbers = np.empty((count, DRAWS))
    for i, row in enumerate(numbers):
        draws(i).random(out=row)
    parameters = generator.draw_parameters(numbers, height, width)
    matrices = augmentation.inverse_matrices(parameters, height, width)
    if generator.interpolation_order == 0 and _changes_geometry(generator):
        # Values come after the geometry, as always.
        picked = np.empty((count, *source.shape[1:]), np.float32)
        pick_pixels(source, rows, matrices, generator.fill_mode, generator.cval, picked)
        source, rows, matrices = picked, np.arange(count), stays
    changed = functools.partial(
        transform_images,
        source,
        rows,
        matrices,
        shifts=parameters["channel_shift_intensity"],
        gains=parameters["brightness"],
        fill_mode=generator.fill_mode,
        cval=generator.cval,
        num_threads=threads,
    )
    cutouts, value = parameters["cutout"], np.float32(generator.cutout_value)
    if not cutouts.any():
        return changed(**normalization)
    if normalization.get("center") or normalization.get("scale"):
        # An image's mean and deviation are those that it has with its rectangle.
        batch = _cut_out(changed(), cutouts, value)
        return transform_images(
            batch, np.arange(count), stays, **normalization, num_threads=threads
        )
    factor, offset = normalization.get("factor", 1), normalization.get("offset", 0)
    return _cut_out(changed(**normalization), cutouts, value * factor + offset)


def _cut_out(batch: np.ndarray, rectangles: np.ndarray, value: Any) -> np.ndarray:
    """Write `value`, a number or one per channel, over each image's rectangle."""
    for image, (top, bottom, left, right) in zip(batch, rectangles.tolist(), strict=True):
        image[top:bottom, left:right] = value
    return batch


def _kernel_normalization(generator: ImageTransform) -> dict[str, Any]:
    """Return the options of `transform_images` that normalize, {} where it is not the kernel's."""
    if not _normalizes_in_kernel(generator):
        return {}
    factor, offset = generator.channel_scale()
    return {
        "factor": factor,
        "offset": offset,
        "center": generator.samplewise_center,
        "scale": generator.samplewise_std_normalization,
        "epsilon": EPSILON,
    }


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
    return bool(
        generator.channel_shift_range
        or generator.brightness_range is not None
        or _cuts_out(generator)
    )


def _cuts_out(generator: ImageTransform) -> bool:
    """Whether rectangles may be cut out."""
    return bool(generator.cutout[1] and generator.cutout_probability)


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
