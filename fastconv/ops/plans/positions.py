"""A gather over small images, whose register tiles are one output of several images each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ... import runtime
from .caches import L2
from .gather import Gather
from .packing import pad_channels
from .scratch import Scratch
from .structs import struct

COPY_BYTES = L2 // 2
"""Rows of a task's images."""
PAGE_BYTES, SKEW_BYTES = 4096, 5 * 64
"""From one copied image to the next: the pixels of a tile lie in different sets of the L1 cache."""


class TileShape(NamedTuple):
    """A register tile's."""

    most: int
    """Outputs that fit."""
    images: int
    """Outputs that it has, of as many images."""
    vectors: int
    """Of channels, that it is wide."""


def tile_shape(gather: Gather, images: int, dtype: np.dtype) -> TileShape:
    """Return the shape of tiles that share `images` images out evenly."""
    lanes, conv = pad_channels(1, dtype, gather.kernels), gather.kernels.conv
    most = conv.TILE if gather.channels > lanes else conv.NARROW_TILE
    vectors = min(-(-gather.channels // lanes), 2)
    return TileShape(most, -(-images // -(-images // most)), vectors)


class PositionsPlan:
    """What `gather` computes, for a batch of `images` images."""

    def __init__(self, gather: Gather, images: int, dtype: np.dtype) -> None:
        self._gather = gather
        self._itemsize = dtype.itemsize
        self._scratch = Scratch(dtype)
        self._images = tile_shape(gather, images, dtype).images
        self._blocks = -(-images // self._images)
        self._panels = -(-gather.channels // (2 * pad_channels(1, dtype, gather.kernels)))
        self._height, width, channels = gather.source
        self._line = width * channels
        self._tiles = struct(
            "BatchTiles",
            first_row=gather.first[0],
            first_column=gather.first[1],
            taps=gather.run_length // channels,
            images=self._images,
        )
        self._row_offset = np.arange(len(gather.run_offset), dtype=np.intp) * self._line

    def run(
        self, source: np.ndarray, packed: np.ndarray, start: np.ndarray, target: np.ndarray
    ) -> None:
        """Write the outputs to `target`; `start` is the bias, in whole vectors."""
        gather, threads = self._gather, runtime.get_num_threads()
        rows = self._strip_rows(threads)
        tasks = self._blocks * -(-gather.rows // rows)
        step = self._image_step(rows)
        gather.kernels.conv.gather_images(
            source,
            packed,
            start,
            target,
            self._row_offset,
            gather.image,
            gather.grid,
            self._tiles,
            step,
            rows,
            gather.splits(tasks, self._panels, threads),
            self._scratch.rows("images", threads, self._images * step),
            threads,
        )

    def _strip_rows(self, threads: int) -> int:
        """Return how many output rows a task takes: those whose sources fit, and tasks for all."""
        image_bytes = COPY_BYTES // self._images
        fitting = image_bytes // (self._line * self._itemsize) - len(self._row_offset)
        fair = -(-self._blocks * self._gather.rows // (4 * threads))
        return max(1, min(self._gather.rows, fair, 1 + fitting // self._gather.row_stride))

    def _image_step(self, rows: int) -> int:
        """Return the values from one copied image to the next, `rows` output rows of each."""
        read = (rows - 1) * self._gather.row_stride + len(self._row_offset)
        size = min(read, self._height) * self._line * self._itemsize
        return (-(-size // PAGE_BYTES) * PAGE_BYTES + SKEW_BYTES) // self._itemsize
