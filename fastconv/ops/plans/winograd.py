"""Convolutions and their gradients by Winograd's algorithm, of fixed shapes.

When it is worth it is decided in `choice`; how it works is told in the kernel's source.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._core import runtime
from ..._core.geometry import Shape
from .caches import L2
from .decomposition import ALPHA, POINTS, KernelDecomposition
from .packing import PackedKernel, pad_channels, padded_bias
from .scratch import temporary
from .structs import padded_image, struct

_kernels = runtime.kernels.winograd
_gradient_kernels = runtime.kernels.winograd_gradient

SKEW = _kernels.SKEWED
LINES_BYTES = L2 // 16
"""Lines of an input transform half done."""
BLOCK_BYTES = L2 // 2
"""V and M of one blocked task."""
PASS_BYTES = 24 * 1024 * 1024
"""V and M of one pass; or V and Z of the kernel gradient's, whose sums it groups."""
KERNEL_BYTES = 5 * 1024 * 1024
"""A transformed kernel larger than this is not streamed once a block, unless V and M are larger
still.  Measured on a Zen 4: up to 7 MB took 0.65 to 1.1 of the time so, about 0.8, and 19 MB 1.0 to
2.3."""
GRADIENT_PASS_BYTES = 4 * 1024 * 1024
"""V and Z of one pass of the kernel gradient, or as much as the dU that each pass adds to; fixed,
as passes are groups of sums."""
PANEL_BYTES = 18 * 1024
"""A panel of Z that every channel's V passes by, in an L1 cache; fixed, as it groups sums."""
TOGETHER_BYTES = L2 // 8
"""dU of one task, where all points are computed together."""


