"""Convolution + bias + ReLU + 2x2 max pooling of fixed shapes, as one operation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import runtime
from ...geometry import Window, conv2d_window
from .choice import winograd_output
from .convolution import PARTS, PARTS_BYTES
from .gather import plan_gather
from .packing import pad_channels
from .scratch import Scratch

_kernels = runtime.kernels.fused
_conv = runtime.kernels.conv

SLAB_BYTES = 24 * 1024
"""Weights that the input gradient walks at a time: most of an L1 cache."""


class ConvPoolPlan:
    """max_pool2d(relu(conv2d(x, kernel, bias)), 2) without the full-size activation.

    The pooling is 2x2 with stride 2; an odd last row or column of the convolution is
    dropped, as "valid" pooling does.  Groups and dilation are 1.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int, int],
        kernel_shape: tuple[int, int, int, int],
        *,
        strides: Any = 1,
        padding: Any = "valid",
        dtype: Any = np.float32,
        owner: str = "conv2d",
    ) -> None:
        window, _ = conv2d_window(input_shape, kernel_shape, strides, padding, owner=owner)
        self.output_shape = (
            input_shape[0],
            window.rows.output // 2,
            window.columns.output // 2,
            kernel_shape[3],
        )
        if 0 in self.output_shape[1:3]:
            raise ValueError(
                f"{owner}: its output {(window.rows.output, window.columns.output)} is too small "
                "for 2x2 pooling"
            )
        self._images = input_shape[0]
        self._kernel_shape = kernel_shape
        self._dtype = np.dtype(dtype)
        self._lanes = _conv.LANES[self._dtype.name]
        self._scratch = Scratch(dtype)
        self._line = kernel_shape[1] * kernel_shape[2]
        self._padded_line = pad_channels(self._line, self._dtype)
        self._stride = window.rows.stride
        self._forward = self._plan_forward(input_shape, window)
        self._winograd = winograd_output(
            input_shape, kernel_shape[3], window, 1, self._dtype, pooled=True
        )
        self._block = np.array(
            [
                *self.output_shape[1:],
                kernel_shape[0],
                self._line,
                window.rows.stride,
                window.columns.stride,
                kernel_shape[2],
            ],
            np.int32,
        )
        # The backward pass reads and writes whole vectors, past a row's end too: it always
        # works in a padded copy that has room for them.
        self._copied_strip = self._forward.strip.copy()
        self._copied_strip[6] = 0
        self._rows_read = (2 * self.output_shape[1] - 1) * self._stride + kernel_shape[0]

    def _plan_forward(self, input_shape: tuple[int, ...], window: Window):
        _, rows, columns, filters = self.output_shape
        return plan_gather(
            input_shape[1:],
            (2 * rows, 2 * columns, filters),
            [(tap, tap - window.rows.before) for tap in range(window.rows.window)],
            [(tap, tap - window.columns.before) for tap in range(window.columns.window)],
            grid=(2 * rows, 2 * columns),
            strides=(window.rows.stride, window.columns.stride),
        )

    def forward(
        self,
        x: np.ndarray,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        out: np.ndarray,
        winners: np.ndarray | None,
    ) -> None:
        """Write the pooled output; `winners` (uint8, like out) takes what `backward` needs."""
        if not out.size:
            return
        if self._winograd is not None:
            self._winograd.forward(x, kernel, bias, out, winners)
            return
        gather, threads = self._forward, runtime.get_num_threads()
        padded = pad_channels(self._kernel_shape[3], self._dtype)
        packed = self._scratch("packed", padded * len(gather.taps) * self._kernel_shape[2])
        _conv.pack(kernel, packed, gather.taps, 1, False, threads)
        start = self._scratch("bias", padded)
        start[:] = 0
        if bias is not None:
            start[: bias.size] = bias
        rows = -(-gather.strip_rows(self._images, threads, self._dtype.itemsize) // 2)
        _kernels.forward(
            x,
            packed,
            start,
            out,
            winners,
            gather.run_offset,
            gather.strip,
            self._block,
            gather.run_length,
            rows,
            self._scratch("strip", threads, gather.scratch_size(2 * rows)),
            threads,
        )

    def backward(
        self,
        dy: np.ndarray,
        winners: np.ndarray,
        x: np.ndarray,
        kernel: np.ndarray,
        dx: np.ndarray | None,
        dkernel: np.ndarray,
        dbias: np.ndarray | None,
    ) -> None:
        """Write the gradients for dy at the pooled output; dx and dbias may be None."""
        if not dy.size:
            for gradient in (dx, dkernel, dbias):
                if gradient is not None:
                    gradient.fill(0)
            return
        self._kernel_gradient(dy, winners, x, dkernel, dbias)
        if dx is not None:
            self._input_gradient(dy, winners, kernel, dx)

    def _kernel_gradient(self, dy, winners, x, dkernel, dbias):
        threads = runtime.get_num_threads()
        kernel_rows, _, _, filters = self._kernel_shape
        columns = self.output_shape[2]
        size = filters * kernel_rows * self._padded_line
        parts = max(1, min(self._images, PARTS, PARTS_BYTES // (size * self._dtype.itemsize)))
        strip = (self._stride + kernel_rows) * self._forward.line
        _kernels.kernel_gradient(
            x,
            dy,
            winners,
            self._scratch("sums", parts, size),
            self._scratch("bias sums", parts, filters),
            self._copied_strip,
            self._block,
            self._scratch("rows", threads, strip + self._padded_line),
            self._scratch("offsets", threads, filters * (columns + 1), dtype=np.int32),
            self._scratch("gradients", threads, filters * columns),
            dkernel,
            dbias,
            threads,
        )

    def _input_gradient(self, dy, winners, kernel, dx):
        threads = runtime.get_num_threads()
        kernel_rows, _, _, filters = self._kernel_shape
        slab = min(self._padded_line, _kernels.SLAB * self._lanes)
        block = max(1, min(filters, SLAB_BYTES // (slab * self._dtype.itemsize)))
        entries = 5 * self.output_shape[2] * block
        _kernels.input_gradient(
            dy,
            winners,
            kernel,
            dx,
            self._scratch("weights", filters * kernel_rows * self._padded_line),
            self._copied_strip,
            self._block,
            block,
            self._scratch(
                "image", threads, self._rows_read * self._forward.line + 16 * self._lanes
            ),
            self._scratch("filters", threads, entries + 5 * self.output_shape[2], dtype=np.int32),
            self._scratch("window gradients", threads, entries),
            threads,
        )
