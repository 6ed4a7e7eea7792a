"""Slow, obvious NumPy twins of the kernels: what the tests hold them against.

Every function has the arguments of its twin in `fastconv.ops`, computes in float64 by
walking over the windows one by one, and returns float64.  Nothing is shared with the
fast path, not even the arithmetic of padding.  Arguments are not checked.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .reference_pooling import average_pool2d as average_pool2d
from .reference_pooling import average_pool2d_backward as average_pool2d_backward
from .reference_pooling import l2_pool2d as l2_pool2d
from .reference_pooling import l2_pool2d_backward as l2_pool2d_backward
from .reference_pooling import max_pool2d as max_pool2d
from .reference_pooling import max_pool2d_backward as max_pool2d_backward
from .reference_transposed import conv2d_transpose as conv2d_transpose
from .reference_transposed import conv2d_transpose_backward as conv2d_transpose_backward
from .reference_windows import Array, Padding, Size, output_size, windows

INACTIVE = 4
"""In what `conv_pool` returns of places: no pixel of the window is above 0."""


# Convolution


def conv2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    strides: Size = 1,
    padding: Padding = "valid",
    dilation_rate: Size = 1,
    groups: int = 1,
) -> Array:
    """Return the sums of products, (batch, rows, columns, filters)."""
    images, weights = _by_group(x, kernel, groups)
    geometry = (x.shape[1:3], kernel.shape[:2], strides, padding, dilation_rate)
    out = np.zeros((len(x), *output_size(*geometry), groups, kernel.shape[3] // groups))
    for row, column, taps in windows(*geometry):
        for i, j, y, z in taps:
            out[:, row, column] += np.einsum("ngc,cgf->ngf", images[:, y, z], weights[i, j])
    out = out.reshape(*out.shape[:3], kernel.shape[3])
    return out if bias is None else out + np.asarray(bias, np.float64)


def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    strides: Size = 1,
    padding: Padding = "valid",
    dilation_rate: Size = 1,
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Return (dx, dkernel, dbias) of sum(dy * conv2d(x, kernel, bias))."""
    images, weights = _by_group(x, kernel, groups)
    gradients = np.asarray(dy, np.float64).reshape(*dy.shape[:3], groups, -1)
    geometry = (x.shape[1:3], kernel.shape[:2], strides, padding, dilation_rate)
    dx, dkernel = np.zeros(images.shape), np.zeros(weights.shape)
    for row, column, taps in windows(*geometry):
        gradient = gradients[:, row, column]
        for i, j, y, z in taps:
            dx[:, y, z] += np.einsum("ngf,cgf->ngc", gradient, weights[i, j])
            dkernel[i, j] += np.einsum("ngc,ngf->cgf", images[:, y, z], gradient)
    dbias = np.asarray(dy, np.float64).sum(axis=(0, 1, 2))
    return dx.reshape(x.shape), dkernel.reshape(kernel.shape), dbias


