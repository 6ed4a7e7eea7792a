"""Convolution of images with a bank of kernels, the transposed one, and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._core.validation import expect_shape, float_array, same_dtype
from .kept_plans import kept_plan
from .plans import Conv2DPlan, Conv2DTransposePlan

Gradients = tuple[np.ndarray, np.ndarray, np.ndarray]


def conv2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    strides: Any = 1,
    padding: Any = "valid",
    dilation_rate: Any = 1,
    groups: int = 1,
) -> np.ndarray:
    """Slide `kernel` over `x` and return the sums of products (cross-correlation).

    x: (batch, height, width, channels), float32 or float64.
    kernel: (kernel height, kernel width, channels / groups, filters), same dtype.
    bias: (filters,), same dtype, or None.
    strides, dilation_rate: an int or a pair (rows, columns).
    padding: "valid", "same" (TensorFlow's), an int or ((top, bottom), (left, right)).

    Returns (batch, output height, output width, filters).  What the shapes need is planned
    once and kept for the next calls.
    Raises TypeError for another dtype, ValueError for shapes that do not fit.
    """
    options = {
        "strides": strides,
        "padding": padding,
        "dilation_rate": dilation_rate,
        "groups": groups,
    }
    return _forward(Conv2DPlan, "conv2d", x, kernel, bias, options)


def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    strides: Any = 1,
    padding: Any = "valid",
    dilation_rate: Any = 1,
    groups: int = 1,
) -> Gradients:
    """Return the gradients (dx, dkernel, dbias) of sum(dy * conv2d(x, kernel, bias)).

    dy has the shape of the output; the other arguments are those of `conv2d`.
    """
    options = {
        "strides": strides,
        "padding": padding,
        "dilation_rate": dilation_rate,
        "groups": groups,
    }
    return _backward(Conv2DPlan, "conv2d_backward", dy, x, kernel, options)


def conv2d_transpose(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    strides: Any = 1,
    padding: Any = "valid",
    output_padding: Any = None,
    dilation_rate: Any = 1,
    groups: int = 1,
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

    Returns (batch, output height, output width, filters).
    Raises TypeError for another dtype, ValueError for shapes that do not fit.
    """
    options = {
        "strides": strides,
        "padding": padding,
        "output_padding": output_padding,
        "dilation_rate": dilation_rate,
        "groups": groups,
    }
    return _forward(Conv2DTransposePlan, "conv2d_transpose", x, kernel, bias, options)


def conv2d_transpose_backward(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    strides: Any = 1,
    padding: Any = "valid",
    output_padding: Any = None,
    dilation_rate: Any = 1,
    groups: int = 1,
) -> Gradients:
    """Return the gradients (dx, dkernel, dbias) of sum(dy * conv2d_transpose(x, kernel, bias)).

    dy has the shape of the output; the other arguments are those of `conv2d_transpose`.
    """
    options = {
        "strides": strides,
        "padding": padding,
        "output_padding": output_padding,
        "dilation_rate": dilation_rate,
        "groups": groups,
    }
    return _backward(Conv2DTransposePlan, "conv2d_transpose_backward", dy, x, kernel, options)


def _forward(
    make: Callable[..., Conv2DPlan | Conv2DTransposePlan],
    owner: str,
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    options: dict[str, Any],
) -> np.ndarray:
    x = float_array(x, "x", owner, 4)
    kernel = float_array(kernel, "kernel", owner, 4)
    if bias is not None:
        bias = float_array(bias, "bias", owner, 1)
    dtype = same_dtype(owner, x=x, kernel=kernel, bias=bias)
    plan = kept_plan(make, x.shape, kernel.shape, dtype=dtype, owner=owner, **options)
    if bias is not None:
        expect_shape(bias, plan.output_shape[3:], "bias", owner)
    out = np.empty(plan.output_shape, dtype)
    plan.forward(x, kernel, bias, out)
    return out


def _backward(
    make: Callable[..., Conv2DPlan | Conv2DTransposePlan],
    owner: str,
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    options: dict[str, Any],
) -> Gradients:
    x = float_array(x, "x", owner, 4)
    kernel = float_array(kernel, "kernel", owner, 4)
    dy = float_array(dy, "dy", owner, 4)
    dtype = same_dtype(owner, dy=dy, x=x, kernel=kernel)
    plan = kept_plan(make, x.shape, kernel.shape, dtype=dtype, owner=owner, **options)
    expect_shape(dy, plan.output_shape, "dy", owner)
    dx, dkernel = np.empty_like(x), np.empty_like(kernel)
    dbias = np.empty(plan.output_shape[3], dtype)
    plan.backward(dy, x, kernel, dx, dkernel, dbias)
    return dx, dkernel, dbias
