"""How the depthwise kernels lay one pass over a grid of outputs out in vectors."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from .caches import L2
from .direct_tables import TapAxis, Taps, grid_fields, tap_axes
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


class DepthwiseLayout:
    """One pass of the kernels over a grid of outputs, few channels each; see depthwise.pyx.

    The arguments are those of `DirectTables`.  pad: the channels of one pixel may be padded to a
    vector, by those of the next.
    """

    def __init__(
        self,
        source: tuple[int, int, int],
        target: tuple[int, int, int],
        row_taps: Taps,
        column_taps: Taps,
        *,
        kernel_width: int,
        grid: tuple[int, int],
        strides: tuple[int, int] = (1, 1),
        target_start: tuple[int, int] = (0, 0),
        target_step: tuple[int, int] = (1, 1),
        groups: int,
        limit: float = 0.0,
        lanes: int,
        pad: bool = True,
    ) -> None:
        # Of a single output a stride means nothing, and its values may be more than an int holds.
        strides = (strides[0] if grid[0] > 1 else 1, strides[1] if grid[1] > 1 else 1)
        rows, columns = tap_axes(source, grid, strides, row_taps, column_taps)
        self.rows, self.columns = grid
        self.reach, self._row_stride = rows.reach, rows.stride
        self.channels = channels = target[2]
        self.planes = source[2] // groups
        alike = self.planes == 1 and channels == source[2]
        self._padded = pad and alike and lanes // 2 < channels < lanes
        #: Several pixels' channels fill the vectors of one unit.
        self.narrow = channels < lanes and not self._padded
        self.unit_channels = math.lcm(channels, lanes) if self.narrow else max(channels, lanes)
        self.units = -(-grid[1] * channels // self.unit_channels) if self.narrow else grid[1]
        self._in_place = alike and channels >= lanes and _few_corners(rows, columns)
        phases = columns.stride if self.narrow else 1
        fields = self._set_tables(rows, columns, phases, kernel_width, lanes)
        fields |= self._set_channel_index(groups, phases * source[2], lanes)
        #: The kernels' DepthwiseLayout.
        self.fields = struct(
            "DepthwiseLayout",
            **grid_fields(rows, columns, target, target_start, target_step),
            **fields,
            height=source[0],
            width=source[1],
            source_channels=source[2],
            limit=limit,
        )

    def _set_tables(
        self, rows: TapAxis, columns: TapAxis, phases: int, kernel_width: int, lanes: int
    ) -> dict[str, int]:
        """Set where the taps read and find their weights; return the struct's fields of that."""
        channels, planes, unit = self.channels, self.planes, self.unit_channels
        phase_width = self._phase_width(columns, phases, lanes)
        plane = phases * phase_width * channels
        #: Values of one copied source row; 0 where the image is read in place.
        self.line = 0 if self._in_place else planes * plane
        top, left = (0, 0) if self._in_place else (rows.before, columns.before)
        step = columns.size * channels if self._in_place else self.line
        column_offset = [
            ((at + left) % phases * phase_width + (at + left) // phases) * channels
            for at in columns.offsets
        ]
        #: (3, row taps of all planes) intp: source offset, place of the weights, source row.
        self.row_tables = _tables(
            [(at + top) * step + p * plane for at in rows.offsets for p in range(planes)],
            [
                (tap * kernel_width * planes + p) * unit
                for tap, _ in rows.taps
                for p in range(planes)
            ],
            [at for at in rows.offsets for _ in range(planes)],
        )
        #: (3, column taps) intp: the same along a row.
        self.column_tables = _tables(
            column_offset, [tap * planes * unit for tap, _ in columns.taps], columns.offsets
        )
        unit_step = unit if self.narrow else columns.stride * channels
        tap_steps = {after - before for before, after in pairwise(column_offset)}
        tap_step = tap_steps.pop() if len(tap_steps) == 1 else 0
        inner_begin, inner_end = _inside(columns)
        return {
            "channels": channels,
            "planes": planes,
            "copied": not self._in_place,
            "narrow": self.narrow,
            "units": self.units,
            "unit_channels": unit,
            "unit_step": unit_step,
            "tap_step": tap_step if unit_step in (tap_step, 2 * tap_step) else 0,
            "top": rows.before,
            "left": columns.before,
            "reach": rows.reach,
            "padded_width": columns.padded,
            "phases": phases,
            "phase_width": phase_width,
            "row_taps": len(rows.taps) * planes,
            "column_taps": len(columns.taps),
            "inner_begin": inner_begin,
            "inner_end": inner_end,
        }

    def _phase_width(self, columns: TapAxis, phases: int, lanes: int) -> int:
        """Return the pixels of one phase of a copied row."""
        # A padded pixel's last vector ends in the next.
        width = -(-columns.padded // phases) + self._padded
        if not self.narrow:
            return width
        # Room for the last unit, though its last pixels are no outputs.
        last = (columns.reach - 1) // phases + self.units * (self.unit_channels // self.channels)
        # And for what is written behind the last pixel of the copy.
        written = (columns.before + columns.size) // phases + 1 + -(-lanes // self.channels)
        return max(width, last, written)

    def _set_channel_index(self, groups: int, step: int, lanes: int) -> dict[str, int]:
        """Set which channels the vectors of a plane hold; return the struct's fields of that.

        `step`: values of the source from one pixel of a phase to the next.
        """
        channels, outputs = self.channels, self.channels // groups
        #: Vectors of the source out of which one of a plane is permuted; 0: it is copied by values.
        self.shuffled = _shuffled(channels, outputs, self.planes, lanes)
        # As long as a vector, so that a pixel's channels are permuted at once.
        index = np.minimum(np.arange(max(channels, lanes), dtype=np.int32), channels - 1)
        index = index // outputs * self.planes
        vectors, together = self.shuffled, 0
        if self.narrow and vectors:
            vectors, together, index = _together(index[:channels], step, lanes)
        #: int32, of each channel: the first channel of the source's group that an output reads.
        self.channel_index = index
        return {"shuffled": vectors, "together": together}

    @property
    def filled(self) -> float:
        """The share of the lanes that compute outputs."""
        lanes = self.units * self.unit_channels
        return self.columns * self.channels / lanes

    def scratch_size(self, rows: int) -> int:
        """Return the values of the copied source of `rows` output rows."""
        return ((rows - 1) * self._row_stride + self.reach) * self.line

    def task_rows(self, images: int, threads: int, itemsize: int) -> int:
        """Return how many output rows a task takes: cache-sized, and enough tasks for all."""
        rows = self.rows
        if self.line:
            fitting = ROW_BLOCK_BYTES // (self._row_stride * self.line * itemsize)
            rows = min(rows, max(fitting, self.reach))
        fair = -(-images * self.rows // (4 * threads))
        least = -(-TASK_PIXELS // self.columns)
        return max(1, min(self.rows, rows, max(fair, least)))

    def block_rows(self, images: int) -> int:
        """Return how many rows of outputs a kernel gradient's block takes."""
        rows = (COPIED_PIXELS if self.line else BLOCK_PIXELS) // self.columns
        return max(1, min(self.rows, rows, -(-images * self.rows // SPLIT_K)))


def _few_corners(rows: TapAxis, columns: TapAxis) -> bool:
    """Whether outputs whose taps leave the image cost less than a copy of it with its padding."""
    corners = 1
    for axis in (rows, columns):
        begin, end = _inside(axis)
        corners *= axis.outputs - end + begin
    copied = rows.padded * columns.padded
    return corners * len(rows.taps) * len(columns.taps) <= COPY_COST * copied


def _inside(axis: TapAxis) -> tuple[int, int]:
    """Return the range of outputs all of whose taps are inside the source."""
    if not axis.taps:
        return 0, axis.outputs
    begin = max(0, -(axis.offsets[0] // axis.stride))
    end = min(axis.outputs, (axis.size - 1 - axis.offsets[-1]) // axis.stride + 1)
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