class Tiling:
    """How a kernel walks the tiles of an output: 4x4 pixels each, 2x2 of them where it pools, under
    3x3 kernels; see `decomposition` for others.

    With pooled=True the output is max_pool2d(relu(conv2d), 2), an odd last row or column
    dropped; with `limit` above 0 it is clipped to 0 ... limit.
    """

    def __init__(
        self,
        input_shape: Shape,
        filters: int,
        scheme: KernelDecomposition,
        *,
        pooled: bool = False,
        limit: float = 0.0,
    ) -> None:
        self._scheme = scheme
        _, height, width, channels = input_shape
        shrink = 2 if pooled else 1
        side = scheme.m // shrink
        grid, output = (
            tuple(size // shrink for size in pair) for pair in (scheme.grid, scheme.output)
        )
        self.rows, self.columns = (-(-size // side) for size in grid)
        # Half a tile or less is left, which has fewer points.
        is_short = [scheme.m == 4 and 0 < size % side <= side // 2 for size in grid]
        padded_width, part = scheme.span(self.columns), scheme.kernel_channels(channels)
        direct = (
            scheme.before == (0, 0)
            and padded_width <= width
            and scheme.span(self.rows) <= height
            # A tile loads whole vectors of channels, past the end of the image otherwise.
            and part == _padded(part)
        )
        self.image = padded_image((height, width, channels), scheme.before, padded_width, direct)
        fitting = LINES_BYTES // (4 * ALPHA * channels) - scheme.span(0)
        self.band = max(1, min(self.columns, fitting // (scheme.stride * scheme.m)))
        self.band_size = ALPHA * (scheme.span(self.band) * channels + SKEW)
        #: Values of the copy that one row of tiles reads, if it is not read in place.
        self.copy_size = 0 if direct else scheme.span(1) * padded_width * channels
        #: Values of a tile in V, with room for the last part's last vector.
        self.values = scheme.groups * _padded(scheme.depth(channels) - part + _padded(part))
        self.fields = struct(
            "Tiles",
            rows=self.rows,
            columns=self.columns,
            out_rows=output[0],
            out_columns=output[1],
            channels=part,
            filters=filters // scheme.groups,
            pooled=pooled,
            limit=limit,
            band=self.band,
            short_row=is_short[0],
            short_column=is_short[1],
            m=scheme.m,
            stride=scheme.stride,
            row_kernels=scheme.kernels,
            column_kernels=scheme.column_kernels,
            offset=scheme.offset,
            targets=scheme.targets,
            groups=scheme.groups,
        )

    def describe(self) -> dict[str, Any]:
        """Return the transform and the grid of tiles."""
        m, r, kernels = self._scheme.m, self._scheme.r, self._scheme.kernels**2
        return {"transform": f"F({m}x{m}, {r}x{r})", "tiles": (self.rows, self.columns)} | {
            "sub_kernels": kernels,
            "targets": self._scheme.targets**2,
        }


def by_passes(kernel_bytes: int, block_tiles: int, inputs: int, outputs: int) -> bool:
    """Whether going by passes moves less through memory: V and M of so many values a tile are
    written and read once, and the transformed kernel is not read once a block of tiles."""
    tile = 4 * POINTS * (inputs + outputs)
    return kernel_bytes > KERNEL_BYTES and kernel_bytes > block_tiles * 2 * tile


class WinogradPlan:
    """Output of a convolution, or the input gradient of one, as `scheme` tells.

    The options are those of `Tiling`.
    """

    def __init__(
        self, input_shape: Shape, filters: int, scheme: KernelDecomposition, **options: Any
    ) -> None:
        images, _, _, channels = input_shape
        self._tiles = Tiling(input_shape, filters, scheme, **options)
        self._rows = images * self._tiles.rows
        padded = _padded(filters // scheme.groups)
        self._outputs = scheme.outputs(filters)
        self._panel = min(2 * _lanes(), padded)
        #: The last group's vectors may end behind all filters.
        self._bias_size = filters + padded
        self._scratch = temporary(np.float32)
        self._orders: dict[int, tuple[bool, int, int, int]] = {}  # by the number of threads
        self._kernel_size = scheme.sets * _points(padded * scheme.depth(channels))
        self._kernel = PackedKernel(self._kernel_size, np.dtype(np.float32))
        inputs, outputs = (filters, channels) if scheme.rotated else (channels, filters)
        self._scheme = struct(
            "KernelDecomposition",
            rows=scheme.kernel[0],
            columns=scheme.kernel[1],
            inputs=inputs // scheme.groups,
            outputs=outputs,
            groups=scheme.groups,
            channels=channels // scheme.groups,
            filters=filters // scheme.groups,
            transposed=scheme.rotated,
            r=scheme.r,
            kernels=scheme.targets if scheme.targets > 1 else scheme.kernels,
            first_row=scheme.first[0],
            first_column=scheme.first[1],
            kernel_step=scheme.kernel_step,
            tap_step=scheme.tap_step,
            targets=scheme.targets > 1,
        )

    def forward(
        self,
        x: np.ndarray,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        out: np.ndarray,
        argmax: np.ndarray | None = None,
    ) -> None:
        """Write the output, and to `argmax` which pixel of each pool window it came from."""
        threads = runtime.get_num_threads()
        u = self._kernel(kernel, self._transform)
        start = padded_bias(self._scratch, bias, self._bias_size)
        order = self._orders.get(threads)
        if order is None:
            order = self._orders[threads] = self._order(threads)
        passes, block, of_v, of_m = order
        # Threads share V and M, of all filters, in a pass, and have a block's for themselves.
        if passes:
            v, m = self._scratch("v", of_v), self._scratch("m", of_m)
        else:
            v = self._scratch.rows("v", threads, of_v)
            m = self._scratch.rows("m", threads, of_m)
        compute = _kernels.in_passes if passes else _kernels.blocked
        compute(
            x,
            u,
            start,
            out,
            argmax,
            self._tiles.image,
            self._tiles.fields,
            block,
            v,
            m,
            self._scratch.rows("lines", threads, self._tiles.band_size),
            threads,
        )

    def _order(self, threads: int) -> tuple[bool, int, int, int]:
        """Return whether it goes by passes, the rows of tiles of each, and the sizes of V and M."""
        passes = self._goes_by_passes(threads)
        block = self._pass_rows() if passes else self._block_rows(threads)
        tiles = block * self._tiles.columns
        width = self._outputs if passes else self._panel
        return passes, block, _points(tiles * self._tiles.values), _points(tiles * width)

    def _goes_by_passes(self, threads: int) -> bool:
        """Whether few rows of tiles would not share out evenly, or `by_passes` is less to move."""
        sizes = (self._block_rows(threads) * self._tiles.columns, self._tiles.values)
        return self._rows < 4 * threads or by_passes(4 * self._kernel_size, *sizes, self._outputs)

    def input_gradient(self, dy: np.ndarray, kernel: np.ndarray, dx: np.ndarray) -> None:
        """Write the input gradient, where the kernel is rotated for one."""
        self.forward(dy, kernel, None, dx)

    def describe(self) -> dict[str, Any]:
        """Return the tiles, and whether they go by blocks or by passes, with how many rows."""
        threads = runtime.get_num_threads()
        blocked = not self._goes_by_passes(threads)
        rows = self._block_rows(threads) if blocked else self._pass_rows()
        return self._tiles.describe() | {"order": "blocks" if blocked else "passes", "rows": rows}

    def _transform(self, kernel: np.ndarray, u: np.ndarray) -> None:
        threads = runtime.get_num_threads()
        _kernels.transform_kernel(kernel, u, self._scheme, threads)

    def _block_rows(self, threads: int) -> int:
        """Return the rows of tiles of a block, of which each thread gets three at least."""
        row = POINTS * self._tiles.columns * 4 * (self._tiles.values + self._panel)
        fair = -(-self._rows // (3 * threads))
        return max(1, min(BLOCK_BYTES // row, fair))

    def _pass_rows(self) -> int:
        """Return the rows of tiles of a pass: all of equal size, none with a handful of tiles."""
        row = POINTS * self._tiles.columns * 4 * (self._tiles.values + self._outputs)
        block = max(1, min(PASS_BYTES // row, self._rows))
        return -(-self._rows // -(-self._rows // block))


class WinogradKernelGradientPlan:
    """dkernel and dbias of a convolution whose kernel `scheme` decomposes."""

    def __init__(self, input_shape: Shape, filters: int, scheme: KernelDecomposition) -> None:
        images, channels = input_shape[0], input_shape[3]
        self._tiles = Tiling(input_shape, filters, scheme)
        self._rows = images * self._tiles.rows
        self._channels, self._filters = scheme.inputs(channels), scheme.outputs(filters)
        columns, lanes = self._tiles.columns, _lanes()
        panel = _gradient_kernels.OUTER * lanes
        self._block_tiles = max(1, PANEL_BYTES // (4 * panel))
        row = POINTS * columns * 4 * (self._channels + self._filters)
        of_group = self._filters // scheme.groups
        gradient = POINTS * 4 * self._channels * of_group
        most = min(max(GRADIENT_PASS_BYTES, gradient), PASS_BYTES)
        # With few tiles a sum is short: it had better not go through memory 36 times.
        together = self._rows * columns <= self._block_tiles and self._rows * row <= PASS_BYTES
        passes = 1 if together else -(-self._rows // max(1, most // row))
        self._block = -(-self._rows // passes)
        tiles = self._block * columns
        vectors = max(1, TOGETHER_BYTES // (4 * POINTS * panel * lanes)) if together else 0
        self._together = min(vectors, self._channels // scheme.groups // lanes)
        self._v = _points(tiles * self._channels)
        self._z = _points(tiles * self._filters)
        width = (self._together * lanes, panel) if together else (self._channels, of_group)
        self._du = _points(width[0] * width[1])
        self._scratch = temporary(np.float32)

    def describe(self) -> dict[str, Any]:
        """Return the tiles, the rows of them in a pass, and dU's vectors where a task keeps it."""
        sizes = {"rows": self._block, "vectors_together": self._together}
        return self._tiles.describe() | sizes

    def kernel_gradient(
        self, dy: np.ndarray, x: np.ndarray, dkernel: np.ndarray, dbias: np.ndarray | None
    ) -> None:
        """Write the gradients; dbias may be None."""
        threads = runtime.get_num_threads()
        _gradient_kernels.kernel_gradient(
            x,
            dy,
            self._tiles.image,
            self._tiles.fields,
            self._block,
            self._block_tiles,
            self._together,
            self._scratch("v", self._v),
            self._scratch("z", self._z),
            self._scratch.rows("du", threads if self._together else 1, self._du),
            self._scratch("sums", self._rows, self._filters),
            self._scratch.rows("rows of x", threads, self._tiles.copy_size + _lanes()),
            dkernel,
            dbias,
            threads,
        )


def _points(size: int) -> int:
    return POINTS * (size + SKEW)


def _padded(channels: int) -> int:
    return pad_channels(channels, np.dtype(np.float32))


def _lanes() -> int:
    return runtime.kernels.conv.LANES["f"]
