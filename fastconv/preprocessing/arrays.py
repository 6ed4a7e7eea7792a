"""Arrays of images, targets and weights, as `flow` is given them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.memory import contiguous
from .._core.validation import channels_last, number_array, one_of, positive_pair
from ..ops.resampling import INTERPOLATIONS, ResizePlan, cropped


def smart_resize(
    x: Any,
    size: tuple[int, int],
    interpolation: str = "bilinear",
    data_format: str | None = "channels_last",
) -> np.ndarray:
    """Return images of `size`, (height, width), cut in their middle to its proportions first.

    Args:
        x: an image, (height, width, channels), or images, (n, height, width, channels).
        interpolation: see the layer Resizing.
    """
    owner = "smart_resize"
    channels_last(data_format, owner)
    one_of(*INTERPOLATIONS)(interpolation, "interpolation", owner)
    images = contiguous(number_array(x, "x", owner), np.float32)
    if images.ndim not in (3, 4):
        raise ValueError(
            f"{owner}: x has shape {images.shape}; it must be one image or several, "
            "(n, height, width, channels)"
        )
    target = positive_pair(size, "size", owner)
    several = images.reshape(-1, *images.shape[-3:])
    source = (several.shape[1], several.shape[2])
    out = np.empty((len(several), *target, several.shape[3]), np.float32)
    ResizePlan(source, target, cropped(source, target), interpolation).forward(several, out)
    return out.reshape(*images.shape[:-3], *out.shape[1:])


def image_array(x: Any) -> np.ndarray:
    """Return images, (n, height, width, channels), as uint8 or float32, or raise."""
    if isinstance(x, tuple) and len(x) and np.ndim(x[0]) == 4:
        raise TypeError(
            f"flow: x is a tuple of {len(x)} arrays; it must be one array of images; "
            "for images with masks zip the flows of two generators with one seed (see "
            "ImageDataGenerator)"
        )
    try:
        x = np.asarray(x)
        if x.dtype.kind in "SUc":
            raise TypeError
        images = x if x.dtype == np.uint8 else x.astype(np.float32, copy=False)
    except (TypeError, ValueError):
        raise TypeError(
            "flow: x cannot be made an array of numbers; give one array of images"
        ) from None
    if images.ndim != 4:
        raise ValueError(
            f"flow: x has shape {images.shape}; (images, height, width, channels) is needed"
        )
    return images


def column(values: Any, argument: str, count: int) -> np.ndarray | None:
    """Return targets or weights of `count` images as an array; None stays None."""
    if values is None:
        return None
    values = np.asarray(values)
    if values.ndim == 0 or len(values) != count:
        raise ValueError(f"flow: {argument} has shape {values.shape}; x has {count} images")
    return values


def check_same_classes(y: np.ndarray, first: int, last: int) -> None:
    """Refuse a subset from `first` to `last` that lacks a class of the rest, or has one more."""
    inside = np.unique(y[first:last], axis=0)
    outside = np.unique(np.concatenate([y[:first], y[last:]]), axis=0)
    if not np.array_equal(inside, outside):
        raise ValueError(
            "flow: the training and the validation subset do not have the same classes; shuffle "
            "x and y first, or give ignore_class_split=True"
        )
