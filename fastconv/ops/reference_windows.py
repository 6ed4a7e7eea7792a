"""Windows over an image, one by one: what the twins in `reference` are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pair = tuple[int, int]
Size = int | Pair
Padding = str | int | tuple[Pair, Pair]


class Tap(NamedTuple):
    """One pixel of a window: where in the kernel, where in the image."""

    i: int
    j: int
    row: int
    column: int


def output_size(
    image: Pair,
    size: Pair,
    strides: Size,
    padding: Padding,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Pair:
    """Return how many windows fit along the rows and along the columns."""
    pads = padding_of(image, size, pair(strides), padding, pair(dilation))
    axes = zip(image, size, pair(strides), pads, pair(dilation), strict=True)
    rows, columns = (_count(*axis, ceil_mode) for axis in axes)
    return rows, columns


def _count(length: int, window: int, stride: int, pad: Pair, apart: int, ceil_mode: bool) -> int:
    reach, end = (window - 1) * apart + 1, length + sum(pad)
    if not ceil_mode:
        return len(range(0, end - reach + 1, stride))
    starts = [0]
    while starts[-1] + reach < end:
        starts.append(starts[-1] + stride)
    return sum(start < length + pad[0] for start in starts)


def windows(
    image: Pair,
    size: Pair,
    strides: Size,
    padding: Padding,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Iterator[tuple[int, int, list[Tap]]]:
    """Yield each window's place in the output and its taps that lie in the image."""
    for row, column, taps in padded_windows(image, size, strides, padding, dilation, ceil_mode):
        inside = [tap for tap in taps if 0 <= tap.row < image[0] and 0 <= tap.column < image[1]]
        yield row, column, inside


def padded_windows(
    image: Pair,
    size: Pair,
    strides: Size,
    padding: Padding,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Iterator[tuple[int, int, list[Tap]]]:
    """Yield each window's place in the output and its taps in the image or in its padding."""
    (row_stride, column_stride), (down, right) = pair(strides), pair(dilation)
    (top, bottom), (left, wide) = padding_of(image, size, pair(strides), padding, pair(dilation))
    rows, columns = output_size(image, size, strides, padding, dilation, ceil_mode)
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
            yield (
                row,
                column,
                [
                    tap
                    for tap in taps
                    if tap.row < image[0] + bottom and tap.column < image[1] + wide
                ],
            )


def pair(value: Size) -> Pair:
    """Return a number for rows and one for columns."""
    rows, columns = (value, value) if isinstance(value, int | np.integer) else value
    return rows, columns


def padding_of(
    image: Pair, size: Pair, strides: Pair, padding: Padding, dilation: Pair
) -> tuple[Pair, Pair]:
    """Return ((top, bottom), (left, right))."""
    if isinstance(padding, str):
        if padding == "valid":
            return (0, 0), (0, 0)
        rows, columns = zip(image, size, strides, dilation, strict=True)
        return _same(*rows), _same(*columns)
    if isinstance(padding, int | np.integer):
        return (padding, padding), (padding, padding)
    return padding


def _same(length: int, window: int, stride: int, dilation: int) -> Pair:
    """TensorFlow's SAME: ceil(length / stride) windows, the odd pixel behind."""
    extent = (window - 1) * dilation + 1
    past_stride = length % stride
    total = max(extent - (past_stride or stride), 0)
    return total // 2, total - total // 2
