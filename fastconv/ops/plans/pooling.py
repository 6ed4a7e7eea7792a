"""Pooling of fixed shapes."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from ..._core import runtime
from ..._core.geometry import Axis, Window, pool2d_window
from ..._core.validation import truth
from .dilated_pooling import phases_of
from .scratch import Scratch
from .structs import struct


class Pool2DPlan:
    """Pooling of an input of `input_shape`; `kind` is "max", "average" or "l2".

    With `relu_input`, max pooling's input is what a ReLU gave, and `backward` returns the
    gradient before the ReLU: nothing goes to a maximum that is not above 0.  With
    `count_include_pad` an average counts the padding as zeros, but not what lies behind it, which
    windows reach with `ceil_mode`.  Windows with a dilation are pooled by phases: those whose
    pixels are of the same rows and columns, modulo the dilation, are windows without one.  Raises
    what `geometry.pool2d_window` raises, naming `owner`.
    """

    #: With padding that is counted: of each window, the share of its places that are pixels.
    _counted: np.ndarray | None = None
    #: With a dilation: pixels of x, outputs, and the plan of these.
    _phases: list[tuple[Any, Any, Pool2DPlan]] | None = None

    def __init__(
        self,
        kind: str,
        input_shape: tuple[int, int, int, int],
        *,
        pool_size: Any = 2,
        strides: Any = None,
        padding: Any = "valid",
        dilation_rate: Any = 1,
        ceil_mode: bool = False,
        count_include_pad: bool = False,
        relu_input: bool = False,
        dtype: Any = np.float32,
        owner: str = "pool2d",
    ) -> None:
        window = pool2d_window(
            input_shape, pool_size, strides, padding, dilation_rate, ceil_mode, owner=owner
        )
        counts = truth(count_include_pad, "count_include_pad", owner) and kind == "average"
        self._lay_out(kind, input_shape, window, relu_input, np.dtype(dtype))
        if counts and window.padded:
            self._counted = _counted(window, np.dtype(dtype))
        if window.rows.dilation > 1 or window.columns.dilation > 1:
            self._phases = [
                (source, target, Pool2DPlan.of_window(kind, shape, part, relu_input, dtype))
                for source, target, shape, part in phases_of(window, input_shape)
            ]

    @classmethod
    def of_window(
        cls,
        kind: str,
        input_shape: tuple[int, int, int, int],
        window: Window,
        relu_input: bool,
        dtype: Any,
    ) -> Pool2DPlan:
        """Return the plan of a window without dilation, each of whose places holds a pixel."""
        plan = cls.__new__(cls)
        plan._lay_out(kind, input_shape, window, relu_input, np.dtype(dtype))
        return plan

    def _lay_out(
        self,
        kind: str,
        input_shape: tuple[int, int, int, int],
        window: Window,
        relu_input: bool,
        dtype: np.dtype,
    ) -> None:
        rows, columns = window
        images, height, width, channels = input_shape
        self._input_shape = input_shape
        self.output_shape = (images, rows.output, columns.output, channels)
        self._kernels = runtime.kernels_of(dtype).pool
        most = self._kernels.MOST_ARGMAX
        self.keeps_argmax = kind == "max" and rows.window * columns.window <= most
        """Whether `forward` can tell `backward` which pixels won, so that it needs no x."""
        self._kind = kind
        self._scratch = Scratch(dtype)
        self._fields = struct(
            "Pool",
            kind=self._kernels.KINDS[kind],
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
        described: dict[str, Any] = {
            "output": {"algorithm": self._kind},
            "input_gradient": {"algorithm": "scatter" if scattered else "tables"},
        }
        if self._phases is not None:
            described["output"]["phases"] = len(self._phases)
        return described

    def forward(self, x: np.ndarray, out: np.ndarray, argmax: np.ndarray | None = None) -> None:
        """Write x pooled to `out`; `argmax` (uint8, like out) takes what `backward` can use."""
        if not out.size:
            return
        if self._phases is None:
            self._kernels.pool(x, out, argmax, self._fields, runtime.get_num_threads())
        else:
            for source, target, plan in self._phases:
                part = plan._part("y", plan.output_shape)
                places = None
                if argmax is not None:
                    places = plan._part("argmax of y", plan.output_shape, np.uint8)
                plan.forward(plan._copied("x", x[source]), part, places)
                out[target] = part
                if argmax is not None:
                    argmax[target] = places
        if self._counted is not None:
            np.multiply(out, self._counted, out=out)

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
        if self._counted is not None:
            dy = np.multiply(dy, self._counted, out=self._part("counted dy", self.output_shape))
        if self._phases is None:
            self._gradient(dy, x, dx, argmax)
            return
        dx.fill(0)
        for source, target, plan in self._phases:
            part = plan._part("dx", plan._input_shape)
            plan._gradient(
                plan._copied("dy", dy[target]),
                None if x is None else plan._copied("x", x[source]),
                part,
                None if argmax is None else plan._copied("argmax of y", argmax[target]),
            )
            dx[source] = part

    def _gradient(
        self, dy: np.ndarray, x: np.ndarray | None, dx: np.ndarray, argmax: np.ndarray | None
    ) -> None:
        threads, fields = runtime.get_num_threads(), self._fields
        if self._kind == "max" and not self.keeps_argmax:
            self._kernels.max_scatter(dy, cast(np.ndarray, x), dx, fields, threads)
            return
        shares, norm = dy, None
        if self._kind == "max":
            if argmax is None:
                argmax = self._part("argmax", self.output_shape, np.uint8)
                output = self._part("output", self.output_shape)
                self._kernels.pool(cast(np.ndarray, x), output, argmax, fields, threads)
        else:
            if self._kind == "l2":
                norm = self._part("output", self.output_shape)
                self._kernels.pool(cast(np.ndarray, x), norm, None, fields, threads)
            shares = self._part("shares", self.output_shape)
            if self._kernels.shares(dy, norm, shares, fields, threads):
                norm = None
            else:
                shares = dy
        self._kernels.pool_gradient(
            shares, argmax, norm, x if self._kind == "l2" else None, dx, fields, threads
        )

    def _part(self, name: str, shape: tuple[int, ...], dtype: Any = None) -> np.ndarray:
        return self._scratch(name, *shape, dtype=dtype)

    def _copied(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return every so many-th pixel as the kernels read it."""
        part = self._part(name, values.shape, values.dtype)
        part[...] = values
        return part


def _counted(window: Window, dtype: np.dtype) -> np.ndarray:
    """Return (rows, columns, 1): the share of a window's places in the padded image in the image.

    Places behind the padding are neither.
    """
    rows, columns = (
        _places(axis, 0, axis.size) / _places(axis, -axis.before, axis.size + axis.after)
        for axis in window
    )
    shares: np.ndarray = np.multiply.outer(rows, columns)[..., np.newaxis].astype(dtype)
    return shares


def _places(axis: Axis, first: int, last: int) -> np.ndarray:
    """Return of each of the axis's windows how many places are in [first, last)."""
    starts = np.arange(axis.output, dtype=np.int64) * axis.stride - axis.before
    below, reached = (
        np.clip(-((starts - end) // axis.dilation), 0, axis.window) for end in (first, last)
    )
    counts: np.ndarray = reached - below
    return counts
