"""One 2-D filter over one image: the textbook's convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.memory import contiguous
from .kept_plans import Operation, plans
from .plans import Conv2DPlan
from .results import memory

_FILTER2D = Operation("filter2d", Conv2DPlan, ("padding",))


def filter2d(image: Any, kernel: Any, padding: Any = "valid") -> np.ndarray:
    """Slide one 2-D filter over an image and return the feature map.

    image: (height, width) or (height, width, channels), an array or nested lists of
    numbers; with channels, each is filtered by itself.  kernel: (rows, columns).
    padding is as in `conv2d`.  float64 stays float64, everything else becomes float32.

    >>> filter2d([[1, 0, 0], [1, 0, 0], [1, 1, 1]], [[1, -1], [1, -1]]).tolist()
    [[2.0, 0.0], [1.0, 0.0]]
    """
    pixels, weights = _numbers(image, "image"), _numbers(kernel, "kernel")
    if pixels.ndim not in (2, 3):
        raise ValueError(
            f"filter2d: image has shape {pixels.shape}; (height, width) or "
            "(height, width, channels) is needed"
        )
    if weights.ndim != 2:
        raise ValueError(f"filter2d: kernel has shape {weights.shape}; (rows, columns) is needed")
    dtype = np.float64 if np.float64 in (_dtype(image), _dtype(kernel)) else np.float32
    # Channels become images, so that one single-channel convolution serves them all.
    planes = np.moveaxis(np.atleast_3d(pixels), 2, 0)
    planes = contiguous(planes, dtype)[..., np.newaxis]
    weights = contiguous(weights, dtype)[:, :, np.newaxis, np.newaxis]
    kept = plans.take(_FILTER2D, (planes.shape, weights.shape), np.dtype(dtype), (padding,))
    out = memory.empty(kept.plan.output_shape, np.dtype(dtype))
    if planes.size:
        kept.plan.forward(planes, weights, None, out)
    plans.give_back(kept)
    maps = np.moveaxis(out[..., 0], 0, 2)
    return np.ascontiguousarray(maps[..., 0] if pixels.ndim == 2 else maps)


def _dtype(value: Any) -> np.dtype | None:
    return value.dtype if isinstance(value, np.ndarray) else None


def _numbers(value: Any, argument: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"filter2d: the rows of {argument} differ in length") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"filter2d: {argument} has dtype {array.dtype}; numbers are needed")
    return array
