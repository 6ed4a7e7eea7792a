"""Input gradient with the kernel's columns as lanes, for few channels; see `_fastconv/conv.pyx`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._core import runtime
from .caches import L1
from .direct_tables import DirectTables, transposed_taps_of
from .packing import pad_channels
from .scratch import Scratch, constant
from .select import Problem
from .structs import struct

BUFFER_BYTES = L1 // 2
"""Of a thread's sums, if a row of them is that short."""


class OverlapAddPlan:
    """The input gradient of a convolution.

    Each pixel of dy contributes to as many neighbouring pixels of dx as the kernel has columns:
    these sums lie side by side in whole vectors, and are added where they overlap.  The columns'
    dilation must be 1.
    """

    def __init__(self, problem: Problem) -> None:
        input_shape, kernel_shape, window, groups, dtype = problem
        self._images, self._groups = input_shape[0], groups
        self._dtype, kernels = dtype, runtime.kernels_of(dtype)
        self._kernels = kernels.conv
        self._scratch = Scratch(dtype)
        rows, columns = window
        height, width, channels, filters = kernel_shape
        self._kernel_shape = (height, 1, width * channels, filters)
        # Without groups the sums of a pixel fill whole vectors, so that each store is whole.
        lanes = width * channels
        self._lanes = groups * lanes if groups > 1 else pad_channels(lanes, dtype)
        self._phases = [
            DirectTables(
                (rows.output, columns.output, filters),
                (rows.size, columns.output, self._lanes),
                transposed_taps_of(rows, top),
                [(0, 0)],
                grid=(-(-(rows.size - top) // rows.stride), columns.output),
                target_start=(top, 0),
                target_step=(rows.stride, 1),
                groups=groups,
                kernels=kernels,
            )
            for top in range(min(rows.stride, rows.size))
        ]
        column, kernel_column = divmod(columns.before, columns.stride)
        self._overlap = struct(
            "OverlapAdd",
            kernel_columns=width,
            channels=channels,
            stride=columns.stride,
            column=column,
            kernel_column=kernel_column,
        )

    def describe(self) -> dict[str, Any]:
        """Return the grids and the lanes of a pixel's sums."""
        return {"grids": len(self._phases), "lanes_of_a_pixel": self._lanes}

    def input_gradient(self, dy: np.ndarray, kernel: np.ndarray, dx: np.ndarray) -> None:
        """Write the gradient of sum(dy * conv2d(x, kernel)) to `dx`."""
        for phase in self._phases:
            self._add_phase(phase, dy, kernel.reshape(self._kernel_shape), dx)

    def _add_phase(
        self, phase: DirectTables, dy: np.ndarray, kernel: np.ndarray, dx: np.ndarray
    ) -> None:
        threads = runtime.get_num_threads()
        itemsize = self._dtype.itemsize
        padded = self._groups * pad_channels(kernel.shape[2], self._dtype)
        size = padded * len(phase.run_offset) * phase.run_length
        packed = constant(self._scratch, "packed", size)
        self._kernels.pack(kernel, packed, phase.taps, self._groups, True, threads)
        zeros = constant(self._scratch, "zeros", padded)
        zeros[:] = 0
        rows = phase.task_rows(self._images, threads, itemsize)
        line = phase.columns.outputs * self._lanes
        buffer_rows = max(1, min(rows, BUFFER_BYTES // (line * itemsize)))
        # The last pixel's last vector is read whole.
        buffer = buffer_rows * line + pad_channels(1, self._dtype)
        self._kernels.direct_overlap_add(
            dy,
            packed,
            zeros,
            dx,
            phase.run_offset,
            phase.image,
            phase.grid,
            self._overlap,
            rows,
            buffer_rows,
            self._scratch.rows("rows of x", threads, phase.scratch_size(rows)),
            self._scratch.rows("buffer", threads, buffer),
            threads,
        )
