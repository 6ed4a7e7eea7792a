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


class DirectTables(NamedTuple):
    """Where each output of a grid reads its source and where it is written."""

    taps: np.ndarray
    """(taps, 2) int32: kernel row and column, in the order of the packed weights."""
    run_offset: np.ndarray
    """(runs,) intp: from an output's first source value to each contiguous run."""
    run_row: np.ndarray
    """(runs,) int32: from an output's first padded row to that of each run, ascending."""
    run_length: int
    image: bytes
    """The kernels' PaddedImage."""
    grid: bytes
    """The kernels' Grid."""
    source: tuple[int, int, int]
    before: tuple[int, int]
    """Rows and columns of zeros above and left of the image."""
    padded_width: int
    rows: int
    columns: int
    row_stride: int
    reach: int
    line: int
    """Values of one padded source row."""
    target_line: int
    """Values of the target's rows that belong to one row of the grid."""
    channels: int
    """Of a pixel of the target."""
    groups: int
    dense: bool
    """Neighbouring outputs of a row are neighbouring pixels of the target."""
    weights: int
    """How many weights there are."""
    in_place: bool
    """The source is read where it lies: no window leaves it."""
    dots: bool
    """Weights are packed for dot products."""
    kernels: runtime.DirectKernels
    """The compiled modules, of a level whose vectors the target's channels fill."""
    clears: bool
    """A task sets the target's rows to 0 before it writes its outputs there."""
    first: tuple[int, int]
    """Source row and column of the first tap of the first output."""
    clipped: bool
    """Rows are computed one by one, each without the taps that are nothing but padding."""
    columns_inside: float
    """The share of the columns' taps that read the source and not its padding."""
    compact: bool
    """Taps read a rectangle of the source's pixels, with all their channels."""

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
        return ((rows - 1) * self.row_stride + self.reach) * self.line

    def task_rows(self, images: int, threads: int, itemsize: int) -> int:
        """Return how many output rows a task takes: cache-sized, and enough tasks for all."""
        row_bytes = max(self.row_stride * self.line * itemsize, 1)
        if self.weights * itemsize <= SMALL_WEIGHTS_BYTES:
            # Each panel passes through all that the task writes.
            row_bytes += self.target_line * itemsize
        rows = max(1, min(self.rows, ROW_BLOCK_BYTES // row_bytes))
        fair = -(-images * self.rows // (4 * threads))
        least = -(-TASK_PIXELS // self.columns)
        if self._depth > BUFFERED_DEPTH:
            # The set-up of a task hides behind such sums: no thread should go without.
            least = min(least, -(-images * self.rows // threads))
        return max(1, min(self.rows, rows, max(fair, least)))

    def buffer_pixels(self, itemsize: int) -> int:
        """Return how many outputs' pixels pass through a buffer in L1; 0: written in place."""
        pixel_bytes = self.channels * itemsize
        piece = pixel_bytes * (self.columns if self.dense else 1)
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


def direct_tables(
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
    relu: bool = False,
    dots: bool = False,
    kernels: runtime.DirectKernels = runtime.kernels,
    clears: bool = False,
    prefetches: bool = False,
) -> DirectTables:
    """Lay out a sum over taps.

    source, target: (height, width, channels).  Offsets of taps may be negative.
    grid: outputs along the rows and the columns, written at target_start + index *
    target_step.  dots: sum along the vectors.  clears: set all of the
    target to 0 first.  prefetches: outputs are fetched before they are written, if
    they are neighbouring pixels.
    """
    height, width, channels = source
    rows = sorted(row_taps, key=lambda tap: tap[1])
    columns = sorted(column_taps, key=lambda tap: tap[1])
    if not rows or not columns:
        rows = columns = []
    top = max(0, -rows[0][1]) if rows else 0
    left = max(0, -columns[0][1]) if columns else 0
    reach = rows[-1][1] + top + 1 if rows else 1
    padded_width = (grid[1] - 1) * strides[1] + (columns[-1][1] + left + 1 if columns else 1)
    in_place = (
        top == left == 0 and padded_width <= width and (grid[0] - 1) * strides[0] + reach <= height
    )
    row_width = width if in_place else padded_width
    source_group = channels // groups
    run_length = run_of(columns, channels, groups)
    firsts = columns[:: run_length // source_group]
    run_offset = [
        ((row + top) * row_width + column + left) * channels
        for _, row in rows
        for _, column in firsts
    ]
    run_row = [row + top for _, row in rows for _ in firsts]
    clipped = CLIP_GAIN * share_inside([at for _, at in rows], grid[0], strides[0], height) < 1
    fields = struct(
        "Grid",
        rows=grid[0],
        columns=grid[1],
        row_stride=strides[0],
        column_stride=strides[1],
        target_row=target_start[0],
        target_column=target_start[1],
        target_row_step=target_step[0],
        target_column_step=target_step[1],
        target_width=target[1],
        target_channels=target[2],
        runs=len(run_offset),
        run_length=run_length,
        reach=reach,
        groups=groups,
        source_group=source_group,
        target_group=target[2] // groups,
        relu=relu,
        clipped=clipped,
        dots=dots,
        cleared=target[0] if clears else 0,
        prefetches=prefetches and target_step[1] == 1,
    )
    return DirectTables(
        taps=np.array(
            [(row, column) for row, _ in rows for column, _ in columns], np.int32
        ).reshape(-1, 2),
        run_offset=np.array(run_offset or [0], np.intp),
        run_row=np.array(run_row or [0], np.int32),
        run_length=run_length,
        image=padded_image(source, (top, left), padded_width, in_place),
        grid=fields,
        source=source,
        before=(top, left),
        padded_width=padded_width,
        rows=grid[0],
        columns=grid[1],
        row_stride=strides[0],
        reach=reach,
        line=padded_width * channels,
        target_line=target_step[0] * target[1] * target[2],
        channels=target[2],
        groups=groups,
        dense=target_step[1] == 1,
        weights=len(rows) * len(columns) * source_group * target[2],
        in_place=in_place,
        dots=dots,
        kernels=kernels,
        clears=clears,
        first=(rows[0][1], columns[0][1]) if rows else (0, 0),
        clipped=clipped,
        columns_inside=share_inside([at for _, at in columns], grid[1], strides[1], width),
        compact=groups == 1 and _neighbours(rows) and _neighbours(columns),
    )


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
