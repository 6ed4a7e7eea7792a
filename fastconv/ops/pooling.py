"""Max, average and L2 pooling and their gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._core.validation import expect_shape, float_array, same_dtype
from .kept_plans import Operation, plans
from .plans import Pool2DPlan
from .results import result

_OPTIONS = ("pool_size", "strides", "padding", "dilation_rate", "ceil_mode")
_FORWARD = {
    "max": Operation("max_pool2d", Pool2DPlan, _OPTIONS),
    "average": Operation("average_pool2d", Pool2DPlan, (*_OPTIONS, "count_include_pad")),
    "l2": Operation("l2_pool2d", Pool2DPlan, _OPTIONS),
}
_BACKWARD = {
    kind: replace(operation, owner=f"{operation.owner}_backward")
    for kind, operation in _FORWARD.items()
}


def max_pool2d(
    x: np.ndarray,
    pool_size: Any = 2,
    strides: Any = None,
    padding: Any = "valid",
    dilation_rate: Any = 1,
    ceil_mode: bool = False,
    *,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the largest value of each window.

    x: (batch, height, width, channels), float32 or float64.  pool_size, strides and dilation_rate
    are an int or a pair; strides defaults to pool_size.  padding is as in `conv2d`; padded
    pixels are never the largest.  A NaN in a window comes out as NaN.

    ceil_mode is PyTorch's: where the last stride does not come out even there is one more window,
    if it begins in the image or in the padding before it.

    out: None, or the array that the result is written to, as in `conv2d`.
    """
    options = pool_size, strides, padding, dilation_rate, ceil_mode
    return _pool("max", x, options, out)


def average_pool2d(
    x: np.ndarray,
    pool_size: Any = 2,
    strides: Any = None,
    padding: Any = "valid",
    dilation_rate: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    *,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the mean of each window's pixels; it is finite wherever the pixels are.

    Arguments are those of `max_pool2d`.  Padding is not counted unless `count_include_pad`; what
    lies behind the padding, where a window of `ceil_mode` ends, is not counted at all.
    """
    options = pool_size, strides, padding, dilation_rate, ceil_mode, count_include_pad
    return _pool("average", x, options, out)


def l2_pool2d(
    x: np.ndarray,
    pool_size: Any = 2,
    strides: Any = None,
    padding: Any = "valid",
    dilation_rate: Any = 1,
    ceil_mode: bool = False,
    *,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the root of the sum of squares of each window.

    Arguments are those of `max_pool2d`.  Squares may be larger or smaller than the dtype holds;
    pixels below its least normal number count as 0.
    """
    options = pool_size, strides, padding, dilation_rate, ceil_mode
    return _pool("l2", x, options, out)


def max_pool2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    pool_size: Any = 2,
    strides: Any = None,
    padding: Any = "valid",
    *,
    dilation_rate: Any = 1,
    ceil_mode: bool = False,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the gradient dx of sum(dy * max_pool2d(x)); a tie goes to the window's first.

    out: None, or the array that dx is written to, as in `conv2d`.
    """
    options = pool_size, strides, padding, dilation_rate, ceil_mode
    return _pool_backward("max", dy, x, options, out)


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
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the gradient dx of sum(dy * average_pool2d(x)), in `out` if that is given."""
    options = pool_size, strides, padding, dilation_rate, ceil_mode, count_include_pad
    return _pool_backward("average", dy, x, options, out)


def l2_pool2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    pool_size: Any = 2,
    strides: Any = None,
    padding: Any = "valid",
    *,
    dilation_rate: Any = 1,
    ceil_mode: bool = False,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the gradient dx of sum(dy * l2_pool2d(x)), in `out` if that is given.

    It is 0 where the norm is 0.
    """
    options = pool_size, strides, padding, dilation_rate, ceil_mode
    return _pool_backward("l2", dy, x, options, out)


def _pool(kind: str, x: np.ndarray, options: tuple[Any, ...], out: np.ndarray | None) -> np.ndarray:
    operation = _FORWARD[kind]
    owner = operation.owner
    x = float_array(x, "x", owner, 4)
    kept = plans.take(operation, (kind, x.shape), x.dtype, options)
    y = result(out, kept.plan.output_shape, x.dtype, owner, x)
    kept.plan.forward(x, y)
    plans.give_back(kept)
    return y


def _pool_backward(
    kind: str, dy: np.ndarray, x: np.ndarray, options: tuple[Any, ...], out: np.ndarray | None
) -> np.ndarray:
    operation = _BACKWARD[kind]
    owner = operation.owner
    x = float_array(x, "x", owner, 4)
    dy = float_array(dy, "dy", owner, 4)
    same_dtype(owner, dy=dy, x=x)
    kept = plans.take(operation, (kind, x.shape), x.dtype, options)
    expect_shape(dy, kept.plan.output_shape, "dy", owner)
    dx = result(out, x.shape, x.dtype, owner, dy, x)
    kept.plan.backward(dy, x, dx)
    plans.give_back(kept)
    return dx
