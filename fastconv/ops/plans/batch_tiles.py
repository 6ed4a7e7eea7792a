"""A tables over small images, whose register tiles are one output of several images each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..._core import runtime
from .caches import L2
from .direct_tables import DirectTables
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


def tile_shape(tables: DirectTables, images: int, dtype: np.dtype) -> TileShape:
    """Return the shape of tiles that share `images` images out evenly."""
    lanes, conv = pad_channels(1, dtype, tables.kernels), tables.kernels.conv
    most = conv.TILE if tables.channels > lanes else conv.NARROW_TILE
    vectors = min(-(-tables.channels // lanes), 2)
    return TileShape(most, -(-images // -(-images // most)), vectors)


class BatchTilesPlan:
    """What `tables` computes, for a batch of `images` images."""

    def __init__(self, tables: DirectTables, images: int, dtype: np.dtype) -> None:
        self._tables = tables
        self._itemsize = dtype.itemsize
        self._scratch = Scratch(dtype)
        self._images = tile_shape(tables, images, dtype).images
        self._blocks = -(-images // self._images)
        self._panels = -(-tables.channels // (2 * pad_channels(1, dtype, tables.kernels)))
        self._height, width, channels = tables.source
        self._line = width * channels
        self._tiles = struct(
            "BatchTiles",
            first_row=tables.rows.offsets[0],
            first_column=tables.columns.offsets[0],
            taps=tables.run_length // channels,
            images=self._images,
        )
        self._row_offset = np.arange(len(tables.run_offset), dtype=np.intp) * self._line

    def run(
        self, source: np.ndarray, packed: np.ndarray, start: np.ndarray, target: np.ndarray
    ) -> None:
        """Write the outputs to `target`; `start` is the bias, in whole vectors."""
        tables, threads = self._tables, runtime.get_num_threads()
        rows = self._task_rows(threads)
        tasks = self._blocks * -(-tables.rows.outputs // rows)
        step = self._image_step(rows)
        tables.kernels.conv.direct_batch(
            source,
            packed,
            start,
            target,
            self._row_offset,
            tables.image,
            tables.grid,
            self._tiles,
            step,
            rows,
            tables.splits(tasks, self._panels, threads),
            self._scratch.rows("images", threads, self._images * step),
            threads,
        )

    def _task_rows(self, threads: int) -> int:
        """Return how many output rows a task takes: those whose sources fit, and tasks for all."""
        rows, image_bytes = self._tables.rows, COPY_BYTES // self._images
        fitting = image_bytes // (self._line * self._itemsize) - len(self._row_offset)
        fair = -(-self._blocks * rows.outputs // (4 * threads))
        return max(1, min(rows.outputs, fair, 1 + fitting // rows.stride))

    def _image_step(self, rows: int) -> int:
        """Return the values from one copied image to the next, `rows` output rows of each."""
        read = (rows - 1) * self._tables.rows.stride + len(self._row_offset)
        size = min(read, self._height) * self._line * self._itemsize
        return (-(-size // PAGE_BYTES) * PAGE_BYTES + SKEW_BYTES) // self._itemsize
