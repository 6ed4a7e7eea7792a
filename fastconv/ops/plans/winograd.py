"""3x3 convolution of stride 1 by Winograd's F(4x4, 3x3), of fixed shapes.

When it is worth it is decided in `choice`; how it works is told in the kernel's source.
"""

from __future__ import annotations

import numpy as np

from ... import runtime
from ...geometry import Window
from .packing import pad_channels
from .scratch import Scratch

_kernels = runtime.kernels.winograd

POINTS = 36
BLOCK_BYTES = 512 * 1024
"""V and M of one blocked task: most of a usual L2 cache."""
STAGED_BYTES = 24 * 1024 * 1024
"""V and M of one stage."""
KERNEL_BYTES = 1536 * 1024
"""A transformed kernel larger than this is not streamed once a block."""


class WinogradPlan:
    """Output of a convolution whose window is 3x3, stride 1, dilation 1, groups 1.

    With pooled=True the output is max_pool2d(relu(conv2d), 2), an odd last row or column
    dropped.  With transposed=True the kernel is (3, 3, filters, channels) and turned round:
    the input gradient.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int, int],
        filters: int,
        window: Window,
        *,
        pooled: bool = False,
        relu: bool = False,
        transposed: bool = False,
    ) -> None:
        images, height, width, channels = input_shape
        rows, columns = window.rows.output, window.columns.output
        side = 2 if pooled else 4
        out_rows, out_columns = (rows // 2, columns // 2) if pooled else (rows, columns)
        self._tile_rows, self._tile_columns = -(-out_rows // side), -(-out_columns // side)
        self._images = images
        self._transposed = transposed
        self._channels, self._filters = channels, filters
        dtype = np.dtype(np.float32)
        self._padded_channels = pad_channels(channels, dtype)
        self._padded_filters = pad_channels(filters, dtype)
        padded_width = 4 * self._tile_columns + 2
        top, left = window.rows.before, window.columns.before
        direct = (
            top == left == 0
            and padded_width <= width
            and 4 * self._tile_rows + 2 <= height
            # A tile loads whole vectors of channels, past the end of the image otherwise.
            and channels == self._padded_channels
        )
        self._strip = np.array(
            [height, width, channels, top, left, padded_width, int(direct)], np.int32
        )
        self._line = 0 if direct else padded_width * channels
        self._fields = np.array(
            [
                self._tile_rows,
                self._tile_columns,
                out_rows,
                out_columns,
                channels,
                filters,
                int(pooled),
                int(relu),
            ],
            np.int32,
        )
        self._scratch = Scratch(np.float32)

    def forward(
        self,
        x: np.ndarray,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        out: np.ndarray,
        winners: np.ndarray | None = None,
    ) -> None:
        """Write the output, and to `winners` which pixel of each pool window it came from."""
        threads = runtime.get_num_threads()
        size = POINTS * self._padded_filters * self._channels
        u = self._scratch("kernel", size)
        _kernels.transform_kernel(kernel, u, self._transposed, threads)
        start = self._scratch("bias", self._padded_filters)
        start[:] = 0
        if bias is not None:
            start[: bias.size] = bias
        run = self._run_staged if size * 4 > KERNEL_BYTES else self._run_blocked
        run(x, u, start, out, winners, threads)

    def _run_blocked(self, x, u, start, out, winners, threads):
        panel = min(2 * _lanes(), self._padded_filters)
        row = POINTS * self._tile_columns * 4 * (self._padded_channels + panel)
        rows = self._images * self._tile_rows
        fair = -(-rows // (3 * threads))
        block = max(1, min(BLOCK_BYTES // row, fair))
        tiles = block * self._tile_columns
        _kernels.blocked(
            x,
            u,
            start,
            out,
            winners,
            self._strip,
            self._fields,
            block,
            self._scratch("v", threads, _points(tiles * self._padded_channels)),
            self._scratch("m", threads, _points(tiles * panel)),
            self._strip_scratch(threads, block),
            threads,
        )

    def _run_staged(self, x, u, start, out, winners, threads):
        row = POINTS * self._tile_columns * 4 * (self._padded_channels + self._padded_filters)
        rows = self._images * self._tile_rows
        block = max(1, min(STAGED_BYTES // row, rows))
        # Stages of equal size, none with a handful of tiles.
        block = -(-rows // -(-rows // block))
        tiles = block * self._tile_columns
        _kernels.staged(
            x,
            u,
            start,
            out,
            winners,
            self._strip,
            self._fields,
            block,
            self._scratch("v", _points(tiles * self._padded_channels)),
            self._scratch("m", _points(tiles * self._padded_filters)),
            self._strip_scratch(threads, 1),
            threads,
        )

    def _strip_scratch(self, threads: int, rows: int) -> np.ndarray:
        size = (4 * min(rows, self._tile_rows) + 2) * self._line
        return self._scratch("strip", threads, size + _lanes())


def _points(size: int) -> int:
    return POINTS * (size + _kernels.SKEWED)


def _lanes() -> int:
    return runtime.kernels.conv.LANES["float32"]
