"""Max, average and L2 pooling and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.validation import expect_shape, float_array, same_dtype
from .kept_plans import kept_plan
from .plans import Pool2DPlan


def max_pool2d(
    x: np.ndarray,
    pool_size: Any = 2,
    strides: Any = None,
    padding: Any = "valid",
    dilation_rate: Any = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """Return the largest value of each window.

    x: (batch, height, width, channels), float32 or float64.  pool_size, strides and dilation_rate
    are an int or a pair; strides defaults to pool_size.  padding is as in `conv2d`; padded
    pixels are never the largest.  A NaN in a window comes out as NaN.

    ceil_mode is PyTorch's: where the last stride does not come out even there is one more window,
    if it begins in the image or in the padding before it.
    """
    options = {"dilation_rate": dilation_rate, "ceil_mode": ceil_mode}
    return _pool("max", x, pool_size, strides, padding, **options)


def average_pool2d(
    x: np.ndarray,
    pool_size: Any = 2,
    strides: Any = None,
    padding: Any = "valid",
    dilation_rate: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> np.ndarray:
    """Return the mean of each window's pixels; it is finite wherever the pixels are.

    Arguments are those of `max_pool2d`.  Padding is not counted unless `count_include_pad`; what
    lies behind the padding, where a window of `ceil_mode` ends, is not counted at all.
    """
    options = {"dilation_rate": dilation_rate, "ceil_mode": ceil_mode}
    return _pool(
        "average", x, pool_size, strides, padding, count_include_pad=count_include_pad, **options
    )


def l2_pool2d(
    x: np.ndarray,
    pool_size: Any = 2,
    strides: Any = None,
    padding: Any = "valid",
    dilation_rate: Any = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """Return the root of the sum of squares of each window.

    Arguments are those of `max_pool2d`.  Squares may be larger or smaller than the dtype holds;
    pixels below its least normal number count as 0.
    """
    options = {"dilation_rate": dilation_rate, "ceil_mode": ceil_mode}
    return _pool("l2", x, pool_size, strides, padding, **options)


def max_pool2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    pool_size: Any = 2,
    strides: Any = None,
    padding: Any = "valid",
    *,
    dilation_rate: Any = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """Return the gradient dx of sum(dy * max_pool2d(x)); a tie goes to the window's first."""
    options = {"dilation_rate": dilation_rate, "ceil_mode": ceil_mode}
    return _pool_backward("max", dy, x, pool_size, strides, padding, **options)


def average_pool2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    pool_size: Any = 2,
    strides: Any = None,
    padding: Any = "valid",
    *,
    dilation_rate: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> np.ndarray:
    """Return the gradient dx of sum(dy * average_pool2d(x))."""
    options = {"dilation_rate": dilation_rate, "ceil_mode": ceil_mode}
    return _pool_backward(
        "average",
        dy,
        x,
        pool_size,
        strides,
        padding,
        count_include_pad=count_include_pad,
        **options,
    )


def l2_pool2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    pool_size: Any = 2,
    strides: Any = None,
    padding: Any = "valid",
    *,
    dilation_rate: Any = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """Return the gradient dx of sum(dy * l2_pool2d(x)); it is 0 where the norm is 0."""
    options = {"dilation_rate": dilation_rate, "ceil_mode": ceil_mode}
    return _pool_backward("l2", dy, x, pool_size, strides, padding, **options)


def _pool(
    kind: str, x: np.ndarray, pool_size: Any, strides: Any, padding: Any, **options: Any
) -> np.ndarray:
    owner = f"{kind}_pool2d"
    x = float_array(x, "x", owner, 4)
    plan = _plan(kind, x, owner, pool_size=pool_size, strides=strides, padding=padding, **options)
    out = np.empty(plan.output_shape, x.dtype)
    plan.forward(x, out)
    return out


def _pool_backward(
    kind: str,
    dy: np.ndarray,
    x: np.ndarray,
    pool_size: Any,
    strides: Any,
    padding: Any,
    **options: Any,
) -> np.ndarray:
    owner = f"{kind}_pool2d_backward"
    x = float_array(x, "x", owner, 4)
    dy = float_array(dy, "dy", owner, 4)
    same_dtype(owner, dy=dy, x=x)
    plan = _plan(kind, x, owner, pool_size=pool_size, strides=strides, padding=padding, **options)
    expect_shape(dy, plan.output_shape, "dy", owner)
    dx = np.empty_like(x)
    plan.backward(dy, x, dx)
    return dx


def _plan(kind: str, x: np.ndarray, owner: str, **options: Any) -> Pool2DPlan:
    return kept_plan(Pool2DPlan, kind, x.shape, dtype=x.dtype, owner=owner, **options)
