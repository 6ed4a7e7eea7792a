"""Depthwise convolution, and grouped convolution as one: output and both gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ... import runtime
from ...geometry import Window
from .gather import taps_of, transposed_taps_of
from .scratch import Scratch

_kernels = runtime.kernels.depthwise
_lanes = runtime.kernels.conv.LANES

PARTS = 16
"""Private kernel gradients at most; fixed, so that sums do not depend on the threads."""
BLOCK_PIXELS = 192
"""Output pixels over which a kernel-gradient tile sums in registers: they stay in L1."""
COPIED_PIXELS = 768
"""The same of a copied block, whose first rows were copied for the block before as well."""
STRIP_BYTES = 128 * 1024
"""Copied source rows of one task: a quarter of a usual L2 cache."""
STRIP_PIXELS = 96
"""Outputs of one task at least, so that its set-up does not show."""
CLIPPED_COLUMNS = 24
"""Rows at least so long that clipping their ends is cheaper than copying them with zeros."""


@dataclass(frozen=True)
class Lanes:
    """One pass of the kernels over a grid of outputs; see pyx/_fastconv/depthwise.pyx."""

    row_tables: np.ndarray
    """(3, row taps of all planes) intp: source offset, place of the weights, source row."""
    column_tables: np.ndarray
    """(3, column taps) intp: the same along a row."""
    index: np.ndarray
    """int32, of each channel: the first channel of the source's group that an output reads."""
    fields: np.ndarray
    """int32 fields of the kernels' Lanes."""
    channels: int
    rows: int
    columns: int
    row_stride: int
    reach: int
    line: int
    """Values of one copied source row; 0 where the image is read in place."""
    planes: int
    units: int
    unit_channels: int
    shuffled: int
    """Vectors of the source out of which one of a plane is permuted; 0: it is copied by values."""

    @property
    def narrow(self) -> bool:
        """Whether several pixels' channels fill the vectors of one unit."""
        return self.unit_channels != self.channels

    def scratch_size(self, rows: int) -> int:
        """Return the values of the copied source of `rows` output rows."""
        return ((rows - 1) * self.row_stride + self.reach) * self.line

    def strip_rows(self, images: int, threads: int, itemsize: int) -> int:
        """Return how many output rows a task takes: cache-sized, and enough tasks for all."""
        rows = self.rows
        if self.line:
            fitting = STRIP_BYTES // (self.row_stride * self.line * itemsize)
            rows = min(rows, max(fitting, self.reach))
        fair = -(-images * self.rows // (4 * threads))
        least = -(-STRIP_PIXELS // self.columns)
        return max(1, min(self.rows, rows, max(fair, least)))

    def block_rows(self, images: int) -> int:
        """Return how many rows of outputs a kernel gradient's block takes."""
        rows = (COPIED_PIXELS if self.line else BLOCK_PIXELS) // self.columns
        return max(1, min(self.rows, rows, -(-images * self.rows // PARTS)))


def plan_lanes(
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
) -> Lanes:
    """Lay out a sum over taps of few channels; the arguments are those of `plan_gather`."""
    height, width, source_channels = source
    channels = target[2]
    planes = source_channels // groups
    narrow = channels < lanes
    unit = math.lcm(channels, lanes) if narrow else channels
    rows = sorted(row_taps, key=lambda tap: tap[1])
    columns = sorted(column_taps, key=lambda tap: tap[1])
    if not rows or not columns:
        rows = columns = []
    top, reach = _span(rows)
    left, across = _span(columns)
    inner = _inside(columns, width, strides[1], grid[1])
    whole = inner == (0, grid[1]) and _inside(rows, height, strides[0], grid[0]) == (0, grid[0])
    in_place = planes == 1 and channels == source_channels and not narrow
    copied = not (in_place and (whole or grid[1] >= CLIPPED_COLUMNS))
    padded_width = (grid[1] - 1) * strides[1] + across
    phases = strides[1] if narrow else 1
    units = -(-grid[1] * channels // unit) if narrow else grid[1]
    phase_width = -(-padded_width // phases)
    if narrow:
        # Room for the last unit, though its last pixels are no outputs.
        last = max((offset + left for _, offset in columns), default=0) // phases
        phase_width = max(phase_width, last + units * (unit // channels))
    if copied:
        plane = phases * phase_width * channels
        line = planes * plane
        row_offset = [(at + top) * line + p * plane for _, at in rows for p in range(planes)]
        column_offset = [
            (at + left) % phases * phase_width * channels + (at + left) // phases * channels
            for _, at in columns
        ]
    else:
        line = 0
        row_offset = [at * width * channels for _, at in rows]
        column_offset = [at * channels for _, at in columns]
    shuffled = _shuffled(channels, channels // groups, planes, lanes)
    # As long as a vector, so that a pixel's channels are permuted at once.
    index = np.minimum(np.arange(max(channels, lanes), dtype=np.int32), channels - 1)
    index = index // (channels // groups) * planes
    fields = (
        height,
        width,
        source_channels,
        *grid,
        *strides,
        channels,
        planes,
        copied,
        narrow,
        shuffled,
        units,
        unit,
        unit if narrow else strides[1] * channels,
        top,
        left,
        reach,
        padded_width,
        phases,
        phase_width,
        len(rows) * planes,
        len(columns),
        *inner,
        *target_start,
        *target_step,
        target[1],
        relu,
    )
    return Lanes(
        row_tables=_tables(
            row_offset,
            [(tap * kernel_width * planes + p) * unit for tap, _ in rows for p in range(planes)],
            [at for _, at in rows for _ in range(planes)],
        ),
        column_tables=_tables(
            column_offset, [tap * planes * unit for tap, _ in columns], [at for _, at in columns]
        ),
        index=index,
        fields=np.array(fields, np.int32),
        channels=channels,
        rows=grid[0],
        columns=grid[1],
        row_stride=strides[0],
        reach=reach,
        line=line,
        planes=planes,
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


def _tables(*lines: list[int]) -> np.ndarray:
    return np.array([line or [0] for line in lines], np.intp)


class DepthwisePlan:
    """The three directions of a convolution in groups of few channels.

    Each direction by itself: `choice` may leave the others to other algorithms.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int, int],
        kernel_shape: tuple[int, int, int, int],
        window: Window,
        groups: int,
        dtype: np.dtype,
        *,
        relu: bool = False,
    ) -> None:
        self._images, *source = input_shape
        self._source = tuple(source)
        self._target = (window.rows.output, window.columns.output, kernel_shape[3])
        self._window = window
        self._groups = groups
        self._dtype = dtype
        self._scratch = Scratch(dtype)
        self._taps = kernel_shape[0] * kernel_shape[1]
        self._kernel_width = kernel_shape[1]
        self._relu = relu
        self.forward_lanes = plan_lanes(
            self._source,
            self._target,
            taps_of(window.rows),
            taps_of(window.columns),
            kernel_width=self._kernel_width,
            grid=self._target[:2],
            strides=(window.rows.stride, window.columns.stride),
            groups=groups,
            relu=relu,
            lanes=_lanes[dtype.name],
        )
        self._phases = self._plan_input_gradient()

    @property
    def backward_lanes(self) -> Lanes:
        """One phase of the input gradient."""
        return self._phases[0]

    def forward(
        self, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, out: np.ndarray
    ) -> None:
        """Write [relu](conv2d(x, kernel) + bias) to `out`."""
        weights = kernel.reshape(-1, self._target[2])
        self._run(self.forward_lanes, x, self._tiled("kernel", weights), bias, out)

    def input_gradient(self, dy: np.ndarray, kernel: np.ndarray, dx: np.ndarray) -> None:
        """Write the gradient of the input: the same sum over dy, by phases of the stride."""
        weights = self._tiled("turned kernel", self._turned(kernel))
        for phase in self._phases:
            self._run(phase, dy, weights, None, dx)

    def kernel_gradient(
        self, dy: np.ndarray, x: np.ndarray, dkernel: np.ndarray, dbias: np.ndarray | None
    ) -> None:
        """Write the gradients of the kernel and, unless it is None, of the bias."""
        lanes, threads = self.forward_lanes, runtime.get_num_threads()
        rows = lanes.block_rows(self._images)
        parts = min(PARTS, self._images * -(-lanes.rows // rows))
        taps = self._taps * lanes.planes
        sums = self._exactly("sums", parts, taps * lanes.unit_channels)
        bias_sums = self._exactly("bias sums", parts, lanes.unit_channels)
        _kernels.kernel_gradient(
            x,
            dy,
            sums,
            bias_sums,
            lanes.row_tables,
            lanes.column_tables,
            lanes.index,
            lanes.fields,
            parts,
            rows,
            self._scratch("taps", threads, 2 * taps, dtype=np.intp),
            self._scratch("strip", threads, lanes.scratch_size(rows)),
            self._scratch(
                "rows", threads, rows * lanes.units * lanes.unit_channels if lanes.narrow else 1
            ),
            threads,
        )
        self._add_parts(sums, dkernel)
        if dbias is not None:
            self._add_parts(bias_sums, dbias)

    def _add_parts(self, sums: np.ndarray, out: np.ndarray) -> None:
        """Write the sum of the parts, and of the pixels of a narrow unit, to `out`."""
        if sums.shape[1] == out.size:
            np.add.reduce(sums, axis=0, out=out.reshape(-1))
            return
        total = self._exactly("total", 1, sums.shape[1])
        np.add.reduce(sums, axis=0, out=total[0])
        filters = self._target[2]
        by_pixel = total.reshape(out.size // filters, -1, filters)
        np.add.reduce(by_pixel, axis=1, out=out.reshape(-1, filters))

    def _run(
        self,
        lanes: Lanes,
        source: np.ndarray,
        weights: np.ndarray,
        bias: np.ndarray | None,
        target: np.ndarray,
    ) -> None:
        threads = runtime.get_num_threads()
        rows = lanes.strip_rows(self._images, threads, self._dtype.itemsize)
        start = self._exactly("bias", lanes.unit_channels // target.shape[3], target.shape[3])
        start[...] = 0 if bias is None else bias
        _kernels.output(
            source,
            weights,
            start.reshape(-1),
            target,
            lanes.row_tables,
            lanes.column_tables,
            lanes.index,
            lanes.fields,
            rows,
            self._scratch("strip", threads, lanes.scratch_size(rows)),
            self._scratch("row", threads, lanes.units * lanes.unit_channels * lanes.narrow),
            threads,
        )

    def _plan_input_gradient(self) -> list[Lanes]:
        """With strides (s, t), s x t grids of inputs, each of stride 1 over dy."""
        rows, columns = self._window
        return [
            plan_lanes(
                self._target,
                self._source,
                transposed_taps_of(rows, top),
                transposed_taps_of(columns, left),
                kernel_width=self._kernel_width,
                grid=(
                    -(-(rows.size - top) // rows.stride),
                    -(-(columns.size - left) // columns.stride),
                ),
                target_start=(top, left),
                target_step=(rows.stride, columns.stride),
                groups=self._groups,
                lanes=_lanes[self._dtype.name],
            )
            for top in range(min(rows.stride, rows.size))
            for left in range(min(columns.stride, columns.size))
        ]

    def _turned(self, kernel: np.ndarray) -> np.ndarray:
        """Return the kernel with each group's channels and filters swapped: (rows, channels)."""
        channels, filters = self._source[2], self._target[2]
        inputs, outputs = channels // self._groups, filters // self._groups
        if inputs == outputs == 1:
            return kernel.reshape(-1, channels)
        turned = self._exactly("swapped kernel", self._taps * outputs, channels)
        np.copyto(
            turned.reshape(-1, outputs, self._groups, inputs),
            kernel.reshape(-1, inputs, self._groups, outputs).transpose(0, 3, 2, 1),
        )
        return turned

    def _tiled(self, name: str, weights: np.ndarray) -> np.ndarray:
        """Return each row repeated until it fills whole vectors, as a narrow unit needs it."""
        rows, channels = weights.shape
        lanes = _lanes[self._dtype.name]
        if channels >= lanes:
            return weights
        unit = math.lcm(channels, lanes)
        tiled = self._exactly(name, rows, unit)
        tiled.reshape(rows, -1, channels)[...] = weights[:, None]
        return tiled

    def _exactly(self, name: str, rows: int, columns: int) -> np.ndarray:
        """Return C-contiguous scratch of this very shape."""
        return self._scratch(name, rows * columns)[: rows * columns].reshape(rows, columns)
