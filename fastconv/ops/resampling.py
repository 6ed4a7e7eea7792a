"""Images brought to another size, one axis after the other, forward and backward."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._core.memory import aligned_empty

_Size = tuple[int, int]


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(0, 1 - x))


def _cubic(x: np.ndarray) -> np.ndarray:
    """Return Keys's kernel with a = -1/2, as TensorFlow and JAX have it."""
    inner = ((1.5 * x - 2.5) * x) * x + 1
    outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, inner, np.where(x < 2, outer, 0))


def _lanczos(radius: int, x: np.ndarray) -> np.ndarray:
    return np.where(x <= radius, np.sinc(x) * np.sinc(x / radius), 0)


_KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bilinear": _triangle,
    "bicubic": _cubic,
    "lanczos3": functools.partial(_lanczos, 3),
    "lanczos5": functools.partial(_lanczos, 5),
}
INTERPOLATIONS = ("nearest", *_KERNELS)


class Window(NamedTuple):
    """The part of an axis that is resized; it may reach beyond the axis, into padding."""

    start: int
    length: int


def cropped(source: _Size, target: _Size) -> tuple[Window, Window]:
    """Return the largest window in the middle of `source` with the proportions of `target`."""
    height = max(min(source[0], source[1] * target[0] // target[1]), 1)
    width = max(min(source[1], source[0] * target[1] // target[0]), 1)
    return Window((source[0] - height) // 2, height), Window((source[1] - width) // 2, width)


def padded(source: _Size, target: _Size) -> tuple[Window, Window]:
    """Return the smallest window around `source` with the proportions of `target`."""
    top = (max(source[0], source[1] * target[0] // target[1]) - source[0]) // 2
    left = (max(source[1], source[0] * target[1] // target[0]) - source[1]) // 2
    return Window(-top, source[0] + 2 * top), Window(-left, source[1] + 2 * left)


def axis_matrix(
    size: int, target: int, window: Window, interpolation: str, antialias: bool
) -> np.ndarray:
    """Return what resizes a window of an axis, (target, size), in float64.

    A row that reaches beyond the axis sums to less than 1.
    """
    scale = window.length / target
    if interpolation == "nearest":
        chosen = np.floor((np.arange(target, dtype=np.float32) + 0.5) * window.length / target)
        weights = (chosen[:, np.newaxis] == np.arange(window.length)).astype(np.float64)
    else:
        width = max(scale, 1.0) if antialias else 1.0
        centers = (np.arange(target) + 0.5) * scale - 0.5
        distances = np.abs(centers[:, np.newaxis] - np.arange(window.length)) / width
        weights = _KERNELS[interpolation](distances)
        weights /= weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((target, size))
    first, last = max(window.start, 0), min(window.start + window.length, size)
    matrix[:, first:last] = weights[:, first - window.start : last - window.start]
    return matrix


class _Taps:
    """A matrix of few numbers a row, as which of them are read and by what they are weighed."""

    def __init__(self, matrix: np.ndarray) -> None:
        count = max(1, int(np.count_nonzero(matrix, axis=1).max(initial=1)))
        places = np.argsort(matrix == 0, axis=1, kind="stable")[:, :count]
        weights = np.take_along_axis(matrix, places, axis=1)
        # Those too many, of weight 0, read what is read anyway.
        self.places = np.ascontiguousarray(np.where(weights != 0, places, places[:, :1]).T)
        self.weights = np.ascontiguousarray(weights.T, np.float32)

    def apply(self, x: np.ndarray, axis: int, out: np.ndarray, scratch: np.ndarray) -> None:
        """Write to `out` the products of the matrix and `x`, (n, height, width, channels)."""
        # Rows of all that lies beside one another: NumPy's inner loops are long.
        beside = math.prod(out.shape[axis + 1 :])
        shape = (*out.shape[: axis + 1], beside)
        out, scratch = out.reshape(shape), scratch.reshape(shape)
        x = x.reshape((*x.shape[: axis + 1], beside))
        weights = self.weights[:, :, np.newaxis]
        if axis == 2:  # few channels: a factor for each of them, too
            weights = np.repeat(weights, beside, axis=2)
        for number, (places, factors) in enumerate(zip(self.places, weights, strict=True)):
            target = scratch if number else out
            np.take(x, places, axis=axis, out=target, mode="clip")
            np.multiply(target, factors, out=target)
            if number:
                np.add(out, scratch, out=out)


class ResizePlan:
    """What resizes windows of images of one size, and hands gradients back.

    `windows` are those of the rows and of the columns; where they reach beyond the picture
    there is `fill_value`.
    """

    def __init__(
        self,
        source: _Size,
        target: _Size,
        windows: tuple[Window, Window] | None = None,
        interpolation: str = "bilinear",
        antialias: bool = False,
        fill_value: float = 0.0,
    ) -> None:
        windows = windows or (Window(0, source[0]), Window(0, source[1]))
        rows, columns = (
            axis_matrix(size, goal, window, interpolation, antialias)
            for size, goal, window in zip(source, target, windows, strict=True)
        )
        self.source, self.target = source, target
        self._rows, self._columns = _Taps(rows), _Taps(columns)
        self._rows_back, self._columns_back = _Taps(rows.T), _Taps(columns.T)
        inside = np.outer(rows.sum(axis=1), columns.sum(axis=1))[:, :, np.newaxis]
        outside = (fill_value * (1 - inside)).astype(np.float32)
        self._outside = outside if fill_value and np.any(np.abs(inside - 1) > 1e-6) else None
        self._memory = np.empty(0, np.float32)

    def forward(self, x: np.ndarray, out: np.ndarray) -> None:
        """Write the images `x`, (n, height, width, channels) of the source's size, to `out`."""
        count, channels = x.shape[0], x.shape[3]
        between = (count, self.target[0], self.source[1], channels)
        half, first, second = self._scratch(between, between, out.shape)
        self._rows.apply(x, 1, half, first)
        self._columns.apply(half, 2, out, second)
        if self._outside is not None:
            np.add(out, self._outside, out=out)

    def backward(self, dy: np.ndarray, dx: np.ndarray) -> None:
        """Write the gradient of the source's images for `dy`, that of the resized ones."""
        count, channels = dy.shape[0], dy.shape[3]
        between = (count, self.target[0], self.source[1], channels)
        half, first, second = self._scratch(between, between, dx.shape)
        self._columns_back.apply(dy, 2, half, first)
        self._rows_back.apply(half, 1, dx, second)

    def _scratch(self, *shapes: tuple[int, ...]) -> list[np.ndarray]:
        """Return memory of these shapes, of which the last two share theirs."""
        kept, *others = (math.prod(shape) for shape in shapes)
        size = kept + max(others)
        if self._memory.size < size:
            self._memory = aligned_empty((size,))
        starts = (0, *(kept for _ in others))
        return [
            self._memory[start : start + math.prod(shape)].reshape(shape)
            for start, shape in zip(starts, shapes, strict=True)
        ]
