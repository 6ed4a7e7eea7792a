"""Pooling of fixed shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import runtime
from ...geometry import pool2d_window

_kernels = runtime.kernels.pool


class Pool2DPlan:
    """Pooling of an input of `input_shape`; `kind` is "max", "average" or "l2".

    Raises what `geometry.pool2d_window` raises, naming `owner`.
    """

    def __init__(
        self,
        kind: str,
        input_shape: tuple[int, int, int, int],
        *,
        pool_size: Any = 2,
        strides: Any = None,
        padding: Any = "valid",
        dtype: Any = np.float32,
        owner: str = "pool2d",
    ) -> None:
        rows, columns = pool2d_window(input_shape, pool_size, strides, padding, owner=owner)
        images, height, width, channels = input_shape
        self.output_shape = (images, rows.output, columns.output, channels)
        self._fields = np.array(
            [
                _kernels.KINDS[kind],
                height,
                width,
                channels,
                rows.output,
                columns.output,
                rows.window,
                columns.window,
                rows.stride,
                columns.stride,
                rows.before,
                columns.before,
            ],
            np.int32,
        )

    def forward(self, x: np.ndarray, out: np.ndarray) -> None:
        """Write x pooled to `out`."""
        if out.size:
            _kernels.pool(x, out, self._fields, runtime.get_num_threads())

    def backward(self, dy: np.ndarray, x: np.ndarray, dx: np.ndarray) -> None:
        """Write the gradient of sum(dy * pooled x) to `dx`."""
        if dx.size:
            _kernels.pool_gradient(dy, x, dx, self._fields, runtime.get_num_threads())
