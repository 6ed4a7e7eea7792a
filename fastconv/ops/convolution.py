"""Convolution of images with a bank of kernels, the transposed one, and their gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._core.validation import expect_shape, float_array, same_dtype
from .kept_plans import Operation, plans
from .plans import Conv2DPlan, Conv2DTransposePlan
from .results import memory, result

Gradients = tuple[np.ndarray, np.ndarray, np.ndarray]
Outputs = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]
"""Where the gradients (dx, dkernel, dbias) are written; memory is found for what is None."""

_Plan = Conv2DPlan | Conv2DTransposePlan
_OPTIONS = ("strides", "padding", "dilation_rate", "groups")
_CONV2D: Operation[_Plan] = Operation("conv2d", Conv2DPlan, _OPTIONS)
_CONV2D_BACKWARD = replace(_CONV2D, owner="conv2d_backward")
_TRANSPOSE: Operation[_Plan] = Operation(
    "conv2d_transpose",
    Conv2DTransposePlan,
    ("strides", "padding", "output_padding", "dilation_rate", "groups"),
)
_TRANSPOSE_BACKWARD = replace(_TRANSPOSE, owner="conv2d_transpose_backward")


def conv2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    strides: Any = 1,
    padding: Any = "valid",
    dilation_rate: Any = 1,
    groups: int = 1,
    *,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Slide `kernel` over `x` and return the sums of products (cross-correlation).

    x: (batch, height, width, channels), float32 or float64.
    kernel: (kernel height, kernel width, channels / groups, filters), same dtype.
    bias: (filters,), same dtype, or None.
    strides, dilation_rate: an int or a pair (rows, columns).
    padding: "valid", "same" (TensorFlow's), an int or ((top, bottom), (left, right)).

    out: None, or the array that the result is written to and that is returned: of its shape and
    dtype, C-contiguous, writeable, and in memory that no argument is in.

    Returns (batch, output height, output width, filters).  What the shapes need is planned
    once and kept for the next calls, and memory of large results that are gone is used again:
    both within bounds, until `fastconv.utils.clear_session()`.
    Raises TypeError for another dtype, ValueError for shapes that do not fit.
    """
    options = strides, padding, dilation_rate, groups
    return _forward(_CONV2D, x, kernel, bias, options, out)


def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    strides: Any = 1,
    padding: Any = "valid",
    dilation_rate: Any = 1,
    groups: int = 1,
    *,
    out: Outputs | None = None,
) -> Gradients:
    """Return the gradients (dx, dkernel, dbias) of sum(dy * conv2d(x, kernel, bias)).

    dy has the shape of the output; the other arguments are those of `conv2d`.
    out: None, or a tuple of arrays for (dx, dkernel, dbias), as `conv2d` takes one; memory is
    found for those that are None.
    """
    options = strides, padding, dilation_rate, groups
    return _backward(_CONV2D_BACKWARD, dy, x, kernel, options, out)


