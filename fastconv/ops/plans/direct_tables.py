"""Index tables for the kernels that sum taps of a padded source image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..._core import runtime
from ..._core.geometry import Axis, share_inside
from .caches import L1, L2
from .structs import padded_image, struct

Taps = Sequence[tuple[int, int]]
"""Along one axis: kernel index, and offset of the source pixel from output index * stride."""
ROW_BLOCK_BYTES = L2 // 4
"""Source rows of one task."""
SMALL_WEIGHTS_BYTES = 64 * 1024
"""Weights that cost little to walk once more: the rows a task writes count in its block, too."""
VECTOR_BYTES = 32
"""Pixels of whole vectors keep every store within a cache line."""
BUFFERED_DEPTH = 512
"""Values summed for an output, above which the stores hide behind the sums."""
BUFFER_BYTES = L1 // 2
"""Outputs of all panels that wait in the L1 cache to be copied."""
WHOLE_TILES = 24
"""A multiple of every register tile's rows."""
BUFFERED_PIECE_BYTES = 128
"""Least contiguous piece of the target worth a copy."""
CLIP_GAIN = 1.02
"""Least factor by which taps that are nothing but padding must outnumber the work without."""
TASK_PIXELS = 96
"""Outputs of one task at least, so that its set-up does not show."""
TASK_SUMS = 16 * 1024
"""Multiply-adds of a task at least, about 0.2 us, so that images of few pixels are shared out."""


class TapAxis(NamedTuple):
    """One axis of a grid of outputs, each of which sums taps of a source."""

    taps: Taps
    """Ascending by their offsets."""
    size: int
    """Of the source."""
    outputs: int
    stride: int
    before: int
    """Pixels of padding before the source."""
    reach: int
    """Pixels from the first tap to the last."""

    @property
    def padded(self) -> int:
        """Pixels that the outputs span, with those of the padding."""
        return (self.outputs - 1) * self.stride + self.reach

    @property
    def offsets(self) -> list[int]:
        """Of the taps' pixels from output index * stride."""
        return [offset for _, offset in self.taps]

    @property
    def inside(self) -> float:
        """The share of all outputs' taps that read the source and not its padding."""
        return share_inside(self.offsets, self.outputs, self.stride, self.size)


def tap_axes(
    source: tuple[int, int, int],
    grid: tuple[int, int],
    strides: tuple[int, int],
    row_taps: Taps,
    column_taps: Taps,
) -> tuple[TapAxis, TapAxis]:
    """Return the rows' and the columns' axis; where either has no taps, neither has."""

    def axis(number: int, taps: Taps) -> TapAxis:
        taps = sorted(taps, key=lambda tap: tap[1]) if row_taps and column_taps else []
        before = max(0, -taps[0][1]) if taps else 0
        reach = taps[-1][1] + before + 1 if taps else 1
        return TapAxis(taps, source[number], grid[number], strides[number], before, reach)

    return axis(0, row_taps), axis(1, column_taps)


def grid_fields(
    rows: TapAxis,
    columns: TapAxis,
    target: tuple[int, int, int],
    start: tuple[int, int],
    step: tuple[int, int],
) -> dict[str, int]:
    """Return what the kernels' structs say of a grid written at start + index * step."""
    return {
        "rows": rows.outputs,
        "columns": columns.outputs,
        "row_stride": rows.stride,
        "column_stride": columns.stride,
        "target_row": start[0],
        "target_column": start[1],
        "target_row_step": step[0],
        "target_column_step": step[1],
        "target_width": target[1],
    }


