"""Depthwise convolution, and grouped convolution as one: output and both gradients."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..._core import runtime
from .depthwise_layout import SPLIT_K, DepthwiseLayout
from .direct_tables import taps_of, transposed_taps_of
from .packing import pad_channels
from .scratch import Scratch, constant
from .select import Problem


class DepthwisePlan:
    """The three directions of a convolution in groups of few channels.

    Each direction by itself: `choice` may leave the others to other algorithms.
    """

    def __init__(self, problem: Problem, *, limit: float = 0.0) -> None:
        input_shape, kernel_shape, window, groups, dtype = problem
        self._images = input_shape[0]
        self._source: tuple[int, int, int] = input_shape[1:]
        self._target = (window.rows.output, window.columns.output, kernel_shape[3])
        self._window, self._groups, self._dtype = window, groups, dtype
        self._kernels = runtime.kernels_of(dtype).depthwise
        self._scratch = Scratch(dtype)
        self._taps = kernel_shape[0] * kernel_shape[1]
        self._kernel_width = kernel_shape[1]
        lay_out = partial(
            DepthwiseLayout,
            self._source,
            self._target,
            taps_of(window.rows),
            taps_of(window.columns),
            kernel_width=self._kernel_width,
            grid=self._target[:2],
            strides=(window.rows.stride, window.columns.stride),
            groups=groups,
            limit=limit,
            lanes=pad_channels(1, dtype),
        )
        self.output_layout = lay_out()
        # Sums over pixels take no vector that ends in the next pixel.
        self.gradient_layout = lay_out(pad=False)
        self._phases = self._plan_input_gradient()

    @property
    def input_layout(self) -> DepthwiseLayout:
        """One phase of the input gradient."""
        return self._phases[0]

    def forward(
        self, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, out: np.ndarray
    ) -> None:
        """Write [clipped](conv2d(x, kernel) + bias) to `out`."""
        lanes = self.output_layout
        weights = self._tiled("kernel", kernel.reshape(-1, self._target[2]), lanes)
        self._run(lanes, x, weights, bias, out)

    def describe(self) -> dict[str, Any]:
        """Return how the output's channels lie in vectors."""
        layout = self.output_layout
        return {
            "planes": layout.planes,
            "lanes_filled": layout.filled,
            "image": "copied" if layout.line else "in place",
        }

    def input_gradient(self, dy: np.ndarray, kernel: np.ndarray, dx: np.ndarray) -> None:
        """Write the gradient of the input: the same sum over dy, by phases of the stride."""
        weights = self._tiled("tiled swapped kernel", self._swapped(kernel), self._phases[0])
        for phase in self._phases:
            self._run(phase, dy, weights, None, dx)

    def kernel_gradient(
        self, dy: np.ndarray, x: np.ndarray, dkernel: np.ndarray, dbias: np.ndarray | None
    ) -> None:
        """Write the gradients of the kernel and, unless it is None, of the bias."""
        layout, threads = self.gradient_layout, runtime.get_num_threads()
        rows = layout.block_rows(self._images)
        parts = min(SPLIT_K, self._images * -(-layout.rows // rows))
        taps = self._taps * layout.planes
        sums = self._exactly("sums", parts, taps * layout.unit_channels)
        bias_sums = self._exactly("bias sums", parts, layout.unit_channels)
        self._kernels.kernel_gradient(
            x,
            dy,
            sums,
            bias_sums,
            layout.row_tables,
            layout.column_tables,
            layout.channel_index,
            layout.fields,
            parts,
            rows,
            self._scratch.rows("taps", threads, 2 * taps, dtype=np.intp),
            self._scratch.rows("rows of x", threads, layout.scratch_size(rows)),
            self._scratch.rows(
                "rows", threads, rows * layout.units * layout.unit_channels if layout.narrow else 1
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
        layout: DepthwiseLayout,
        source: np.ndarray,
        weights: np.ndarray,
        bias: np.ndarray | None,
        target: np.ndarray,
    ) -> None:
        threads = runtime.get_num_threads()
        rows = layout.task_rows(self._images, threads, self._dtype.itemsize)
        start = self._exactly("bias", 1, target.shape[3])
        start[...] = 0 if bias is None else bias
        start = self._tiled("tiled bias", start, layout)
        self._kernels.output(
            source,
            weights,
            start.reshape(-1),
            target,
            layout.row_tables,
            layout.column_tables,
            layout.channel_index,
            layout.fields,
            rows,
            self._scratch.rows("rows of x", threads, layout.scratch_size(rows)),
            self._scratch.rows("row", threads, layout.units * layout.unit_channels * layout.narrow),
            threads,
        )

    def _plan_input_gradient(self) -> list[DepthwiseLayout]:
        """With strides (s, t), s x t grids of inputs, each of stride 1 over dy."""
        rows, columns = self._window
        return [
            DepthwiseLayout(
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
                lanes=pad_channels(1, self._dtype),
            )
            for top in range(min(rows.stride, rows.size))
            for left in range(min(columns.stride, columns.size))
        ]

    def _swapped(self, kernel: np.ndarray) -> np.ndarray:
        """Return the kernel with each group's channels and filters swapped: (rows, channels)."""
        channels, filters = self._source[2], self._target[2]
        inputs, outputs = channels // self._groups, filters // self._groups
        if inputs == outputs == 1:
            return kernel.reshape(-1, channels)
        swapped = self._exactly("swapped kernel", self._taps * outputs, channels)
        np.copyto(
            swapped.reshape(-1, outputs, self._groups, inputs),
            kernel.reshape(-1, inputs, self._groups, outputs).transpose(0, 3, 2, 1),
        )
        return swapped

    def _tiled(self, name: str, weights: np.ndarray, layout: DepthwiseLayout) -> np.ndarray:
        """Return each row repeated until it fills a unit, or followed by zeros."""
        rows, channels = weights.shape
        if channels == layout.unit_channels:
            return weights
        tiled = self._exactly(name, rows, layout.unit_channels)
        if layout.narrow:
            tiled.reshape(rows, -1, channels)[...] = weights[:, None]
        else:
            tiled[:, :channels] = weights
            tiled[:, channels:] = 0
        return tiled

    def _exactly(self, name: str, rows: int, columns: int) -> np.ndarray:
        """Return C-contiguous scratch of this very shape."""
        return constant(self._scratch, name, rows * columns)[: rows * columns].reshape(
            rows, columns
        )
