"""Kernel gradient of a convolution of fixed shapes, as one matrix product over all pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._core import runtime
from ..._core.geometry import Window
from .packing import pad_channels
from .scratch import Scratch
from .select import Problem
from .structs import struct

SPLIT_K = 16
"""Tasks at most; fixed, so that sums do not depend on the threads."""
SPLIT_K_BYTES = 64 * 1024 * 1024
"""Memory for private sums at most."""
SPLIT_PIECES = 8
"""Pieces of the patch in one task at least: each task packs all of dY for itself."""
BLOCK_PIXELS = 256
"""Output pixels of one block at most: a piece of the patch and one of dY fit an L1 cache.  Blocks
are groups of sums: this size and the next two are fixed, and so are the bits."""
BLOCK_BYTES = 192 * 1024
"""Packed dY of one block."""

SOURCE_BYTES = 192 * 1024
"""Pixels of x of one block, less the rows that its kernel reaches beyond."""

TAP_CHANNELS = 4
"""Of a group, from which on pieces of the patch are of one tap each: fewer fill no tile."""
PACKED_TILES = 4
"""Of filters; more of them share the packing of the patch, fewer read it where it lies."""


class KernelGradientPlan:
    """dkernel and dbias of a convolution."""

    def __init__(self, problem: Problem, kernels: runtime.DirectKernels) -> None:
        input_shape, kernel_shape, window, groups, dtype = problem
        self._kernels = kernels.conv_gradient
        self._scratch = Scratch(dtype)
        channels, filters = kernel_shape[2], kernel_shape[3] // groups
        self._filters = kernel_shape[3]
        wide = 2 * pad_channels(1, dtype, kernels)
        tiles = -(-filters // wide)
        taps, direct = by_tap(channels), in_place(channels, filters, dtype, kernels)
        self._runs, length = _runs(window, channels, merge=groups == 1 and not taps)
        span = length if taps else length * len(self._runs)
        # Pieces of almost equal size: any register tile with eight sums is as fast a value.
        pieces = -(-span // kernels.conv.TILE)
        piece = -(-span // pieces)
        pieces *= len(self._runs) if taps else 1
        _, height, width, depth = input_shape
        self._product = struct(
            "GradientProduct",
            height=height,
            width=width,
            channels=depth,
            rows=window.rows.output,
            columns=window.columns.output,
            filters=self._filters,
            row_stride=window.rows.stride,
            column_stride=window.columns.stride,
            groups=groups,
            source_group=channels,
            target_group=filters,
            run_length=length,
            runs=len(self._runs),
            piece=piece,
            in_place=direct,
            by_tap=taps,
        )
        self._packed_filters = tiles * wide
        pixels = min(BLOCK_PIXELS, BLOCK_BYTES // (self._packed_filters * dtype.itemsize))
        columns, rows = window.columns.output, input_shape[0] * window.rows.output
        # Every tap reads the block's pixels of x again: they should not fall out of the cache.
        line = input_shape[2] * input_shape[3] * dtype.itemsize
        near = SOURCE_BYTES // max(line * window.rows.stride, 1)
        self._block_rows = max(1, min(rows, pixels // max(columns, 1), near))
        self._block_pixels = self._block_rows * columns
        self._patch = 0 if direct else self._block_pixels * piece
        blocks = -(-rows // self._block_rows)
        self._sums = groups * pieces * tiles * piece * wide
        splits = max(1, min(SPLIT_K, pieces // SPLIT_PIECES))
        self._split_k = max(
            1, min(blocks, -(-SPLIT_K // splits), SPLIT_K_BYTES // (self._sums * dtype.itemsize))
        )
        self._splits = min(pieces, -(-SPLIT_K // self._split_k))

    def describe(self) -> dict[str, Any]:
        """Return the split-k sums, the tasks of each, and the pixels of a block."""
        return {
            "split_k": self._split_k,
            "tasks_of_each": self._splits,
            "pixels_of_a_block": self._block_pixels,
            "patch": "packed" if self._patch else "in place",
        }

    def kernel_gradient(
        self, dy: np.ndarray, x: np.ndarray, dkernel: np.ndarray, dbias: np.ndarray | None
    ) -> None:
        """Write the gradients; dbias may be None."""
        threads = runtime.get_num_threads()
        self._kernels.kernel_gradient(
            x,
            dy,
            self._runs,
            self._product,
            self._block_rows,
            self._splits,
            self._scratch("sums", self._split_k, self._sums),
            self._scratch("bias sums", self._split_k, self._filters),
            self._scratch.rows("patch", threads, self._patch),
            self._scratch.rows("filters", threads, self._block_pixels * self._packed_filters),
            self._scratch.rows("stretches", threads, 3 * self._block_rows, dtype=np.intp),
            dkernel,
            dbias,
            threads,
        )


def by_tap(channels: int) -> bool:
    """Whether pieces of the patch are of one tap each, and of the pixels it finds in the image."""
    return channels >= TAP_CHANNELS


def in_place(channels: int, filters: int, dtype: np.dtype, kernels: runtime.DirectKernels) -> bool:
    """Whether the patch of a group is read where it lies in x."""
    most = PACKED_TILES * 2 * pad_channels(1, dtype, kernels)
    return by_tap(channels) and filters <= most


def _runs(window: Window, channels: int, merge: bool) -> tuple[np.ndarray, int]:
    """Return where the patch's contiguous runs start, in pixels of x, and their length.

    `merge` makes a kernel row one run, which in NHWC it is where no column is ever outside of x.
    """
    rows, columns = window
    starts = [
        (row * rows.dilation - rows.before, column * columns.dilation - columns.before)
        for row in range(rows.window)
        for column in range(columns.window)
    ]
    merged = (
        merge
        and columns.dilation == 1
        and columns.before <= 0
        and (columns.output - 1) * columns.stride - columns.before + columns.window <= columns.size
    )
    if merged:
        starts = starts[:: columns.window]
        channels *= columns.window
    return np.array(starts, np.int32), channels
