"""Pooling of fixed shapes."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from ..._core import runtime
from ..._core.geometry import pool2d_window
from .scratch import Scratch
from .structs import struct

_kernels = runtime.kernels.pool


class Pool2DPlan:
    """Pooling of an input of `input_shape`; `kind` is "max", "average" or "l2".

    With `relu_input`, max pooling's input is what a ReLU gave, and `backward` returns the
    gradient before the ReLU: nothing goes to a maximum that is not above 0.  Raises what
    `geometry.pool2d_window` raises, naming `owner`.
    """

    def __init__(
        self,
        kind: str,
        input_shape: tuple[int, int, int, int],
        *,
        pool_size: Any = 2,
        strides: Any = None,
        padding: Any = "valid",
        relu_input: bool = False,
        dtype: Any = np.float32,
        owner: str = "pool2d",
    ) -> None:
        rows, columns = pool2d_window(input_shape, pool_size, strides, padding, owner=owner)
        images, height, width, channels = input_shape
        self.output_shape = (images, rows.output, columns.output, channels)
        self.keeps_argmax = kind == "max" and rows.window * columns.window <= _kernels.MOST_ARGMAX
        """Whether `forward` can tell `backward` which pixels won, so that it needs no x."""
        self._kind = kind
        self._scratch = Scratch(dtype)
        self._fields = struct(
            "Pool",
            kind=_kernels.KINDS[kind],
            height=height,
            width=width,
            channels=channels,
            rows=rows.output,
            columns=columns.output,
            window_rows=rows.window,
            window_columns=columns.window,
            row_stride=rows.stride,
            column_stride=columns.stride,
            top=rows.before,
            left=columns.before,
            relu_input=relu_input,
        )

    def describe(self) -> dict[str, Any]:
        """Return the pooling, and how its gradient finds the pixels of x."""
        scattered = self._kind == "max" and not self.keeps_argmax
        return {
            "output": {"algorithm": self._kind},
            "input_gradient": {"algorithm": "scatter" if scattered else "tables"},
        }

    def forward(self, x: np.ndarray, out: np.ndarray, argmax: np.ndarray | None = None) -> None:
        """Write x pooled to `out`; `argmax` (uint8, like out) takes what `backward` can use."""
        if out.size:
            _kernels.pool(x, out, argmax, self._fields, runtime.get_num_threads())

    def backward(
        self,
        dy: np.ndarray,
        x: np.ndarray | None,
        dx: np.ndarray,
        argmax: np.ndarray | None = None,
    ) -> None:
        """Write the gradient of sum(dy * pooled x) to `dx`; x may be None if `argmax` is not."""
        if not dx.size:
            return
        threads, fields = runtime.get_num_threads(), self._fields
        if self._kind == "max" and not self.keeps_argmax:
            _kernels.max_scatter(dy, cast(np.ndarray, x), dx, fields, threads)
            return
        shares, norm = dy, None
        if self._kind == "max":
            if argmax is None:
                argmax = self._scratch("argmax", *self.output_shape, dtype=np.uint8)
                self.forward(
                    cast(np.ndarray, x), self._scratch("output", *self.output_shape), argmax
                )
        else:
            if self._kind == "l2":
                norm = self._scratch("output", *self.output_shape)
                self.forward(cast(np.ndarray, x), norm)
            shares = self._scratch("shares", *self.output_shape)
            if _kernels.shares(dy, norm, shares, fields, threads):
                norm = None
            else:
                shares = dy
        _kernels.pool_gradient(
            shares, argmax, norm, x if self._kind == "l2" else None, dx, fields, threads
        )
