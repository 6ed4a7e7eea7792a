"""Kernel gradient of a convolution of fixed shapes with few filters: vectors along the patch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._core import runtime
from ..._core.geometry import Axis, Window
from .packing import pad_channels
from .scratch import Scratch
from .select import Problem
from .structs import padded_image, struct

SPLIT_K = 16
"""Tasks at most; fixed, so that sums do not depend on the threads."""
ROW_BLOCK_BYTES = 40 * 1024
"""Pixels of x of one block: about an L1 cache, walked through row by row; fixed, as blocks are
groups of sums."""
BLOCK_PIXELS = 256
"""Outputs of one block at least, or all of an image: registers are filled and emptied for each."""


class PatchGradientPlan:
    """dkernel and dbias of a convolution."""

    def __init__(self, problem: Problem, kernels: runtime.DirectKernels) -> None:
        input_shape, kernel_shape, window, groups, dtype = problem
        self._kernels = kernels.conv_gradient
        self._scratch = Scratch(dtype)
        images, height, width, channels = input_shape
        rows, columns = window
        lanes = pad_channels(1, dtype, kernels)
        run, starts = patch_runs(window, kernel_shape[2], groups)
        direct = run >= lanes and _inside(rows) and _inside(columns)
        padded_width = (columns.output - 1) * columns.stride + columns.extent
        row_width = width if direct else padded_width
        self._offset = np.array(
            [
                (row * row_width + column) * channels + value
                for row, column in starts
                for value, _, _ in _vectors(run, lanes)
            ],
            np.intp,
        )
        self._places = np.array(
            [
                (number * run + value + begin, begin, count)
                for number in range(len(starts))
                for value, begin, count in _vectors(run, lanes)
            ],
            np.int32,
        )
        self._filters, filters = kernel_shape[3], kernel_shape[3] // groups
        tile, most = tile_shape(filters, kernels)
        most = min(most, len(self._offset))
        tiles = -(-filters // tile)
        reach = rows.extent
        line = row_width * channels
        block_rows = patch_rows(window, line * dtype.itemsize)
        before = (rows.before, columns.before)
        self._image = padded_image((height, width, channels), before, padded_width, direct)
        self._tiles = struct(
            "GradientPatch",
            rows=rows.output,
            columns=columns.output,
            filters=self._filters,
            row_stride=rows.stride,
            column_stride=columns.stride,
            reach=reach,
            groups=groups,
            source_group=kernel_shape[2],
            target_group=filters,
            width=tile,
            most=most,
            vectors=len(self._offset),
            block_rows=block_rows,
        )
        pieces = groups * -(-len(self._offset) // most)
        self._split_k = min(SPLIT_K, images * -(-rows.output // block_rows))
        self._splits = min(pieces, -(-SPLIT_K // self._split_k))
        self._sums = pieces * tiles * tile * most * lanes
        task_rows = (block_rows - 1) * rows.stride + reach
        self._copy_size = 1 if direct else task_rows * line + lanes
        self._packed = block_rows * columns.output * filters

    def describe(self) -> dict[str, Any]:
        """Return the split-k sums, the tasks of each, and the vectors of the patch."""
        vectors = len(self._offset)
        return {"split_k": self._split_k, "tasks_of_each": self._splits, "vectors": vectors}

    def kernel_gradient(
        self, dy: np.ndarray, x: np.ndarray, dkernel: np.ndarray, dbias: np.ndarray | None
    ) -> None:
        """Write the gradients; dbias may be None."""
        threads = runtime.get_num_threads()
        self._kernels.patch_gradient(
            x,
            dy,
            self._offset,
            self._places,
            self._image,
            self._tiles,
            self._splits,
            self._scratch("sums", self._split_k, self._sums),
            self._scratch("bias sums", self._split_k, self._filters),
            self._scratch.rows("rows of x", threads, self._copy_size),
            self._scratch.rows("filters", threads, self._packed),
            dkernel,
            dbias,
            self._split_k,
            threads,
        )


def tile_shape(filters: int, kernels: runtime.DirectKernels) -> tuple[int, int]:
    """Return how many filters a tile takes, almost the same each, and how many vectors."""
    most = kernels.conv_gradient
    tile = -(-filters // -(-filters // most.PATCH_FILTERS))
    return tile, min(most.PATCH_VECTORS, most.PATCH_SUMS // tile)


def patch_rows(window: Window, line_bytes: int) -> int:
    """Return how many rows of outputs a block has, where a row of x has `line_bytes`."""
    rows, columns = window
    near = (ROW_BLOCK_BYTES // max(line_bytes, 1) - rows.extent) // rows.stride + 1
    return min(rows.output, max(near, -(-BLOCK_PIXELS // columns.output)))


def patch_runs(window: Window, channels: int, groups: int) -> tuple[int, list[tuple[int, int]]]:
    """Return the length of the patch's contiguous runs, and where they start, in pixels.

    A kernel row is one run, as long as a pixel's channels are all of one group.
    """
    rows, columns = window
    merged = groups == 1 and columns.dilation == 1
    starts = [
        (row * rows.dilation, column * columns.dilation)
        for row in range(rows.window)
        for column in range(1 if merged else columns.window)
    ]
    return channels * (columns.window if merged else 1), starts


def _vectors(run: int, lanes: int) -> list[tuple[int, int, int]]:
    """Return the vectors of a run: first value, first lane that counts, lanes that do."""
    vectors = [(at, 0, lanes) for at in range(0, run - lanes + 1, lanes)]
    rest = run % lanes
    if rest and run > lanes:
        vectors.append((run - lanes, lanes - rest, rest))
    elif rest:
        vectors.append((0, 0, rest))
    return vectors


def _inside(axis: Axis) -> bool:
    """Whether all of an axis' windows are inside the image."""
    return axis.before == 0 and (axis.output - 1) * axis.stride + axis.extent <= axis.size
