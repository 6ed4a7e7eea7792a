"""One grid of a convolution's outputs, or of its inputs' gradients, summed tap by tap."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..._core import runtime
from ..._core.geometry import Shape
from .choice import by_batch_tiles
from .direct_costs import dot_products
from .direct_tables import DirectTables, Taps, run_of
from .packing import kernels_for, pad_channels
from .scratch import Scratch

FETCHED_DEPTH, FETCHED_BYTES = 128, 8 * 1024 * 1024
"""Values summed for an output at most, and the least target, where outputs are fetched before they
are written.  Measured on an AVX-512 build: 0.8 to 1.0 of the time, of smaller ones up to 1.1."""


class DirectPlan:
    """target = [clipped](start + sum over taps of source), on a grid of the target's pixels.

    Its vectors run along what is cheaper, and are of the level that they fill.  `kernel_shape`
    is the convolution's; `transposed` swaps its channels and filters.  Grids that share `scratch`
    must not run at once.
    """

    def __init__(
        self,
        images: int,
        source: tuple[int, int, int],
        target: tuple[int, int, int],
        row_taps: Taps,
        column_taps: Taps,
        kernel_shape: Shape,
        groups: int,
        scratch: Scratch,
        dtype: np.dtype,
        *,
        transposed: bool = False,
        wanted: str | None = None,
        **options: Any,
    ) -> None:
        run = run_of(column_taps, source[2], groups)
        depth, outputs = source[2] // groups, target[2] // groups
        values = len(row_taps) * len(column_taps) * depth
        dots = dot_products(outputs, run, values // run, dtype, wanted=wanted)
        kernels = runtime.kernels_of(dtype) if dots else kernels_for(outputs, dtype)
        target_bytes = images * math.prod(target) * dtype.itemsize
        self._kernels = kernels.conv
        self.tables = DirectTables(
            source,
            target,
            row_taps,
            column_taps,
            groups=groups,
            dots=dots,
            kernels=kernels,
            prefetches=values <= FETCHED_DEPTH and target_bytes >= FETCHED_BYTES,
            **options,
        )
        self.batch_tiles = by_batch_tiles(self.tables, images, dtype, wanted)
        self._images, self._groups, self._transposed = images, groups, transposed
        self._itemsize, self._dtype, self._scratch = dtype.itemsize, dtype, scratch
        #: Channels of the target as `start` has them: of each group, up to whole vectors.
        self.padded = groups * pad_channels(outputs, dtype, kernels)
        self.packed_size = self.padded * values
        self._panels = groups * -(-outputs // (2 * pad_channels(1, dtype, kernels)))
        self._weights = math.prod(kernel_shape)
        self._work = images * math.prod(options["grid"]) * target[2] * values
        self._tasks: dict[int, tuple[int, int, int]] = {}

    @property
    def algorithm(self) -> str:
        """Which way vectors and tiles lie."""
        if self.tables.dots:
            return "dot_products"
        return "panels" if self.batch_tiles is None else "batch_tiles"

    def describe(self) -> dict[str, Any]:
        """Return what a task of the direct kernels computes."""
        tables, threads = self.tables, runtime.get_num_threads()
        rows, splits, buffer_pixels = self._tasks_for(threads)
        return {
            "grid": (tables.rows.outputs, tables.columns.outputs),
            "lanes": pad_channels(1, self._dtype, tables.kernels),
            "image": "in place" if tables.in_place else "copied with its padding",
            "rows_of_a_task": rows,
            "panels_are_split_by": splits,
            "staged_pixels": buffer_pixels,
        }

    def pack(self, kernel: np.ndarray, packed: np.ndarray) -> None:
        """Lay the kernel out in `packed`, of `packed_size`, as `run` takes it."""
        conv, taps = self._kernels, self.tables.taps
        if self.tables.dots:
            conv.pack_dots(kernel, packed, taps, self._groups, self._transposed)
        else:
            threads = runtime.threads_for(self._weights)
            conv.pack(kernel, packed, taps, self._groups, self._transposed, threads)

    def run(
        self, source: np.ndarray, packed: np.ndarray, start: np.ndarray, target: np.ndarray
    ) -> None:
        """Write the grid's outputs to `target`; `start` is the bias, `padded` values."""
        if self.batch_tiles is not None:
            self.batch_tiles.run(source, packed, start, target)
            return
        tables, threads = self.tables, runtime.threads_for(self._work)
        rows, splits, buffer_pixels = self._tasks_for(threads)
        # Room for the last pixel's last vector, which is stored whole.
        buffer = buffer_pixels and buffer_pixels * tables.channels + self.padded
        self._kernels.direct(
            source,
            packed,
            start,
            target,
            tables.run_offset,
            tables.run_row,
            tables.image,
            tables.grid,
            rows,
            splits,
            self._scratch.rows("rows of x", threads, tables.scratch_size(rows)),
            self._scratch.rows("buffer", threads, buffer),
            buffer_pixels,
            threads,
        )

    def _tasks_for(self, threads: int) -> tuple[int, int, int]:
        """Return a task's rows, into how many its panels are split, and the pixels buffered.

        Kept, as a small layer's sums take less time than this.
        """
        tasks = self._tasks.get(threads)
        if tasks is None:
            tables = self.tables
            rows = tables.task_rows(self._images, threads, self._itemsize)
            splits = tables.splits(
                self._images * -(-tables.rows.outputs // rows), self._panels, threads
            )
            buffer_pixels = 0 if splits > 1 else tables.buffer_pixels(self._itemsize)
            tasks = self._tasks[threads] = (rows, splits, buffer_pixels)
        return tasks
