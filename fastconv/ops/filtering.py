"""One 2-D filter over one image: the textbook's convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.memory import contiguous
from .kept_plans import Operation, plans
from .plans import Filter2DPlan
from .results import result

_FILTER2D = Operation("filter2d", Filter2DPlan, ("padding",))
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


def filter2d(
    image: Any, kernel: Any, padding: Any = "valid", *, out: np.ndarray | None = None
) -> np.ndarray:
    """Slide one 2-D filter over an image and return the feature map.

    image: (height, width) or (height, width, channels), an array or nested lists of
    numbers; with channels, each is filtered by itself.  kernel: (rows, columns).
    padding is as in `conv2d`.  float64 stays float64, everything else becomes float32.
    out: None, or the array that the map is written to, as in `conv2d`.

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
    dtype = _FLOAT64 if _is_double(image) or _is_double(kernel) else _FLOAT32
    image_shape = pixels.shape if pixels.ndim == 3 else (*pixels.shape, 1)
    if not image_shape[2]:  # no channels: as many maps, each as large as that of one
        maps = filter2d(np.zeros((*image_shape[:2], 1), dtype), weights, padding)
        return result(out, (*maps.shape[:2], 0), dtype, "filter2d")
    kept = plans.take(_FILTER2D, (image_shape, weights.shape), dtype, (padding,))
    plan = kept.plan
    shape = plan.output_shape if pixels.ndim == 3 else plan.output_shape[:2]
    pixels, weights = contiguous(pixels, dtype), contiguous(weights, dtype)
    maps = result(out, shape, dtype, "filter2d", pixels, weights)
    plan.forward(pixels.reshape(image_shape), weights, maps.reshape(plan.output_shape))
    plans.give_back(kept)
    return maps


def _is_double(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == _FLOAT64


def _numbers(value: Any, argument: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"filter2d: the rows of {argument} differ in length") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"filter2d: {argument} has dtype {array.dtype}; numbers are needed")
    return array
