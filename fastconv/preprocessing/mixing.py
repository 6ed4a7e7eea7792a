"""Mixup and CutMix: an image of a batch mixed with another one, and its target alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .._core.validation import NUMBER_KINDS
from .ranges import rectangles
from .transform import ImageTransform

_OWNER = "ImageDataGenerator"


def mixes(generator: Any) -> bool:
    """Whether the batches of a generator are mixed."""
    return isinstance(generator, ImageTransform) and bool(
        (generator.mixup or generator.cutmix) and generator.mix_probability
    )


class _Plan(NamedTuple):
    """What becomes of a batch: arrays of a value for each image."""

    partners: np.ndarray  # the number of the other image
    shares: np.ndarray  # how much of the image stays, float32
    rectangles: np.ndarray  # (n, 4): what is the other one's; zeros where images are blended


def mix_batch(generator: Any, batch: Any, stream: np.random.SeedSequence, numbered: bool) -> Any:
    """Return `(x, y)` or `(x, y, sample_weight)` with images mixed; `x` is written to.

    Args:
        generator: one of which `mixes` says that it mixes.
        batch: what an iterator made, finished floats.
        stream: of the batch's own random numbers.
        numbered: whether the targets are numbers of more than two classes.

    Raises:
        ValueError: there are no targets, or none that can be mixed.
    """
    if not isinstance(batch, tuple) or batch[1] is None:
        raise ValueError(
            f"{_OWNER}: mixup and cutmix mix images and their targets, and this iterator has "
            "none; give y, or a class_mode other than None"
        )
    if numbered:
        raise ValueError(
            f"{_OWNER}: mixup and cutmix cannot mix numbers of more than two classes; use "
            "class_mode='categorical', or y = to_categorical(y), and the loss "
            "'categorical_crossentropy'"
        )
    images, targets, *weights = batch
    if isinstance(targets, tuple):
        raise ValueError(
            f"{_OWNER}: mixup and cutmix cannot mix targets of several outputs "
            "(class_mode='multi_output')"
        )
    if targets.dtype.kind not in NUMBER_KINDS:
        raise TypeError(
            f"{_OWNER}: mixup and cutmix mix numbers, and y has dtype {targets.dtype}; give "
            "numpy.unique(y, return_inverse=True)[1]"
        )
    if not len(images):
        return batch
    plan = _planned(generator, images.shape, stream)
    if targets.ndim > 2:
        mixed = _mix_images(_floats(targets), plan, images.shape)
    else:
        mixed = _blend(targets, plan)
    _mix_images(images, plan, images.shape)
    return images, mixed, *(_blend(weight, plan) for weight in weights)


def _planned(
    generator: ImageTransform, shape: tuple[int, ...], stream: np.random.SeedSequence
) -> _Plan:
    count, height, width = shape[:3]
    # One of them switched on or off does not change what the other draws.
    draw, of_mixup, of_cutmix = map(np.random.default_rng, stream.spawn(3))
    partners = draw.permutation(count)
    numbers = draw.random((count, 4))
    mixed = numbers[:, 0] < generator.mix_probability
    pasted = mixed & (numbers[:, 1] < (0.5 if generator.mixup else 1.0)) & bool(generator.cutmix)
    shares = np.ones(count)
    if generator.mixup:
        drawn = of_mixup.beta(generator.mixup, generator.mixup, count)
        shares = np.where(mixed, drawn, shares)
    boxes = np.zeros((count, 4), int)
    if generator.cutmix:
        drawn = of_cutmix.beta(generator.cutmix, generator.cutmix, count)
        sides = np.repeat(np.sqrt(1 - drawn), 2).reshape(count, 2)
        boxes = rectangles(sides, numbers[:, 2:], height, width)
        boxes[~pasted] = 0
        area = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
        shares = np.where(pasted, 1 - area / (height * width), shares)
    return _Plan(partners, shares.astype(np.float32), boxes)


def _floats(values: np.ndarray) -> np.ndarray:
    """Return a copy in which shares of the values can be kept."""
    return values.astype(np.float64 if values.dtype == np.float64 else np.float32)


def _blend(values: np.ndarray, plan: _Plan) -> np.ndarray:
    """Return targets or weights, (n,) or (n, numbers), each with its partner's part."""
    values = _floats(values)
    shares = plan.shares.reshape(-1, *(1,) * (values.ndim - 1))
    return shares * values + (1 - shares) * values[plan.partners]


def _mix_images(images: np.ndarray, plan: _Plan, shape: tuple[int, ...]) -> np.ndarray:
    """Mix images, or targets that are images, in place."""
    if plan.rectangles.any() and images.shape[:3] != shape[:3]:
        raise ValueError(
            f"{_OWNER}: cutmix cannot mix targets of shape {images.shape}; it takes numbers, rows "
            f"of numbers, or images of {shape[1]} x {shape[2]}"
        )
    first, part = np.empty_like(images[0]), np.empty_like(images[0])
    for cycle in _cycles(plan.partners.tolist()):
        # Each image is written once the one before it has taken its part; the last one's partner
        # is the first, which is kept as it was.
        first[...] = images[cycle[0]]
        for row, partner in zip(cycle, [*cycle[1:], None], strict=True):
            other = first if partner is None else images[partner]
            image, share = images[row], plan.shares[row]
            top, bottom, left, right = plan.rectangles[row].tolist()
            if bottom:
                image[top:bottom, left:right] = other[top:bottom, left:right]
            elif share != 1:
                image *= share
                image += np.multiply(other, 1 - share, out=part)
    return images


def _cycles(partners: list[int]) -> Iterator[list[int]]:
    """Yield the cycles of a permutation: each number is followed by its partner."""
    left = set(range(len(partners)))
    while left:
        cycle = [min(left)]
        while (following := partners[cycle[-1]]) != cycle[0]:
            cycle.append(following)
        left.difference_update(cycle)
        yield cycle
