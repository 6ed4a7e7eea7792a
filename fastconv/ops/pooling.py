"""Max, average and L2 pooling and their gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._core.validation import expect_shape, float_array, same_dtype, wrong_type
from .kept_plans import Kept, Operation, plans
from .plans import Pool2DPlan
from .results import memory, result

_OPTIONS = ("pool_size", "strides", "padding", "dilation_rate", "ceil_mode")
_FORWARD = {
    "max": Operation("max_pool2d", Pool2DPlan, _OPTIONS),
    "average": Operation("average_pool2d", Pool2DPlan, (*_OPTIONS, "count_include_pad")),
    "l2": Operation("l2_pool2d", Pool2DPlan, _OPTIONS),
}
_WITH_PLACES = replace(_FORWARD["max"], owner="max_pool2d_with_places")
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


class Places:
    """Where `max_pool2d_with_places` found the largest values, for `max_pool2d_backward`."""

    __slots__ = ("_argmax", "_key")

    def __init__(self, kept: Kept[Pool2DPlan]) -> None:
        plan = kept.plan
        self._key = kept.key
        self._argmax: np.ndarray | None = None  # of windows too large for a byte: found again
        if plan.keeps_argmax:
            self._argmax = memory.empty(plan.output_shape, np.dtype(np.uint8))

    def of(self, kept: Kept[Pool2DPlan], owner: str) -> np.ndarray | None:
        """Return the places for a plan; refuse one of another pooling, which has other windows."""
        if self._key is not kept.key and self._key[:-1] != kept.key[:-1]:  # but for settings
            raise ValueError(
                f"{owner}: places are of another pooling; x must have the shape and dtype, and "
                "the options must be those, that max_pool2d_with_places was given"
            )
        return self._argmax


def max_pool2d_with_places(
    x: np.ndarray,
    pool_size: Any = 2,
    strides: Any = None,
    padding: Any = "valid",
    dilation_rate: Any = 1,
    ceil_mode: bool = False,
    *,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, Places]:
    """Return what `max_pool2d` returns, and where the largest values are.

    `max_pool2d_backward(..., places=places)` then takes a half to a quarter of the time: it need
    not look for them again.  Arguments are those of `max_pool2d`.
    """
    options = pool_size, strides, padding, dilation_rate, ceil_mode
    operation = _WITH_PLACES
    x = float_array(x, "x", operation.owner, 4)
    kept = plans.take(operation, ("max", x.shape), x.dtype, options)
    y = result(out, kept.plan.output_shape, x.dtype, operation.owner, x)
    places = Places(kept)
    kept.plan.forward(x, y, places.of(kept, operation.owner))
    plans.give_back(kept)
    return y, places


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
    places: Places | None = None,
) -> np.ndarray:
    """Return the gradient dx of sum(dy * max_pool2d(x)); a tie goes to the window's first.

    out: None, or the array that dx is written to, as in `conv2d`.
    places: None, or what `max_pool2d_with_places` returned for x and these options: then the
    gradient goes there, and of x the shape and the dtype count alone.
    """
    options = pool_size, strides, padding, dilation_rate, ceil_mode
    return _pool_backward("max", dy, x, options, out, places)


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
    plan = kept.plan
    shape = plan.output_shape
    y = memory.empty(shape, x.dtype) if out is None else result(out, shape, x.dtype, owner, x)
    plan.forward(x, y)
    plans.give_back(kept)
    return y


def _pool_backward(
    kind: str,
    dy: np.ndarray,
    x: np.ndarray,
    options: tuple[Any, ...],
    out: np.ndarray | None,
    places: Places | None = None,
) -> np.ndarray:
    operation = _BACKWARD[kind]
    owner = operation.owner
    x = float_array(x, "x", owner, 4)
    dy = float_array(dy, "dy", owner, 4)
    if dy.dtype is not x.dtype:
        same_dtype(owner, dy=dy, x=x)
    if places is not None and type(places) is not Places:
        raise wrong_type(places, "places", owner, "what max_pool2d_with_places returned")
    kept = plans.take(operation, (kind, x.shape), x.dtype, options)
    expect_shape(dy, kept.plan.output_shape, "dy", owner)
    shape = x.shape
    dx = memory.empty(shape, x.dtype) if out is None else result(out, shape, x.dtype, owner, dy, x)
    kept.plan.backward(dy, x, dx, None if places is None else places.of(kept, owner))
    plans.give_back(kept)
    return dx