def _by_group(x: np.ndarray, kernel: np.ndarray, groups: int) -> tuple[Array, Array]:
    """Split the channels of x and the filters of kernel: (..., group, channels or filters)."""
    images = np.asarray(x, np.float64).reshape(*x.shape[:3], groups, x.shape[3] // groups)
    weights = np.asarray(kernel, np.float64)
    return images, weights.reshape(*kernel.shape[:3], groups, kernel.shape[3] // groups)


def filter2d(image: np.ndarray, kernel: np.ndarray, padding: Padding = "valid") -> Array:
    """Slide one (rows, columns) kernel over an (H, W) or (H, W, C) image."""
    pixels, weights = np.asarray(image, np.float64), np.asarray(kernel, np.float64)
    geometry = (pixels.shape[:2], weights.shape, 1, padding)
    out = np.zeros((*output_size(*geometry), *pixels.shape[2:]))
    for row, column, taps in windows(*geometry):
        for i, j, y, z in taps:
            out[row, column] += weights[i, j] * pixels[y, z]
    return out


# ReLU, dense, and the fused block


def relu(x: np.ndarray) -> Array:
    """Return max(x, 0); a NaN stays one."""
    return np.maximum(np.asarray(x, np.float64), 0)


def relu_backward(dy: np.ndarray, y: np.ndarray) -> Array:
    """Return dy where y > 0, else 0."""
    return np.where(np.asarray(y) > 0, np.asarray(dy, np.float64), 0)


def sigmoid(x: np.ndarray) -> Array:
    """Return 1 / (1 + exp(-x))."""
    x = np.asarray(x, np.float64)
    small: Array = np.exp(-np.abs(x))
    probabilities: Array = np.where(x >= 0, 1, small) / (1 + small)
    return probabilities


def softmax(x: np.ndarray) -> Array:
    """Return exp(x) / sum(exp(x)) along the last axis."""
    x = np.asarray(x, np.float64)
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    probabilities: Array = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities


def sigmoid_cross_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[Array, Array]:
    """Return the means along the last axis of -t log p - (1 - t) log(1 - p), and gradients."""
    z, t = np.asarray(logits, np.float64), np.asarray(targets, np.float64)
    losses = np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))
    return losses.mean(axis=-1), (sigmoid(z) - t) / t.shape[-1]


def softmax_cross_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[Array, Array]:
    """Return -sum(t log p) along the last axis, p the softmax of the logits, and gradients."""
    z, t = np.asarray(logits, np.float64), np.asarray(targets, np.float64)
    shifted = z - z.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return -(t * log_p).sum(axis=-1), softmax(z) * t.sum(axis=-1, keepdims=True) - t


def dense(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None = None) -> Array:
    """Return x kernel + bias for x (batch, inputs) and kernel (inputs, outputs)."""
    out = np.asarray(x, np.float64) @ np.asarray(kernel, np.float64)
    return out if bias is None else out + np.asarray(bias, np.float64)


def dense_backward(dy: np.ndarray, x: np.ndarray, kernel: np.ndarray) -> tuple[Array, Array, Array]:
    """Return (dx, dkernel, dbias) of sum(dy * dense(x, kernel, bias))."""
    dy, x, kernel = (np.asarray(array, np.float64) for array in (dy, x, kernel))
    return dy @ kernel.T, x.T @ dy, dy.sum(axis=0)


def conv_pool(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    strides: Size = 1,
    padding: Padding = "valid",
) -> tuple[Array, NDArray[np.uint8]]:
    """Return max_pool2d(relu(conv2d(...)), 2) and the place of each window's maximum.

    The places, uint8, count the window's four pixels from 0 in row-major order and are
    INACTIVE where none is above 0, so that no gradient comes through.
    """
    sums = conv2d(x, kernel, bias, strides, padding)
    images, rows, columns, filters = sums.shape
    out = np.zeros((images, rows // 2, columns // 2, filters))
    argmax = np.zeros(out.shape, np.uint8)
    for row in range(rows // 2):
        for column in range(columns // 2):
            window = sums[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            values = window.reshape(images, 4, filters)
            out[:, row, column] = relu(values.max(axis=1))
            active = out[:, row, column] > 0
            argmax[:, row, column] = np.where(active, values.argmax(axis=1), INACTIVE)
    return out, argmax


def conv_pool_backward(
    dy: np.ndarray,
    argmax: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    strides: Size = 1,
    padding: Padding = "valid",
) -> tuple[Array, Array, Array]:
    """Return (dx, dkernel, dbias) of sum(dy * conv_pool(x, kernel, bias)[0])."""
    rows, columns = output_size(x.shape[1:3], kernel.shape[:2], strides, padding)
    dsums = np.zeros((len(x), rows, columns, kernel.shape[3]))
    for n, row, column, k in np.ndindex(dy.shape):
        place = argmax[n, row, column, k]
        if place != INACTIVE:
            dsums[n, 2 * row + place // 2, 2 * column + place % 2, k] = dy[n, row, column, k]
    return conv2d_backward(dsums, x, kernel, strides, padding)