class DirectTables:
    """Where each output of a grid reads its source and where it is written: a sum over taps.

    source, target: (height, width, channels).  Offsets of taps may be negative.
    grid: outputs along the rows and the columns, written at target_start + index *
    target_step.  dots: sum along the vectors, for which the weights are packed.  kernels: the
    compiled modules, of a level whose vectors the target's channels fill.  clears: each task
    sets the target's rows to 0 before it writes its outputs there.  prefetches: outputs are
    fetched before they are written, if they are neighbouring pixels.
    """

    def __init__(
        self,
        source: tuple[int, int, int],
        target: tuple[int, int, int],
        row_taps: Taps,
        column_taps: Taps,
        *,
        grid: tuple[int, int],
        strides: tuple[int, int] = (1, 1),
        target_start: tuple[int, int] = (0, 0),
        target_step: tuple[int, int] = (1, 1),
        groups: int = 1,
        limit: float = 0.0,
        dots: bool = False,
        kernels: runtime.DirectKernels = runtime.kernels,
        clears: bool = False,
        prefetches: bool = False,
    ) -> None:
        self.source, self.channels, self.groups = source, target[2], groups
        self.dots, self.kernels, self.clears = dots, kernels, clears
        self.rows, self.columns = rows, columns = tap_axes(
            source, grid, strides, row_taps, column_taps
        )
        self._lay_out_runs()
        #: Values of the target's rows that belong to one row of the grid.
        self.target_line = target_step[0] * target[1] * target[2]
        #: Neighbouring outputs of a row are neighbouring pixels of the target.
        self.dense = target_step[1] == 1
        #: Taps read a rectangle of the source's pixels, with all their channels.
        self.compact = groups == 1 and _neighbours(rows.taps) and _neighbours(columns.taps)
        #: Rows are computed one by one, each without the taps that are nothing but padding.
        self.clipped = CLIP_GAIN * rows.inside < 1
        #: The kernels' structs.
        self.image = padded_image(
            source, (rows.before, columns.before), columns.padded, self.in_place
        )
        self.grid = struct(
            "Grid",
            **grid_fields(rows, columns, target, target_start, target_step),
            target_channels=target[2],
            runs=len(self.run_offset) if rows.taps else 0,
            run_length=self.run_length,
            reach=rows.reach,
            groups=groups,
            source_group=source[2] // groups,
            target_group=target[2] // groups,
            limit=limit,
            clipped=self.clipped,
            dots=dots,
            cleared=target[0] if clears else 0,
            prefetches=prefetches and self.dense,
        )

    def _lay_out_runs(self) -> None:
        """Set the taps and the runs of values that they read."""
        (height, width, channels), rows, columns = self.source, self.rows, self.columns
        #: The source is read where it lies: no window leaves it.
        self.in_place = (
            not (rows.before or columns.before)
            and columns.padded <= width
            and rows.padded <= height
        )
        #: Values of one padded source row.
        self.line = columns.padded * channels
        line = width * channels if self.in_place else self.line
        self.run_length = run_of(columns.taps, channels, self.groups)
        firsts = columns.offsets[:: self.run_length // (channels // self.groups)]
        #: (runs,) intp: from an output's first source value to each contiguous run.
        self.run_offset = np.array(
            [
                (row + rows.before) * line + (column + columns.before) * channels
                for row in rows.offsets
                for column in firsts
            ]
            or [0],
            np.intp,
        )
        #: (runs,) int32: from an output's first padded row to that of each run, ascending.
        self.run_row = np.array(
            [row + rows.before for row in rows.offsets for _ in firsts] or [0], np.int32
        )
        #: (taps, 2) int32: kernel row and column, in the order of the packed weights.
        self.taps = np.array(
            [(row, column) for row, _ in rows.taps for column, _ in columns.taps], np.int32
        ).reshape(-1, 2)

    @property
    def spans_images(self) -> bool:
        """Whether tiles may be one output of several images."""
        return self.compact and not self.dots and not self.clears

    @property
    def _depth(self) -> int:
        """Values summed for an output."""
        return len(self.run_offset) * self.run_length

    def scratch_size(self, rows: int) -> int:
        """Return the values needed to hold the padded source of `rows` output rows."""
        if self.in_place:
            return 1
        return ((rows - 1) * self.rows.stride + self.rows.reach) * self.line

    def task_rows(self, images: int, threads: int, itemsize: int) -> int:
        """Return how many output rows a task takes: cache-sized, and enough tasks for all."""
        row_bytes = max(self.rows.stride * self.line * itemsize, 1)
        if self._depth * self.channels * itemsize <= SMALL_WEIGHTS_BYTES:
            # Each panel passes through all that the task writes.
            row_bytes += self.target_line * itemsize
        rows = max(1, min(self.rows.outputs, ROW_BLOCK_BYTES // row_bytes))
        fair = -(-images * self.rows.outputs // (4 * threads))
        least = -(-TASK_PIXELS // self.columns.outputs)
        # No thread should go without, where the set-up of a task hides behind its sums.
        enough = 1
        if self._depth <= BUFFERED_DEPTH:
            enough = -(-TASK_SUMS // max(self._depth * self.channels * self.columns.outputs, 1))
        least = min(least, max(enough, -(-images * self.rows.outputs // threads)))
        return max(1, min(self.rows.outputs, rows, max(fair, least)))

    def buffer_pixels(self, itemsize: int) -> int:
        """Return how many outputs' pixels pass through a buffer in L1; 0: written in place."""
        pixel_bytes = self.channels * itemsize
        piece = pixel_bytes * (self.columns.outputs if self.dense else 1)
        if (
            self.dots
            or pixel_bytes // self.groups % VECTOR_BYTES == 0
            or piece < BUFFERED_PIECE_BYTES
            or self._depth > BUFFERED_DEPTH
        ):
            return 0
        return max(1, BUFFER_BYTES // pixel_bytes // WHOLE_TILES) * WHOLE_TILES

    def splits(self, tasks: int, panels: int, threads: int) -> int:
        """Return into how many tasks each row block's panels are assigned, where blocks are few."""
        return 1 if self.dots or self.clears else max(1, min(panels, 2 * threads // max(tasks, 1)))


def run_of(column_taps: Taps, channels: int, groups: int) -> int:
    """Return the contiguous values of the source that one row of taps reads at a stretch.

    Neighbouring columns are one run, as long as a pixel's channels are all of one group.
    """
    merged = groups == 1 and _neighbours(column_taps)
    return channels // groups * (len(column_taps) if merged else 1)


def _neighbours(taps: Taps) -> bool:
    """Whether taps read a stretch of neighbouring pixels along their axis."""
    offsets = [offset for _, offset in taps]
    return bool(offsets) and max(offsets) - min(offsets) == len(offsets) - 1


def taps_of(axis: Axis) -> Taps:
    """Return the taps of an output: kernel index, and source pixel less index * stride."""
    return [(tap, tap * axis.dilation - axis.before) for tap in range(axis.window)]


def transposed_taps_of(axis: Axis, phase: int) -> Taps:
    """Return the taps through which inputs phase, phase + stride, … reach an output."""
    reached = ((tap, phase + axis.before - tap * axis.dilation) for tap in range(axis.window))
    return [(tap, at // axis.stride) for tap, at in reached if at % axis.stride == 0]
