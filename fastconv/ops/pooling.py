"""Max, average and L2 pooling and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._validation import expect_shape, float_array, same_dtype
from .plans import Pool2DPlan


def max_pool2d(
    x: np.ndarray, pool_size: Any = 2, strides: Any = None, padding: Any = "valid"
) -> np.ndarray:
    """Return the largest value of each window.

    x: (batch, height, width, channels), float32 or float64.  pool_size and strides are
    an int or a pair; strides defaults to pool_size.  padding is as in `conv2d`; padded
    pixels are never the largest.  A NaN in a window comes out as NaN.
    """
    return _pool("max", x, pool_size, strides, padding)


def average_pool2d(
    x: np.ndarray, pool_size: Any = 2, strides: Any = None, padding: Any = "valid"
) -> np.ndarray:
    """Return the mean of each window's pixels; padding is not counted.

    Arguments are those of `max_pool2d`.  It is finite wherever the pixels are.
    """
    return _pool("average", x, pool_size, strides, padding)


def l2_pool2d(
    x: np.ndarray, pool_size: Any = 2, strides: Any = None, padding: Any = "valid"
) -> np.ndarray:
    """Return the root of the sum of squares of each window.

    Arguments are those of `max_pool2d`.  Squares may be larger or smaller than the dtype holds;
    pixels below its least normal number count as 0.
    """
    return _pool("l2", x, pool_size, strides, padding)


def max_pool2d_backward(
    dy: np.ndarray, x: np.ndarray, pool_size: Any = 2, strides: Any = None, padding: Any = "valid"
) -> np.ndarray:
    """Return the gradient dx of sum(dy * max_pool2d(x)); a tie goes to the window's first."""
    return _pool_backward("max", dy, x, pool_size, strides, padding)


def average_pool2d_backward(
    dy: np.ndarray, x: np.ndarray, pool_size: Any = 2, strides: Any = None, padding: Any = "valid"
) -> np.ndarray:
    """Return the gradient dx of sum(dy * average_pool2d(x))."""
    return _pool_backward("average", dy, x, pool_size, strides, padding)


def l2_pool2d_backward(
    dy: np.ndarray, x: np.ndarray, pool_size: Any = 2, strides: Any = None, padding: Any = "valid"
) -> np.ndarray:
    """Return the gradient dx of sum(dy * l2_pool2d(x)); it is 0 where the norm is 0."""
    return _pool_backward("l2", dy, x, pool_size, strides, padding)


def _pool(kind: str, x: np.ndarray, pool_size: Any, strides: Any, padding: Any) -> np.ndarray:
    owner = f"{kind}_pool2d"
    x = float_array(x, "x", owner, 4)
    plan = Pool2DPlan(
        kind,
        x.shape,
        pool_size=pool_size,
        strides=strides,
        padding=padding,
        dtype=x.dtype,
        owner=owner,
    )
    out = np.empty(plan.output_shape, x.dtype)
    plan.forward(x, out)
    return out


def _pool_backward(
    kind: str, dy: np.ndarray, x: np.ndarray, pool_size: Any, strides: Any, padding: Any
) -> np.ndarray:
    owner = f"{kind}_pool2d_backward"
    x = float_array(x, "x", owner, 4)
    dy = float_array(dy, "dy", owner, 4)
    dtype = same_dtype(owner, dy=dy, x=x)
    plan = Pool2DPlan(
        kind,
        x.shape,
        pool_size=pool_size,
        strides=strides,
        padding=padding,
        dtype=dtype,
        owner=owner,
    )
    expect_shape(dy, plan.output_shape, "dy", owner)
    dx = np.empty_like(x)
    plan.backward(dy, x, dx)
    return dx
