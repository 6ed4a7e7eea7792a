"""How the depthwise kernels lay one pass over a grid of outputs out in vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .caches import L2
from .structs import struct

SPLIT_K = 16
"""Private kernel gradients at most; fixed, so that sums do not depend on the threads."""
BLOCK_PIXELS = 192
"""Output pixels over which a kernel-gradient tile sums in registers: they stay in L1."""
COPIED_PIXELS = 768
"""The same of a copied block, whose first rows were copied for the block before as well."""
ROW_BLOCK_BYTES = L2 // 8
"""Copied source rows of one task."""
TASK_PIXELS = 96
"""Outputs of one task at least, so that its set-up does not show."""

COPY_COST = 7
"""Of a pixel copied with the zeros around the image, in taps of outputs in its corners.  Where the
image lies these are computed one by one, and small images have hardly any others for large kernels.
Measured on AVX-512 and AVX2 builds over images of 7 to 15 pixels: twice as fast where it copies."""


class DepthwiseLayout(NamedTuple):
    """One pass of the kernels over a grid of outputs; see pyx/_fastconv/depthwise.pyx."""

    row_tables: np.ndarray
    """(3, row taps of all planes) intp: source offset, place of the weights, source row."""
    column_tables: np.ndarray
    """(3, column taps) intp: the same along a row."""
    channel_index: np.ndarray
    """int32, of each channel: the first channel of the source's group that an output reads."""
    fields: bytes
    """The kernels' DepthwiseLayout."""
    channels: int
    rows: int
    columns: int
    row_stride: int
    reach: int
    line: int
    """Values of one copied source row; 0 where the image is read in place."""
    planes: int
    narrow: bool
    """Several pixels' channels fill the vectors of one unit."""
    units: int
    unit_channels: int
    shuffled: int
    """Vectors of the source out of which one of a plane is permuted; 0: it is copied by values."""

    @property
    def filled(self) -> float:
        """The share of the lanes that compute outputs."""
        lanes = self.units * self.unit_channels
        return self.columns * self.channels / lanes

    def scratch_size(self, rows: int) -> int:
        """Return the values of the copied source of `rows` output rows."""
        return ((rows - 1) * self.row_stride + self.reach) * self.line

    def task_rows(self, images: int, threads: int, itemsize: int) -> int:
        """Return how many output rows a task takes: cache-sized, and enough tasks for all."""
        rows = self.rows
        if self.line:
            fitting = ROW_BLOCK_BYTES // (self.row_stride * self.line * itemsize)
            rows = min(rows, max(fitting, self.reach))
        fair = -(-images * self.rows // (4 * threads))
        least = -(-TASK_PIXELS // self.columns)
        return max(1, min(self.rows, rows, max(fair, least)))

    def block_rows(self, images: int) -> int:
        """Return how many rows of outputs a kernel gradient's block takes."""
        rows = (COPIED_PIXELS if self.line else BLOCK_PIXELS) // self.columns
        return max(1, min(self.rows, rows, -(-images * self.rows // SPLIT_K)))


def depthwise_layout(
    source: tuple[int, int, int],
    target: tuple[int, int, int],
    row_taps: Sequence[tuple[int, int]],
    column_taps: Sequence[tuple[int, int]],
    *,
    kernel_width: int,
    grid: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    target_start: tuple[int, int] = (0, 0),
    target_step: tuple[int, int] = (1, 1),
    groups: int,
    relu: bool = False,
    lanes: int,
    pad: bool = True,
) -> DepthwiseLayout:
    """Lay out a sum over taps of few channels; the arguments are those of `direct_tables`.

    pad: the channels of one pixel may be padded to a vector, by those of the next.
    """
    height, width, source_channels = source
    channels = target[2]
    # Of a single output a stride means nothing, and its values may be more than an int holds.
    strides = (strides[0] if grid[0] > 1 else 1, strides[1] if grid[1] > 1 else 1)
    planes = source_channels // groups
    alike = planes == 1 and channels == source_channels
    padded = pad and alike and lanes // 2 < channels < lanes
    narrow = channels < lanes and not padded
    unit = math.lcm(channels, lanes) if narrow else max(channels, lanes)
    rows = sorted(row_taps, key=lambda tap: tap[1])
    columns = sorted(column_taps, key=lambda tap: tap[1])
    if not rows or not columns:
        rows = columns = []
    top, reach = _span(rows)
    left, across = _span(columns)
    inner = _inside(columns, width, strides[1], grid[1])
    padded_width = (grid[1] - 1) * strides[1] + across
    inner_rows = _inside(rows, height, strides[0], grid[0])
    corners = (grid[0] - inner_rows[1] + inner_rows[0]) * (grid[1] - inner[1] + inner[0])
    copied = ((grid[0] - 1) * strides[0] + reach) * padded_width
    few_corners = corners * len(rows) * len(columns) <= COPY_COST * copied
    in_place = alike and channels >= lanes and few_corners
    phases = strides[1] if narrow else 1
    units = -(-grid[1] * channels // unit) if narrow else grid[1]
    # A padded pixel's last vector ends in the next.
    phase_width = -(-padded_width // phases) + padded
    if narrow:
        # Room for the last unit, though its last pixels are no outputs.
        last = max((offset + left for _, offset in columns), default=0) // phases
        phase_width = max(phase_width, last + units * (unit // channels))
        # And for what is written behind the last pixel of the copy.
        phase_width = max(phase_width, (left + width) // phases + 1 + -(-lanes // channels))
    if not in_place:
        plane = phases * phase_width * channels
        line = planes * plane
        row_offset = [(at + top) * line + p * plane for _, at in rows for p in range(planes)]
        column_offset = [
            ((at + left) % phases * phase_width + (at + left) // phases) * channels
            for _, at in columns
        ]
    else:
        line = 0
        row_offset = [at * width * channels for _, at in rows]
        column_offset = [at * channels for _, at in columns]
    unit_step = unit if narrow else strides[1] * channels
    tap_steps = {after - before for before, after in pairwise(column_offset)}
    tap_step = tap_steps.pop() if len(tap_steps) == 1 else 0
    shuffled = _shuffled(channels, channels // groups, planes, lanes)
    # As long as a vector, so that a pixel's channels are permuted at once.
    index = np.minimum(np.arange(max(channels, lanes), dtype=np.int32), channels - 1)
    index = index // (channels // groups) * planes
    vectors, together = shuffled, 0
    if narrow and shuffled:
        vectors, together, index = _together(index[:channels], phases * source_channels, lanes)
    fields = struct(
        "DepthwiseLayout",
        height=height,
        width=width,
        source_channels=source_channels,
        rows=grid[0],
        columns=grid[1],
        row_stride=strides[0],
        column_stride=strides[1],
        channels=channels,
        planes=planes,
        copied=not in_place,
        narrow=narrow,
        shuffled=vectors,
        together=together,
        units=units,
        unit_channels=unit,
        unit_step=unit_step,
        tap_step=tap_step if unit_step in (tap_step, 2 * tap_step) else 0,
        top=top,
        left=left,
        reach=reach,
        padded_width=padded_width,
        phases=phases,
        phase_width=phase_width,
        row_taps=len(rows) * planes,
        column_taps=len(columns),
        inner_begin=inner[0],
        inner_end=inner[1],
        target_row=target_start[0],
        target_column=target_start[1],
        target_row_step=target_step[0],
        target_column_step=target_step[1],
        target_width=target[1],
        relu=relu,
    )
    return DepthwiseLayout(
        row_tables=_tables(
            row_offset,
            [(tap * kernel_width * planes + p) * unit for tap, _ in rows for p in range(planes)],
            [at for _, at in rows for _ in range(planes)],
        ),
        column_tables=_tables(
            column_offset, [tap * planes * unit for tap, _ in columns], [at for _, at in columns]
        ),
        channel_index=index,
        fields=fields,
        channels=channels,
        rows=grid[0],
        columns=grid[1],
        row_stride=strides[0],
        reach=reach,
        line=line,
        planes=planes,
        narrow=narrow,
        units=units,
        unit_channels=unit,
        shuffled=shuffled,
    )


def _span(taps: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return how far ascending taps reach before an output, and how many pixels they span."""
    if not taps:
        return 0, 1
    before = max(0, -taps[0][1])
    return before, taps[-1][1] + before + 1


def _inside(
    taps: Sequence[tuple[int, int]], size: int, stride: int, outputs: int
) -> tuple[int, int]:
    """Return the range of outputs all of whose taps are inside an axis of `size`."""
    if not taps:
        return 0, outputs
    begin = max(0, -(taps[0][1] // stride))
    end = min(outputs, (size - 1 - taps[-1][1]) // stride + 1)
    return (begin, end) if begin < end else (0, 0)


def _shuffled(channels: int, outputs: int, planes: int, lanes: int) -> int:
    """Return out of how many vectors of the source, 1 or 2, any of a plane comes; 0: of more."""
    width = min(channels, lanes)
    starts = [*range(0, channels - width, width), channels - width]
    farthest = max(((start + width - 1) // outputs - start // outputs) * planes for start in starts)
    vectors = farthest // lanes + 1
    return vectors if vectors <= 2 else 0


def _together(index: np.ndarray, step: int, lanes: int) -> tuple[int, int, np.ndarray]:
    """Return the vectors of the source that one of a plane comes from, its pixels, its `index`.

    Pixels of a phase, whose channels lie at `index`, are `step` values apart in the source.
    """
    fitting = lanes // len(index)
    together = max(1, min(fitting, (2 * lanes - 1 - index[-1]) // step + 1))
    offsets = (step * np.arange(together)[:, None] + index).ravel()
    padded = np.zeros(lanes, np.int32)
    padded[: len(offsets)] = offsets
    return int(offsets[-1]) // lanes + 1, together, padded


def _tables(*lines: list[int]) -> np.ndarray:
    return np.array([line or [0] for line in lines], np.intp)
