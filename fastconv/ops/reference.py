"""Slow, obvious NumPy twins of the kernels: what the tests hold them against.

Every function has the arguments of its twin in `fastconv.ops`, computes in float64 by
walking over the windows one by one, and returns float64.  Nothing is shared with the
fast path, not even the arithmetic of padding.  Arguments are not checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

DEAD = 4
"""In `conv_pool`'s winners: no pixel of the window is above 0."""


# Windows


class Tap(NamedTuple):
    """One pixel of a window: where in the kernel, where in the image."""

    i: int
    j: int
    row: int
    column: int


def output_size(
    image: tuple[int, int], size: tuple[int, int], strides: Any, padding: Any, dilation: Any = 1
) -> tuple[int, int]:
    """Return how many windows fit along the rows and along the columns."""
    pads = _padding(image, size, _pair(strides), padding, _pair(dilation))
    rows, columns = (
        len(range(0, length + sum(pad) - (window - 1) * apart, stride))
        for length, window, stride, pad, apart in zip(
            image, size, _pair(strides), pads, _pair(dilation), strict=True
        )
    )
    return rows, columns


def windows(
    image: tuple[int, int], size: tuple[int, int], strides: Any, padding: Any, dilation: Any = 1
) -> Iterator[tuple[int, int, list[Tap]]]:
    """Yield each window's place in the output and its taps that lie in the image."""
    (row_stride, column_stride), (down, right) = _pair(strides), _pair(dilation)
    (top, _), (left, _) = _padding(image, size, _pair(strides), padding, _pair(dilation))
    rows, columns = output_size(image, size, strides, padding, dilation)
    for row in range(rows):
        for column in range(columns):
            taps = [
                Tap(
                    i,
                    j,
                    row * row_stride + i * down - top,
                    column * column_stride + j * right - left,
                )
                for i in range(size[0])
                for j in range(size[1])
            ]
            inside = [tap for tap in taps if 0 <= tap.row < image[0] and 0 <= tap.column < image[1]]
            yield row, column, inside


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if np.isscalar(value) else tuple(value)


def _padding(image, size, strides, padding, dilation):
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        return tuple(map(_same, image, size, strides, dilation))
    return ((padding, padding), (padding, padding)) if np.isscalar(padding) else padding


