"""3x3 convolution of stride 1 and its kernel gradient by Winograd's F(4x4, 3x3), few channels.

When it is worth it is decided in `choice`; how it works is told in the kernel's source.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._core import runtime
from ..._core.geometry import Shape
from .decomposition import POINTS, KernelDecomposition
from .packing import PackedKernel, pad_channels, padded_bias
from .scratch import Scratch
from .winograd import SKEW, Tiling

_kernels = runtime.kernels.winograd_narrow

SPLIT_K = 32
"""Of the kernel gradient, summed by themselves: more than threads, fewer than rows of tiles."""
TASK_TILES = 16
"""Of one task, about, in whole rows: fetching the next one takes the time of a part of a tile."""


class WinogradNarrowPlan:
    """Output and kernel gradient of a convolution: window 3x3, stride 1, dilation 1, groups 1.

    The options are those of `Tiling`.
    """

    def __init__(
        self, input_shape: Shape, filters: int, scheme: KernelDecomposition, **options: Any
    ) -> None:
        images, _, _, channels = input_shape
        self._tiles = Tiling(input_shape, filters, scheme, **options)
        self._rows = images * self._tiles.rows
        self._channels = channels
        dtype = np.dtype(np.float32)
        self._scratch = Scratch(dtype)
        self._padded_filters = pad_channels(filters, dtype)
        self._lines = 6 * ((4 * self._tiles.columns + 2) * channels + SKEW)
        self._v = self._tiles.columns * POINTS * -(-channels // 4) * 4
        size = POINTS * channels * self._padded_filters
        self._kernel = PackedKernel(size, dtype)

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
        start = padded_bias(self._scratch, bias, self._padded_filters)
        _kernels.forward(
            x,
            self._kernel(kernel, _kernels.transform_kernel),
            start,
            out,
            argmax,
            self._tiles.image,
            self._tiles.fields,
            max(1, min(TASK_TILES // self._tiles.columns, self._rows // (4 * threads))),
            self._scratch.rows("lines", threads, self._lines),
            self._scratch.rows("v", threads, self._v),
            threads,
        )

    def describe(self) -> dict[str, Any]:
        """Return the tiles, and the split-k sums of the kernel gradient."""
        return self._tiles.describe() | {"split_k": min(SPLIT_K, self._rows)}

    def kernel_gradient(
        self, dy: np.ndarray, x: np.ndarray, dkernel: np.ndarray, dbias: np.ndarray | None
    ) -> None:
        """Write the gradients for dy at the output, which is not pooled; dbias may be None."""
        threads = runtime.get_num_threads()
        parts = min(SPLIT_K, self._rows)
        _kernels.kernel_gradient(
            x,
            dy,
            self._tiles.image,
            self._tiles.fields,
            self._scratch.rows("lines", threads, self._lines),
            self._scratch.rows("v", threads, self._v),
            self._scratch.rows(
                "z", threads, POINTS * _kernels.HANDFUL_TILES * self._padded_filters
            ),
            self._scratch("du", parts, POINTS * self._channels * self._padded_filters),
            self._scratch("sums", parts, self._padded_filters),
            dkernel,
            dbias,
            parts,
            threads,
        )
