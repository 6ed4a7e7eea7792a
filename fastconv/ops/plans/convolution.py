"""Convolution of fixed shapes: output, input gradient, kernel gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._core.geometry import conv2d_window
from .choice import (
    AnyKernelGradientPlan,
    depthwise,
    kernel_gradient,
    overlapping_input_gradient,
    winograd_input_gradient,
    winograd_output,
)
from .direct import DirectPlan
from .gather import taps_of, transposed_taps_of
from .packing import PackedKernel
from .scratch import Scratch


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
        self._scratch = Scratch(dtype)
        self._forward = DirectPlan(
            images,
            tuple(source),
            target,
            taps_of(window.rows),
            taps_of(window.columns),
            kernel_shape,
            self._groups,
            self._scratch,
            self._dtype,
            grid=target[:2],
            strides=(window.rows.stride, window.columns.stride),
            relu=relu,
        )
        # By direction, None where the general kernels are faster.
        self._grouped = depthwise(
            input_shape, kernel_shape, window, self._groups, self._dtype, relu=relu
        )
        self._winograd = None
        if self._grouped.output is None:
            self._winograd = winograd_output(
                input_shape, kernel_shape[3], window, self._groups, self._dtype, relu=relu
            )
        # The output's; in training the input gradient finds another kernel at each call.
        self._packed = PackedKernel(self._forward.packed_size, self._dtype)
        self._phases = self._winograd_gradient = self._overlapping = self._product = None
        self._window = window
        self._source = tuple(source)

    def forward(
        self, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, out: np.ndarray
    ) -> None:
        """Write [relu](conv2d(x, kernel) + bias) to `out`."""
        if not out.size:
            return
        if self._grouped.output is not None:
            self._grouped.output.forward(x, kernel, bias, out)
            return
        if self._winograd is not None:
            self._winograd.forward(x, kernel, bias, out)
            return
        start = self._scratch("bias", self._forward.padded)
        start[:] = 0
        if bias is not None:
            by_group = bias.reshape(self._groups, -1)
            start.reshape(self._groups, -1)[:, : by_group.shape[1]] = by_group
        self._forward.run(x, self._packed(kernel, self._forward.pack), start, out)

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
        start = self._scratch("zeros", max(phase.padded for phase in self._phases))
        start[:] = 0
        for phase in self._phases:
            packed = self._scratch("packed", phase.packed_size)
            phase.pack(kernel, packed)
            phase.run(dy, packed, start, dx)

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
            DirectPlan(
                self._images,
                self.output_shape[1:],
                self._source,
                row_taps,
                column_taps,
                self._kernel_shape,
                self._groups,
                self._scratch,
                self._dtype,
                transposed=True,
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
