"""Convolution of images with a bank of kernels, and its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.validation import expect_shape, float_array, same_dtype
from .plans import Conv2DPlan


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

    Returns (batch, output height, output width, filters).
    Raises TypeError for another dtype, ValueError for shapes that do not fit.
    """
    x = float_array(x, "x", "conv2d", 4)
    kernel = float_array(kernel, "kernel", "conv2d", 4)
    if bias is not None:
        bias = float_array(bias, "bias", "conv2d", 1)
    dtype = same_dtype("conv2d", x=x, kernel=kernel, bias=bias)
    plan = Conv2DPlan(
        x.shape,
        kernel.shape,
        strides=strides,
        padding=padding,
        dilation_rate=dilation_rate,
        groups=groups,
        dtype=dtype,
    )
    if bias is not None:
        expect_shape(bias, (kernel.shape[3],), "bias", "conv2d")
    out = np.empty(plan.output_shape, dtype)
    plan.forward(x, kernel, bias, out)
    return out


def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    strides: Any = 1,
    padding: Any = "valid",
    dilation_rate: Any = 1,
    groups: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients (dx, dkernel, dbias) of sum(dy * conv2d(x, kernel, bias)).

    dy has the shape of the output; the other arguments are those of `conv2d`.
    """
    x = float_array(x, "x", "conv2d_backward", 4)
    kernel = float_array(kernel, "kernel", "conv2d_backward", 4)
    dy = float_array(dy, "dy", "conv2d_backward", 4)
    dtype = same_dtype("conv2d_backward", dy=dy, x=x, kernel=kernel)
    plan = Conv2DPlan(
        x.shape,
        kernel.shape,
        strides=strides,
        padding=padding,
        dilation_rate=dilation_rate,
        groups=groups,
        dtype=dtype,
        owner="conv2d_backward",
    )
    expect_shape(dy, plan.output_shape, "dy", "conv2d_backward")
    dx, dkernel = np.empty_like(x), np.empty_like(kernel)
    dbias = np.empty(kernel.shape[3], dtype)
    plan.backward(dy, x, kernel, dx, dkernel, dbias)
    return dx, dkernel, dbias
