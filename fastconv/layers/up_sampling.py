"""Images with more pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._core.validation import one_of, positive_pair
from .arguments import Shape, check_image_axes
from .base import Layer
from .options import FixedOption


class UpSampling2D(Layer):
    """Each pixel becomes `size` pixels, rows first, an int or a pair.

    By `interpolation` they are its copies ("nearest") or lie on straight lines between the
    centres of pixels ("bilinear"); beyond the outermost centres the edge goes on.
    """

    size, interpolation = FixedOption(positive_pair), FixedOption(one_of("nearest", "bilinear"))

    def __init__(
        self,
        size: int | tuple[int, int] = (2, 2),
        interpolation: str = "nearest",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.size, self.interpolation = size, interpolation

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        check_image_axes(input_shape, self.owner)
        sizes = zip(input_shape[1:3], self.size, strict=True)
        rows, columns = (None if size is None else size * factor for size, factor in sizes)
        return (None, rows, columns, input_shape[3])

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.compute_output_shape(x.shape)
        samples, height, width, channels = x.shape
        rows, columns = self.size
        self._workspace.saved_for_backward = x.shape if training else None
        out = self.buffer("output", (samples, height * rows, width * columns, channels))
        taller = out
        if columns > 1:
            taller = self.buffer("rows", (samples, height * rows, width, channels))
        self._stretch(x, rows, taller, (samples, height, width * channels))
        if columns > 1:
            self._stretch(taller, columns, out, (samples * height * rows, width, channels))
        return out

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        shape = self._saved_for_backward()
        samples, height, width, channels = shape
        rows, columns = self.size
        dy = self.checked_gradient(dy, (samples, height * rows, width * columns, channels))
        if not self.needs_input_gradient:
            return None
        dx, taller = self.buffer("dx", shape), dy
        if columns > 1:
            taller = self.buffer("rows", (samples, height * rows, width, channels))
            self._shrink(dy, columns, taller, (samples * height * rows, width, channels))
        self._shrink(taller, rows, dx, (samples, height, width * channels))
        return dx

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "size": self.size,
            "interpolation": self.interpolation,
        }

    def _stretch(
        self, x: np.ndarray, factor: int, out: np.ndarray, shape: tuple[int, int, int]
    ) -> None:
        """Write x, seen as of `shape`, with `factor` times as much along the axis in the middle."""
        outer, size, inner = shape
        x, out = x.reshape(shape), out.reshape(outer, size, factor, inner)
        if self.interpolation == "nearest" or factor == 1:
            np.copyto(out, x[:, :, None])
            return
        for phase, weight, to, source, edge in _phases(factor, size):
            # What is between two pixels is the nearer one, and of the way to the other its share.
            target = out[:, :, phase]
            np.subtract(x[:, source], x[:, to], out=target[:, to])
            np.multiply(target[:, to], weight, out=target[:, to])
            np.add(target[:, to], x[:, to], out=target[:, to])
            np.copyto(target[:, edge], x[:, edge])

    def _shrink(
        self, dy: np.ndarray, factor: int, out: np.ndarray, shape: tuple[int, int, int]
    ) -> None:
        """Write the gradient of `_stretch`."""
        outer, size, inner = shape
        dy, out = dy.reshape(outer, size, factor, inner), out.reshape(shape)
        np.copyto(out, dy[:, :, 0])
        for phase in range(1, factor):
            np.add(out, dy[:, :, phase], out=out)
        if self.interpolation == "nearest" or factor == 1:
            return
        part = self.buffer("part", (math.prod(shape),)).reshape(shape)
        for phase, weight, to, source, _ in _phases(factor, size):
            np.multiply(dy[:, to, phase], weight, out=part[:, to])
            np.subtract(out[:, to], part[:, to], out=out[:, to])
            np.add(out[:, source], part[:, to], out=out[:, source])


def _phases(factor: int, size: int) -> Iterator[tuple[int, np.float32, slice, slice, slice]]:
    """Yield for each of the pixels that one becomes where it lies.

    That is: its number, its way to the neighbour as a share of 1, which pixels have that
    neighbour, the neighbours, and the pixels at the edge, which have none.
    """
    for phase in range(factor):
        offset = (phase + 0.5) / factor - 0.5
        if offset < 0:
            to, source, edge = slice(1, size), slice(0, size - 1), slice(0, 1)
        else:
            to, source, edge = slice(0, size - 1), slice(1, size), slice(size - 1, size)
        yield phase, np.float32(abs(offset)), to, source, edge
