"""Convolution of fixed shapes: output, input gradient, kernel gradient."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ... import runtime
from ...geometry import conv2d_window
from .choice import (
    AnyKernelGradientPlan,
    by_position,
    depthwise,
    dot_products,
    kernel_gradient,
    overlapping_input_gradient,
    winograd_input_gradient,
    winograd_output,
)
from .gather import Gather, Taps, plan_gather, run_of, taps_of, transposed_taps_of
from .packing import PackedKernel, kernels_for, pad_channels
from .positions import PositionsPlan
from .scratch import Scratch


class _Direct(NamedTuple):
    """A gather, and the plan of it where tiles had better span images."""

    gather: Gather
    positions: PositionsPlan | None


class Conv2DPlan:
    """conv2d of an input of `input_shape` with a kernel of `kernel_shape`.

    With relu=True the output is max(conv2d, 0); `backward` takes the gradient before it.
    Raises what `geometry.conv2d_window` raises, naming `owner`.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int, int],
        kernel_shape: tuple[int, int, int, int],
        *,
        strides: Any = 1,
        padding: Any = "valid",
        dilation_rate: Any = 1,
        groups: int = 1,
        relu: bool = False,
        dtype: Any = np.float32,
        owner: str = "conv2d",
    ) -> None:
        window, self._groups = conv2d_window(
            input_shape, kernel_shape, strides, padding, dilation_rate, groups, owner=owner
        )
        images, *source = input_shape
        target = (window.rows.output, window.columns.output, kernel_shape[3])
        self.output_shape = (images, *target)
        self._images = images
        self._dtype = np.dtype(dtype)
        self._kernel_shape = kernel_shape
        #: Multiply-adds, in either direction.
        self._work = math.prod(self.output_shape) * math.prod(kernel_shape[:3])
        self._scratch = Scratch(dtype)
        self._forward = self._direct(
            tuple(source),
            target,
            taps_of(window.rows),
            taps_of(window.columns),
            grid=target[:2],
            strides=(window.rows.stride, window.columns.stride),
            relu=relu,
        )
        self._winograd = winograd_output(
            input_shape, kernel_shape[3], window, self._groups, self._dtype, relu=relu
        )
        # By direction, None where the general kernels are faster.
        self._grouped = depthwise(
            input_shape, kernel_shape, window, self._groups, self._dtype, relu=relu
        )
        # The output's; in training the input gradient finds another kernel at each call.
        self._packed = PackedKernel(
            self._packed_size(self._forward.gather, transposed=False), self._dtype
        )
        self._phases = self._winograd_gradient = self._overlapping = self._product = None
        self._window = window
        self._source = tuple(source)

    def forward(
        self, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, out: np.ndarray
    ) -> None:
        """Write [relu](conv2d(x, kernel) + bias) to `out`."""
        if not out.size:
            return
        if self._winograd is not None:
            self._winograd.forward(x, kernel, bias, out)
            return
        if self._grouped.output is not None:
            self._grouped.output.forward(x, kernel, bias, out)
            return
        filters = self._kernel_shape[3] // self._groups
        padded = pad_channels(filters, self._dtype, self._forward.gather.kernels)
        start = self._scratch("bias", self._groups * padded)
        start[:] = 0
        if bias is not None:
            by_group = start.reshape(self._groups, padded)
            by_group[:, :filters] = bias.reshape(self._groups, filters)
        self._gather(self._forward, x, kernel, start, out, transposed=False)

    def backward(
        self,
        dy: np.ndarray,
        x: np.ndarray,
        kernel: np.ndarray,
        dx: np.ndarray | None,
        dkernel: np.ndarray,
        dbias: np.ndarray | None,
    ) -> None:
        """Write the gradients of sum(dy * conv2d(x, kernel, bias)); dx and dbias may be None."""
        if not dy.size:
            for gradient in (dx, dkernel, dbias):
                if gradient is not None:
                    gradient.fill(0)
            return
        self._kernel_gradient(dy, x, dkernel, dbias)
        if dx is not None:
            self._input_gradient(dy, kernel, dx)

    def _input_gradient(self, dy: np.ndarray, kernel: np.ndarray, dx: np.ndarray) -> None:
        if self._grouped.input_gradient is not None:
            self._grouped.input_gradient.input_gradient(dy, kernel, dx)
            return
        if self._phases is None:
            self._plan_input_gradient()
        if self._winograd_gradient is not None:
            self._winograd_gradient.forward(dy, kernel, None, dx)
            return
        if self._overlapping is not None:
            self._overlapping.input_gradient(dy, kernel, dx)
            return
        padded = self._groups * pad_channels(self._kernel_shape[2], self._dtype)
        start = self._scratch("zeros", padded)
        start[:] = 0
        for phase in self._phases:
            self._gather(phase, dy, kernel, start, dx, transposed=True)

    def _gather(
        self,
        direct: _Direct,
        source: np.ndarray,
        kernel: np.ndarray,
        start: np.ndarray,
        target: np.ndarray,
        *,
        transposed: bool,
    ) -> None:
        gather, threads = direct.gather, runtime.threads_for(self._work)
        columns = self._kernel_shape[2] if transposed else self._kernel_shape[3] // self._groups
        if transposed:
            packed = self._scratch("packed", self._packed_size(gather, transposed=True))
            self._pack_for(gather, kernel, packed, transposed=True)
        else:
            packed = self._packed(kernel, self._pack)
        if direct.positions is not None:
            direct.positions.run(source, packed, start, target)
            return
        rows = gather.strip_rows(self._images, threads, self._dtype.itemsize)
        strips = self._images * -(-gather.rows // rows)
        panels = self._groups * -(-columns // (2 * pad_channels(1, self._dtype, gather.kernels)))
        splits = gather.splits(strips, panels, threads)
        stage_pixels = 0 if splits > 1 else gather.stage_pixels(self._dtype.itemsize)
        gather.kernels.conv.gather(
            source,
            packed,
            start,
            target,
            gather.run_offset,
            gather.run_row,
            gather.strip,
            gather.grid,
            rows,
            splits,
            self._scratch.rows("strip", threads, gather.scratch_size(rows)),
            self._scratch.rows("stage", threads, stage_pixels * gather.channels),
            stage_pixels,
            threads,
        )

    def _direct(
        self,
        source: tuple[int, int, int],
        target: tuple[int, int, int],
        row_taps: Taps,
        column_taps: Taps,
        **options: Any,
    ) -> _Direct:
        """Plan a gather, its vectors along what is cheaper and of the level that they fill."""
        run = run_of(column_taps, source[2], self._groups)
        values = len(row_taps) * len(column_taps) * source[2] // self._groups
        outputs = target[2] // self._groups
        dots = dot_products(outputs, run, values // run, self._dtype)
        gather = plan_gather(
            source,
            target,
            row_taps,
            column_taps,
            groups=self._groups,
            dots=dots,
            kernels=runtime.kernels if dots else kernels_for(outputs, self._dtype),
            **options,
        )
        return _Direct(gather, by_position(gather, self._images, self._dtype))

    def _pack(self, kernel: np.ndarray, packed: np.ndarray) -> None:
        self._pack_for(self._forward.gather, kernel, packed, transposed=False)

    def _pack_for(
        self, gather: Gather, kernel: np.ndarray, packed: np.ndarray, *, transposed: bool
    ) -> None:
        if gather.dots:
            gather.kernels.conv.pack_dots(kernel, packed, gather.taps, self._groups, transposed)
        else:
            threads = runtime.threads_for(kernel.size)
            gather.kernels.conv.pack(kernel, packed, gather.taps, self._groups, transposed, threads)

    def _packed_size(self, gather: Gather, *, transposed: bool) -> int:
        columns = self._kernel_shape[2] if transposed else self._kernel_shape[3] // self._groups
        depth = self._kernel_shape[3] // self._groups if transposed else self._kernel_shape[2]
        padded = pad_channels(columns, self._dtype, gather.kernels)
        return self._groups * padded * len(gather.taps) * depth

    def _kernel_gradient(
        self, dy: np.ndarray, x: np.ndarray, dkernel: np.ndarray, dbias: np.ndarray | None
    ) -> None:
        if self._grouped.kernel_gradient is not None:
            self._grouped.kernel_gradient.kernel_gradient(dy, x, dkernel, dbias)
            return
        if self._product is None:
            self._product = self._plan_kernel_gradient()
        self._product.kernel_gradient(dy, x, dkernel, dbias)

    def _plan_kernel_gradient(self) -> AnyKernelGradientPlan:
        return kernel_gradient(
            (self._images, *self._source),
            self._kernel_shape,
            self._window,
            self._groups,
            self._dtype,
        )

    def _plan_input_gradient(self) -> None:
        self._winograd_gradient = winograd_input_gradient(
            self.output_shape, self._source[2], self._window, self._groups, self._dtype
        )
        self._overlapping = overlapping_input_gradient(
            (self._images, *self._source),
            self._kernel_shape,
            self._window,
            self._groups,
            self._dtype,
        )
        self._phases = []
        if self._winograd_gradient is None and self._overlapping is None:
            self._plan_phases()

    def _plan_phases(self) -> None:
        """Plan dx: with strides (s, t), s x t grids of inputs, each of stride 1 over dy.

        Grids that no output reads, as those between a 1x1 kernel's strides, are cleared with the
        first that is.
        """
        rows, columns = self._window
        taps = [
            (top, left, transposed_taps_of(rows, top), transposed_taps_of(columns, left))
            for top in range(min(rows.stride, rows.size))
            for left in range(min(columns.stride, columns.size))
        ]
        reached = [phase for phase in taps if phase[2] and phase[3]]
        phases = reached or taps
        self._phases = [
            self._direct(
                self.output_shape[1:],
                self._source,
                row_taps,
                column_taps,
                grid=(
                    -(-(rows.size - top) // rows.stride),
                    -(-(columns.size - left) // columns.stride),
                ),
                target_start=(top, left),
                target_step=(rows.stride, columns.stride),
                clears=number == 0 and len(phases) < len(taps),
            )
            for number, (top, left, row_taps, column_taps) in enumerate(phases)
        ]
