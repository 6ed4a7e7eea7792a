"""The slow, obvious twin of the transposed convolution; see `reference`, which has it, too."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .reference_windows import Array, Padding, Pair, Size, padding_of, pair


def conv2d_transpose(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    strides: Size = 1,
    padding: Padding = "valid",
    output_padding: Size | None = None,
    dilation_rate: Size = 1,
    groups: int = 1,
) -> Array:
    """Return the kernel times each pixel, added where it lies, (batch, rows, columns, filters)."""
    canvas, crop = _canvas(x, kernel, strides, padding, output_padding, dilation_rate, groups)
    images, weights = _by_filter(x, kernel, groups)
    for y, z, i, j, place in _places(x, kernel, strides, dilation_rate):
        canvas[:, place[0], place[1]] += np.einsum("ngc,fgc->ngf", images[:, y, z], weights[i, j])
    out = canvas[:, crop[0], crop[1]].reshape(len(x), *_lengths(crop), groups * kernel.shape[2])
    return out if bias is None else out + np.asarray(bias, np.float64)


def conv2d_transpose_backward(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    strides: Size = 1,
    padding: Padding = "valid",
    output_padding: Size | None = None,
    dilation_rate: Size = 1,
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Return (dx, dkernel, dbias) of sum(dy * conv2d_transpose(x, kernel, bias))."""
    canvas, crop = _canvas(x, kernel, strides, padding, output_padding, dilation_rate, groups)
    canvas[:, crop[0], crop[1]] = dy.reshape(*dy.shape[:3], groups, kernel.shape[2])
    images, weights = _by_filter(x, kernel, groups)
    dx, dkernel = np.zeros(images.shape), np.zeros(weights.shape)
    for y, z, i, j, place in _places(x, kernel, strides, dilation_rate):
        gradient = canvas[:, place[0], place[1]]
        dx[:, y, z] += np.einsum("ngf,fgc->ngc", gradient, weights[i, j])
        dkernel[i, j] += np.einsum("ngc,ngf->fgc", images[:, y, z], gradient)
    dbias = np.asarray(dy, np.float64).sum(axis=(0, 1, 2))
    return dx.reshape(x.shape), dkernel.reshape(kernel.shape), dbias


def _by_filter(x: np.ndarray, kernel: np.ndarray, groups: int) -> tuple[Array, Array]:
    """Split the channels of x and of the kernel: (..., group, channels)."""
    images = np.asarray(x, np.float64).reshape(*x.shape[:3], groups, x.shape[3] // groups)
    return images, np.asarray(kernel, np.float64).reshape(*kernel.shape[:3], groups, -1)


def _places(
    x: np.ndarray, kernel: np.ndarray, strides: Size, dilation: Size
) -> Iterator[tuple[int, int, int, int, Pair]]:
    """Yield a pixel of x, a tap of the kernel, and where both lie before anything is cut off."""
    (down, right), (row_apart, column_apart) = pair(strides), pair(dilation)
    for y, z, i, j in np.ndindex(*x.shape[1:3], *kernel.shape[:2]):
        yield y, z, i, j, (y * down + i * row_apart, z * right + j * column_apart)


def _canvas(
    x: np.ndarray,
    kernel: np.ndarray,
    strides: Size,
    padding: Padding,
    output_padding: Size | None,
    dilation: Size,
    groups: int,
) -> tuple[Array, list[slice]]:
    """Return zeros for all that is reached or kept, and the rows and columns that are kept."""
    extra: tuple[int | None, ...] = (None, None) if output_padding is None else pair(output_padding)
    room, crop = [], []
    pads = (
        ((0, 0), (0, 0))
        if isinstance(padding, str)
        else padding_of((0, 0), (0, 0), (0, 0), padding, (0, 0))
    )
    for size, window, stride, apart, more, (before, after) in zip(
        x.shape[1:3], kernel.shape[:2], pair(strides), pair(dilation), extra, pads, strict=True
    ):
        extent = (window - 1) * apart + 1
        reach = (size - 1) * stride + extent
        if padding == "same":
            # Of the convolution that leads back: SAME padding of its input, where that pads.
            length = size * stride if more is None else (size - 1) * stride + extent % 2 + more
            before = max(reach - length, 0) // 2
        elif padding == "valid":
            length = max(reach, size * stride) if more is None else reach + more
        else:
            length = reach - before - after + (more or 0)
        room.append(max(reach, before + length))
        crop.append(slice(before, before + length))
    return np.zeros((len(x), *room, groups, kernel.shape[2])), crop


def _lengths(crop: list[slice]) -> list[int]:
    return [one.stop - one.start for one in crop]