def conv2d_transpose(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    strides: Any = 1,
    padding: Any = "valid",
    output_padding: Any = None,
    dilation_rate: Any = 1,
    groups: int = 1,
    *,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Add `kernel`, times each pixel of `x`, to an image of `strides` times as many pixels.

    That is the gradient of `conv2d`'s input: up-sampling by weights that are learnt.

    x: (batch, height, width, channels), float32 or float64.
    kernel: (kernel height, kernel width, filters / groups, channels), same dtype: as Keras has
    it, and as the `conv2d` that leads back from the output to x has it.
    bias: (filters,), same dtype, or None.
    strides, dilation_rate: an int or a pair (rows, columns).
    padding: "valid" or "same", with Keras's output sizes: of n pixels n * stride with "same",
    (n - 1) * stride + max(kernel, stride) with "valid"; or an int or ((top, bottom), (left,
    right)), pixels that are cut off what is reached, as PyTorch does.
    output_padding: None, or an int or a pair below `strides`: the pixels added at the bottom and
    the right of (n - 1) * stride + kernel ("same": + kernel % 2; pairs: less what is cut off).
    out: as in `conv2d`.

    Returns (batch, output height, output width, filters).
    Raises TypeError for another dtype, ValueError for shapes that do not fit.
    """
    options = strides, padding, output_padding, dilation_rate, groups
    return _forward(_TRANSPOSE, x, kernel, bias, options, out)


def conv2d_transpose_backward(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    strides: Any = 1,
    padding: Any = "valid",
    output_padding: Any = None,
    dilation_rate: Any = 1,
    groups: int = 1,
    *,
    out: Outputs | None = None,
) -> Gradients:
    """Return the gradients (dx, dkernel, dbias) of sum(dy * conv2d_transpose(x, kernel, bias)).

    dy has the shape of the output; the other arguments are those of `conv2d_transpose`, and out
    is as in `conv2d_backward`.
    """
    options = strides, padding, output_padding, dilation_rate, groups
    return _backward(_TRANSPOSE_BACKWARD, dy, x, kernel, options, out)


def _forward(
    operation: Operation[_Plan],
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    options: tuple[Any, ...],
    out: np.ndarray | None,
) -> np.ndarray:
    owner = operation.owner
    x = float_array(x, "x", owner, 4)
    kernel = float_array(kernel, "kernel", owner, 4)
    if bias is not None:
        bias = float_array(bias, "bias", owner, 1)
    dtype = x.dtype
    if kernel.dtype is not dtype or (bias is not None and bias.dtype is not dtype):
        same_dtype(owner, x=x, kernel=kernel, bias=bias)
    kept = plans.take(operation, (x.shape, kernel.shape), dtype, options)
    plan = kept.plan
    if bias is not None:
        expect_shape(bias, plan.output_shape[3:], "bias", owner)
    shape = plan.output_shape
    y = (
        memory.empty(shape, dtype)
        if out is None
        else result(out, shape, dtype, owner, x, kernel, bias)
    )
    plan.forward(x, kernel, bias, y)
    plans.give_back(kept)
    return y


def _backward(
    operation: Operation[_Plan],
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    options: tuple[Any, ...],
    out: Outputs | None,
) -> Gradients:
    owner = operation.owner
    x = float_array(x, "x", owner, 4)
    kernel = float_array(kernel, "kernel", owner, 4)
    dy = float_array(dy, "dy", owner, 4)
    dtype = x.dtype
    if kernel.dtype is not dtype or dy.dtype is not dtype:
        same_dtype(owner, dy=dy, x=x, kernel=kernel)
    kept = plans.take(operation, (x.shape, kernel.shape), dtype, options)
    plan = kept.plan
    expect_shape(dy, plan.output_shape, "dy", owner)
    filters = plan.output_shape[3:]
    if out is None:
        dx, dkernel = memory.empty(x.shape, dtype), memory.empty(kernel.shape, dtype)
        dbias = np.empty(filters, dtype)
    else:
        shapes = x.shape, kernel.shape, filters
        dx, dkernel, dbias = _gradients(out, shapes, dtype, owner, dy, x, kernel)
    plan.backward(dy, x, kernel, dx, dkernel, dbias)
    plans.give_back(kept)
    return dx, dkernel, dbias


def _gradients(
    out: Outputs,
    shapes: tuple[tuple[int, ...], ...],
    dtype: np.dtype,
    owner: str,
    *inputs: np.ndarray,
) -> list[np.ndarray]:
    """Return what (dx, dkernel, dbias) are written to, each apart from the others."""
    if not isinstance(out, (tuple, list)) or len(out) != 3:
        raise TypeError(
            f"{owner}: out is a {type(out).__name__}; it must be a tuple (dx, dkernel, dbias) of "
            "arrays or None"
        )
    made: list[np.ndarray] = []
    for array, shape, name in zip(out, shapes, ("dx", "dkernel", "dbias"), strict=True):
        argument = f"out's {name}"
        made.append(result(array, shape, dtype, owner, *inputs, *made, argument=argument))
    return made
