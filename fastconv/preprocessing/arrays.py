"""Arrays of images, targets and weights, as `flow` is given them."""

from __future__ import annotations

from typing import Any

import numpy as np


def image_array(x: Any) -> np.ndarray:
    """Return images, (n, height, width, channels), as uint8 or float32, or raise."""
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
