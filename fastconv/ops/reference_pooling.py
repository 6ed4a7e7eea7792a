"""The slow, obvious twins of pooling; see `reference`, which has them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .reference_windows import Array, Padding, Size, Tap, output_size, padded_windows, pair


def max_pool2d(x: np.ndarray, *geometry: Any, **options: Any) -> Array:
    """Return the largest value of each window; a NaN is larger than any number."""

    def largest(values: Array, places: int, out: Array) -> None:
        out[...] = values.max(axis=0)

    return _pool(largest, x, *geometry, **options)


def average_pool2d(
    x: np.ndarray, *geometry: Any, count_include_pad: bool = False, **options: Any
) -> Array:
    """Return the mean of each window's pixels; padding is counted only if asked for."""

    def mean(values: Array, places: int, out: Array) -> None:
        out[...] = values.sum(axis=0) / (places if count_include_pad else len(values))

    return _pool(mean, x, *geometry, **options)


def l2_pool2d(x: np.ndarray, *geometry: Any, **options: Any) -> Array:
    """Return the root of the sum of squares of each window."""

    def norm(values: Array, places: int, out: Array) -> None:
        out[...] = np.sqrt((values**2).sum(axis=0))

    return _pool(norm, x, *geometry, **options)


def max_pool2d_backward(dy: np.ndarray, x: np.ndarray, *geometry: Any, **options: Any) -> Array:
    """Return dx; the first of equals, or the first NaN, in row-major order gets it all."""

    def to_first_largest(values: Array, places: int, gradient: Array) -> list[Array]:
        first = values.argmax(axis=0)  # NumPy's argmax is the first NaN, else the first largest
        return [np.where(first == tap, gradient, 0) for tap in range(len(values))]

    return _pool_backward(to_first_largest, dy, x, *geometry, **options)


def average_pool2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    *geometry: Any,
    count_include_pad: bool = False,
    **options: Any,
) -> Array:
    """Return dx; each pixel of a window gets the same."""

    def evenly(values: Array, places: int, gradient: Array) -> list[Array]:
        return [gradient / (places if count_include_pad else len(values))] * len(values)

    return _pool_backward(evenly, dy, x, *geometry, **options)


def l2_pool2d_backward(dy: np.ndarray, x: np.ndarray, *geometry: Any, **options: Any) -> Array:
    """Return dx; each pixel gets its share of the norm, nothing where the norm is 0."""

    def by_share(values: Array, places: int, gradient: Array) -> list[Array]:
        norm = np.sqrt((values**2).sum(axis=0))
        return list(np.where(norm == 0, 0, gradient * values / np.where(norm == 0, 1, norm)))

    return _pool_backward(by_share, dy, x, *geometry, **options)


def _pool(
    reduce: Callable[[Array, int, Array], None],
    x: np.ndarray,
    pool_size: Size = 2,
    strides: Size | None = None,
    padding: Padding = "valid",
    dilation_rate: Size = 1,
    ceil_mode: bool = False,
) -> Array:
    x = np.asarray(x, np.float64)
    image: Any = x.shape[1:3]
    geometry = (image, pair(pool_size), strides or pool_size, padding, dilation_rate, ceil_mode)
    out = np.zeros((len(x), *output_size(*geometry), x.shape[3]))
    for row, column, places in padded_windows(*geometry):
        values = np.stack([x[:, tap.row, tap.column] for tap in _inside(places, image)])
        reduce(values, len(places), out[:, row, column])
    return out


def _pool_backward(
    share: Callable[[Array, int, Array], list[Array]],
    dy: np.ndarray,
    x: np.ndarray,
    pool_size: Size = 2,
    strides: Size | None = None,
    padding: Padding = "valid",
    dilation_rate: Size = 1,
    ceil_mode: bool = False,
) -> Array:
    x, dy = np.asarray(x, np.float64), np.asarray(dy, np.float64)
    image: Any = x.shape[1:3]
    geometry = (image, pair(pool_size), strides or pool_size, padding, dilation_rate, ceil_mode)
    dx = np.zeros(x.shape)
    for row, column, places in padded_windows(*geometry):
        taps = _inside(places, image)
        values = np.stack([x[:, tap.row, tap.column] for tap in taps])
        parts = share(values, len(places), dy[:, row, column])
        for tap, part in zip(taps, parts, strict=True):
            dx[:, tap.row, tap.column] += part
    return dx


def _inside(places: list[Tap], image: tuple[int, int]) -> list[Tap]:
    return [tap for tap in places if 0 <= tap.row < image[0] and 0 <= tap.column < image[1]]