def _same(length: int, window: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's SAME: ceil(length / stride) windows, the odd pixel behind."""
    extent = (window - 1) * dilation + 1
    past_stride = length % stride
    total = max(extent - (past_stride or stride), 0)
    return total // 2, total - total // 2


# Convolution


def conv2d(x, kernel, bias=None, strides=1, padding="valid", dilation_rate=1, groups=1):
    """Return the sums of products, (batch, rows, columns, filters)."""
    images, weights = _by_group(x, kernel, groups)
    geometry = (x.shape[1:3], kernel.shape[:2], strides, padding, dilation_rate)
    out = np.zeros((len(x), *output_size(*geometry), groups, kernel.shape[3] // groups))
    for row, column, taps in windows(*geometry):
        for i, j, y, z in taps:
            out[:, row, column] += np.einsum("ngc,cgf->ngf", images[:, y, z], weights[i, j])
    out = out.reshape(*out.shape[:3], kernel.shape[3])
    return out if bias is None else out + np.asarray(bias, np.float64)


def conv2d_backward(dy, x, kernel, strides=1, padding="valid", dilation_rate=1, groups=1):
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


def _by_group(x, kernel, groups):
    """Split the channels of x and the filters of kernel: (..., group, channels or filters)."""
    images = np.asarray(x, np.float64).reshape(*x.shape[:3], groups, x.shape[3] // groups)
    weights = np.asarray(kernel, np.float64)
    return images, weights.reshape(*kernel.shape[:3], groups, kernel.shape[3] // groups)


def filter2d(image, kernel, padding="valid"):
    """Slide one (rows, columns) kernel over an (H, W) or (H, W, C) image."""
    pixels, weights = np.asarray(image, np.float64), np.asarray(kernel, np.float64)
    geometry = (pixels.shape[:2], weights.shape, 1, padding)
    out = np.zeros((*output_size(*geometry), *pixels.shape[2:]))
    for row, column, taps in windows(*geometry):
        for i, j, y, z in taps:
            out[row, column] += weights[i, j] * pixels[y, z]
    return out


# Pooling


def max_pool2d(x, pool_size=2, strides=None, padding="valid"):
    """Return the largest value of each window; a NaN is larger than any number."""

    def largest(values, out):
        out[...] = values.max(axis=0)

    return _pool(largest, x, pool_size, strides, padding)


def average_pool2d(x, pool_size=2, strides=None, padding="valid"):
    """Return the mean of each window's pixels; padding is not counted."""

    def mean(values, out):
        out[...] = values.mean(axis=0)

    return _pool(mean, x, pool_size, strides, padding)


def l2_pool2d(x, pool_size=2, strides=None, padding="valid"):
    """Return the root of the sum of squares of each window."""

    def norm(values, out):
        out[...] = np.sqrt((values**2).sum(axis=0))

    return _pool(norm, x, pool_size, strides, padding)


def max_pool2d_backward(dy, x, pool_size=2, strides=None, padding="valid"):
    """Return dx; the first of equals, or the first NaN, in row-major order gets it all."""

    def to_first_largest(values, gradient):
        winner = values.argmax(axis=0)  # NumPy's argmax is the first NaN, else the first largest
        return [np.where(winner == tap, gradient, 0) for tap in range(len(values))]

    return _pool_backward(to_first_largest, dy, x, pool_size, strides, padding)


def average_pool2d_backward(dy, x, pool_size=2, strides=None, padding="valid"):
    """Return dx; each pixel of a window gets the same."""

    def evenly(values, gradient):
        return [gradient / len(values)] * len(values)

    return _pool_backward(evenly, dy, x, pool_size, strides, padding)


def l2_pool2d_backward(dy, x, pool_size=2, strides=None, padding="valid"):
    """Return dx; each pixel gets its share of the norm, nothing where the norm is 0."""

    def by_share(values, gradient):
        norm = np.sqrt((values**2).sum(axis=0))
        return list(np.where(norm == 0, 0, gradient * values / np.where(norm == 0, 1, norm)))

    return _pool_backward(by_share, dy, x, pool_size, strides, padding)


def _pool(reduce, x, pool_size, strides, padding):
    x = np.asarray(x, np.float64)
    geometry = (x.shape[1:3], _pair(pool_size), strides or pool_size, padding)
    out = np.zeros((len(x), *output_size(*geometry), x.shape[3]))
    for row, column, taps in windows(*geometry):
        reduce(np.stack([x[:, tap.row, tap.column] for tap in taps]), out[:, row, column])
    return out


def _pool_backward(share, dy, x, pool_size, strides, padding):
    x, dy = np.asarray(x, np.float64), np.asarray(dy, np.float64)
    dx = np.zeros(x.shape)
    for row, column, taps in windows(x.shape[1:3], _pair(pool_size), strides or pool_size, padding):
        values = np.stack([x[:, tap.row, tap.column] for tap in taps])
        for tap, part in zip(taps, share(values, dy[:, row, column]), strict=True):
            dx[:, tap.row, tap.column] += part
    return dx


# ReLU, dense, and the fused block


def relu(x):
    """Return max(x, 0); a NaN stays one."""
    return np.maximum(np.asarray(x, np.float64), 0)


def relu_backward(dy, y):
    """Return dy where y > 0, else 0."""
    return np.where(np.asarray(y) > 0, np.asarray(dy, np.float64), 0)


def sigmoid(x):
    """Return 1 / (1 + exp(-x))."""
    x = np.asarray(x, np.float64)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def softmax(x):
    """Return exp(x) / sum(exp(x)) along the last axis."""
    x = np.asarray(x, np.float64)
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def sigmoid_cross_entropy(logits, targets):
    """Return the means along the last axis of -t log p - (1 - t) log(1 - p), and gradients."""
    z, t = np.asarray(logits, np.float64), np.asarray(targets, np.float64)
    losses = np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))
    return losses.mean(axis=-1), (sigmoid(z) - t) / t.shape[-1]


def softmax_cross_entropy(logits, targets):
    """Return -sum(t log p) along the last axis, p the softmax of the logits, and gradients."""
    z, t = np.asarray(logits, np.float64), np.asarray(targets, np.float64)
    shifted = z - z.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return -(t * log_p).sum(axis=-1), softmax(z) * t.sum(axis=-1, keepdims=True) - t


def dense(x, kernel, bias=None):
    """Return x kernel + bias for x (batch, inputs) and kernel (inputs, outputs)."""
    out = np.asarray(x, np.float64) @ np.asarray(kernel, np.float64)
    return out if bias is None else out + np.asarray(bias, np.float64)


def dense_backward(dy, x, kernel):
    """Return (dx, dkernel, dbias) of sum(dy * dense(x, kernel, bias))."""
    dy, x, kernel = (np.asarray(array, np.float64) for array in (dy, x, kernel))
    return dy @ kernel.T, x.T @ dy, dy.sum(axis=0)


def conv_pool(x, kernel, bias=None, strides=1, padding="valid"):
    """Return max_pool2d(relu(conv2d(...)), 2) and each window's winner.

    The winners, uint8, count the window's four pixels from 0 in row-major order and are
    DEAD where none is above 0, so that no gradient comes through.
    """
    sums = conv2d(x, kernel, bias, strides, padding)
    images, rows, columns, filters = sums.shape
    out = np.zeros((images, rows // 2, columns // 2, filters))
    winners = np.zeros(out.shape, np.uint8)
    for row in range(rows // 2):
        for column in range(columns // 2):
            window = sums[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            values = window.reshape(images, 4, filters)
            out[:, row, column] = relu(values.max(axis=1))
            alive = out[:, row, column] > 0
            winners[:, row, column] = np.where(alive, values.argmax(axis=1), DEAD)
    return out, winners


def conv_pool_backward(dy, winners, x, kernel, strides=1, padding="valid"):
    """Return (dx, dkernel, dbias) of sum(dy * conv_pool(x, kernel, bias)[0])."""
    rows, columns = output_size(x.shape[1:3], kernel.shape[:2], strides, padding)
    dsums = np.zeros((len(x), rows, columns, kernel.shape[3]))
    for n, row, column, k in np.ndindex(dy.shape):
        winner = winners[n, row, column, k]
        if winner != DEAD:
            dsums[n, 2 * row + winner // 2, 2 * column + winner % 2, k] = dy[n, row, column, k]
    return conv2d_backward(dsums, x, kernel, strides, padding)


# Optimizers: one step in place, over float64 arrays


def sgd(
    value,
    gradient,
    velocity,
    learning_rate,
    momentum=0.0,
    nesterov=False,
    gradient_scale=1.0,
    clip_value=0.0,
    weight_decay=0.0,
):
    """Gradient descent; `velocity` is None where momentum is 0."""
    gradient = _prepare(value, gradient, learning_rate, gradient_scale, clip_value, weight_decay)
    if velocity is None:
        value -= learning_rate * gradient
        return
    velocity[...] = momentum * velocity - learning_rate * gradient
    value += momentum * velocity - learning_rate * gradient if nesterov else velocity


def adam(
    value,
    gradient,
    m,
    v,
    learning_rate,
    beta_1,
    beta_2,
    epsilon,
    step,
    gradient_scale=1.0,
    clip_value=0.0,
    weight_decay=0.0,
):
    """Adam; `step` counts from 1."""
    gradient = _prepare(value, gradient, learning_rate, gradient_scale, clip_value, weight_decay)
    m[...] = beta_1 * m + (1 - beta_1) * gradient
    v[...] = beta_2 * v + (1 - beta_2) * gradient**2
    alpha = learning_rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    value -= alpha * m / (np.sqrt(v) + epsilon)


def rmsprop(
    value,
    gradient,
    mean_square,
    velocity,
    mean_gradient,
    learning_rate,
    rho,
    momentum,
    epsilon,
    gradient_scale=1.0,
    clip_value=0.0,
    weight_decay=0.0,
):
    """RMSprop; `velocity` is None without momentum, `mean_gradient` where not centered."""
    gradient = _prepare(value, gradient, learning_rate, gradient_scale, clip_value, weight_decay)
    mean_square[...] = rho * mean_square + (1 - rho) * gradient**2
    denominator = mean_square
    if mean_gradient is not None:
        mean_gradient[...] = rho * mean_gradient + (1 - rho) * gradient
        denominator = denominator - mean_gradient**2
    increment = learning_rate * gradient / np.sqrt(denominator + epsilon)
    if velocity is not None:
        velocity[...] = momentum * velocity + increment
        increment = velocity
    value -= increment


def _prepare(value, gradient, learning_rate, gradient_scale, clip_value, weight_decay):
    """Decay `value` in place and return the gradient scaled, then clipped."""
    value -= value * weight_decay * learning_rate
    gradient = gradient * gradient_scale
    return np.clip(gradient, -clip_value, clip_value) if clip_value else gradient
