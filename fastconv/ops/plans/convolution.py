"""Convolution of fixed shapes: output, input gradient, kernel gradient."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ..._core import runtime
from ..._core.geometry import conv2d_window
from . import choice
from .depthwise import DepthwisePlan
from .direct import DirectPlan
from .direct_tables import taps_of, transposed_taps_of
from .packing import PackedKernel
from .scratch import Scratch, constant, current_pool, sharing
from .select import Choice, Problem, wanted

_affine = runtime.kernels.normalization.affine
_lanes = runtime.kernels.conv.LANES["f"]


class Conv2DPlan:
    """conv2d of an input of `input_shape` with a kernel of `kernel_shape`.

    With `limit` above 0 the output is clipped to 0 ... limit, inf for a ReLU; `backward` takes the
    gradient before it.  With `transposed_limit` so is what `input_gradient` gives, as a
    transposed convolution's output.
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
        limit: float = 0.0,
        transposed_limit: float = 0.0,
        dtype: Any = np.float32,
        owner: str = "conv2d",
    ) -> None:
        window, groups = conv2d_window(
            input_shape, kernel_shape, strides, padding, dilation_rate, groups, owner=owner
        )
        dtype = np.dtype(dtype)
        self._problem = Problem(input_shape, kernel_shape, window, groups, dtype)
        target = (window.rows.output, window.columns.output, kernel_shape[3])
        self.output_shape = (input_shape[0], *target)
        self._scratch = Scratch(dtype)
        self._transposed_limit = transposed_limit
        self._wanted = wanted()
        self._pool = current_pool()  # of the gradients' parts, too, which are made when needed
        #: The three directions of a convolution in groups, where others may be faster.
        self._planes = None
        if groups > 1:
            self._planes = DepthwisePlan(self._problem, limit=limit)
        self._forward = DirectPlan(
            input_shape[0],
            input_shape[1:],
            target,
            taps_of(window.rows),
            taps_of(window.columns),
            kernel_shape,
            groups,
            self._scratch,
            dtype,
            wanted=self._wanted.get("output"),
            grid=target[:2],
            strides=(window.rows.stride, window.columns.stride),
            limit=limit,
        )
        self._output = choice.output(
            self._problem, self._planes, limit=limit, wanted=self._wanted.get("output")
        )
        # The output's; in training the input gradient finds another kernel at each call.
        self._packed = PackedKernel(self._forward.packed_size, dtype)

    def forward(
        self, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, out: np.ndarray
    ) -> None:
        """Write [clipped](conv2d(x, kernel) + bias) to `out`."""
        if not out.size:
            return
        if self._output.plan is not None:
            self._output.plan.forward(x, kernel, bias, out)
            return
        start = constant(self._scratch, "bias", self._forward.padded)
        start[:] = 0
        if bias is not None:
            _set_by_group(start, bias, self._problem.groups)
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
        self._kernel_gradient.plan.kernel_gradient(dy, x, dkernel, dbias)
        if dx is not None:
            self.input_gradient(dy, kernel, dx)

    def kernel_gradient(self, dy: np.ndarray, x: np.ndarray, dkernel: np.ndarray) -> None:
        """Write the kernel's gradient of sum(dy * conv2d(x, kernel)) to `dkernel`."""
        self._kernel_gradient.plan.kernel_gradient(dy, x, dkernel, None)

    def input_gradient(
        self, dy: np.ndarray, kernel: np.ndarray, dx: np.ndarray, bias: np.ndarray | None = None
    ) -> None:
        """Write the gradient of sum(dy * conv2d(x, kernel)) to `dx`.

        `bias`, a number for each channel of x, is added: a transposed convolution has one.
        """
        if self._input_gradient.plan is not None:
            self._input_gradient.plan.input_gradient(dy, kernel, dx)
            self._finish(dx, bias)
            return
        first = None if self._finishes_apart else bias
        for phase in self._phases:
            start = constant(self._scratch, "start", phase.padded)[: phase.padded]
            start[:] = 0
            if first is not None:
                _set_by_group(start, first, self._problem.groups)
            packed = constant(self._scratch, "packed", phase.packed_size)
            phase.pack(kernel, packed)
            phase.run(dy, packed, start, dx)
        if self._finishes_apart:
            self._finish(dx, bias)

    def _finish(self, images: np.ndarray, bias: np.ndarray | None) -> None:
        """Add the bias to each pixel; then clip."""
        if bias is not None:
            # Whole lines at a time: channels may be few.
            _, _, width, channels = images.shape
            line = constant(self._scratch, "line of biases", 3 * width * channels)
            line.reshape(3, width, channels)[...] = 0
            affine = line.reshape(3, width * channels)
            affine[1], affine[2].reshape(width, channels)[...] = 1, bias
            lines = images.reshape(-1, width * channels)
            if images.dtype == np.float32 and lines.shape[1] % _lanes == 0:
                threads = runtime.threads_for(images.size)
                _affine(lines, affine, None, self._transposed_limit, lines, threads)
                return
            np.add(lines, affine[2], out=lines)
        if self._transposed_limit:
            relu = runtime.kernels_of(images.dtype).elementwise.relu
            flat = images.reshape(-1)
            relu(flat, self._transposed_limit, flat, runtime.threads_for(flat.size))

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return, by direction, the algorithm taken, the costs of what competed, and its sizes."""
        directions = {
            "output": (self._output, (self._forward,)),
            "input_gradient": (self._input_gradient, ()),
            "kernel_gradient": (self._kernel_gradient, ()),
        }
        if self._input_gradient.plan is None:
            directions["input_gradient"] = (self._input_gradient, tuple(self._phases))
        return {name: described(*made) for name, made in directions.items()}

    @cached_property
    def _input_gradient(self) -> Choice:
        with sharing(self._pool):
            return choice.input_gradient(
                self._problem, self._planes, wanted=self._wanted.get("input_gradient")
            )

    @cached_property
    def _kernel_gradient(self) -> Choice:
        with sharing(self._pool):
            return choice.kernel_gradient(
                self._problem, self._planes, wanted=self._wanted.get("kernel_gradient")
            )

    @cached_property
    def _finishes_apart(self) -> bool:
        """Whether there are grids that no phase computes: they are cleared, and have no bias."""
        return any(phase.tables.clears for phase in self._phases)

    @cached_property
    def _phases(self) -> list[DirectPlan]:
        """Plans of dx: with strides (s, t), s x t grids of inputs, each of stride 1 over dy.

        Grids that no output reads, as those between a 1x1 kernel's strides, are cleared with the
        first that is.
        """
        rows, columns = self._problem.window
        taps = [
            (top, left, transposed_taps_of(rows, top), transposed_taps_of(columns, left))
            for top in range(min(rows.stride, rows.size))
            for left in range(min(columns.stride, columns.size))
        ]
        reached = [phase for phase in taps if phase[2] and phase[3]]
        phases = reached or taps
        cleared = len(phases) < len(taps)
        return [
            DirectPlan(
                self._problem.input_shape[0],
                self.output_shape[1:],
                self._problem.input_shape[1:],
                row_taps,
                column_taps,
                self._problem.kernel_shape,
                self._problem.groups,
                self._scratch,
                self._problem.dtype,
                transposed=True,
                limit=0.0 if cleared else self._transposed_limit,
                wanted=self._wanted.get("input_gradient"),
                grid=(
                    -(-(rows.size - top) // rows.stride),
                    -(-(columns.size - left) // columns.stride),
                ),
                target_start=(top, left),
                target_step=(rows.stride, columns.stride),
                clears=number == 0 and cleared,
            )
            for number, (top, left, row_taps, column_taps) in enumerate(phases)
        ]


def _set_by_group(start: np.ndarray, bias: np.ndarray, groups: int) -> None:
    """Put the biases where the direct kernels take them: each group's channels fill vectors."""
    by_group = bias.reshape(groups, -1)
    start.reshape(groups, -1)[:, : by_group.shape[1]] = by_group


def described(chosen: Choice, grids: tuple[DirectPlan, ...] = ()) -> dict[str, Any]:
    """Return what `describe` tells of one direction; `grids` are the direct kernels' plans."""
    if chosen.plan is not None:
        return {
            "algorithm": chosen.algorithm,
            "costs": dict(chosen.costs),
            **chosen.plan.describe(),
        }
    ways = sorted({grid.algorithm for grid in grids})
    return {
        "algorithm": " and ".join(ways),
        "costs": dict(chosen.costs),
        "grids": [grid.describe() for grid in grids],
    }
