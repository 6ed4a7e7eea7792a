"""Which algorithm computes a convolution: the one place that decides.

The direct kernels serve every shape.  Winograd's F(4x4, 3x3) needs 36 multiply-adds
where they need 144, but pays for its transforms, for whole 4x4 tiles and for
transforming the kernel; the constants below are those costs in multiply-adds a lane,
fitted to single-threaded timings of AVX-512 and AVX2 builds over 3 to 512 channels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ... import runtime
from ...geometry import Axis, Window
from .depthwise import DepthwisePlan
from .packing import pad_channels
from .winograd import POINTS, WinogradPlan

TRANSFORM_COST = 550
"""Of one value's share of a tile's input or output transform."""
KERNEL_COST = 73
"""Of one value of the transformed kernel, made once a call."""
SPREAD_COST = 3
"""Of one value of a plane, in which a depthwise kernel reads a group's channels."""
GATHER_COST = 1.2
"""Of a tile's multiply-add where a group's few channels are a run of their own."""


def winograd_output(
    input_shape: tuple[int, int, int, int],
    filters: int,
    window: Window,
    groups: int,
    dtype: np.dtype,
    *,
    pooled: bool = False,
    relu: bool = False,
) -> WinogradPlan | None:
    """Return a plan of the output by Winograd's algorithm, None where direct is faster."""
    if groups != 1 or not _fits(window, dtype):
        return None
    if not _pays(input_shape, filters, window, pooled):
        return None
    return WinogradPlan(input_shape, filters, window, pooled=pooled, relu=relu)


def winograd_input_gradient(
    output_shape: tuple[int, int, int, int],
    channels: int,
    window: Window,
    groups: int,
    dtype: np.dtype,
) -> WinogradPlan | None:
    """Return a plan of the input gradient by Winograd's algorithm, or None.

    It is a convolution of the output's gradient, padded by what the forward window lacks.
    """
    if groups != 1 or not _fits(window, dtype):
        return None
    turned = Window(*(_turned(axis) for axis in window))
    if min(axis.before for axis in turned) < 0 or not _pays(output_shape, channels, turned, False):
        return None
    return WinogradPlan(output_shape, channels, turned, transposed=True)


class Grouped(NamedTuple):
    """The plan of each direction that is computed as a depthwise convolution; else None."""

    output: DepthwisePlan | None = None
    input_gradient: DepthwisePlan | None = None
    kernel_gradient: DepthwisePlan | None = None


def depthwise(
    input_shape: tuple[int, int, int, int],
    kernel_shape: tuple[int, int, int, int],
    window: Window,
    groups: int,
    dtype: np.dtype,
    *,
    relu: bool = False,
) -> Grouped:
    """Return which directions of a grouped convolution run with vectors along the channels."""
    if groups == 1:
        return Grouped()
    taps = kernel_shape[0] * kernel_shape[1]
    inputs, outputs = kernel_shape[2], kernel_shape[3] // groups
    plan = DepthwisePlan(input_shape, kernel_shape, window, groups, dtype, relu=relu)
    forward = _spreads(inputs, outputs, taps, dtype)
    backward = _spreads(outputs, inputs, taps, dtype)
    return Grouped(plan if forward else None, plan if backward else None, plan if forward else None)


def _spreads(inputs: int, outputs: int, taps: int, dtype: np.dtype) -> bool:
    """Whether planes of `inputs` channels cost less than vectors half filled with `outputs`."""
    if inputs == outputs == 1:
        return True
    return outputs * (taps + SPREAD_COST) < GATHER_COST * taps * pad_channels(outputs, dtype)


def _fits(window: Window, dtype: np.dtype) -> bool:
    return (
        runtime.get_fast_math()
        and dtype == np.float32
        and all((axis.window, axis.stride, axis.dilation) == (3, 1, 1) for axis in window)
    )


def _pays(
    input_shape: tuple[int, int, int, int], filters: int, window: Window, pooled: bool
) -> bool:
    images, _, _, channels = input_shape
    rows, columns = (
        axis.output // 2 * 2 if pooled else axis.output for axis in (window.rows, window.columns)
    )
    dtype = np.dtype(np.float32)
    padded = pad_channels(filters, dtype)
    products = channels * padded
    direct = images * rows * columns * 9 * products
    tiles = images * -(-rows // 4) * -(-columns // 4)
    transforms = TRANSFORM_COST * (pad_channels(channels, dtype) + padded)
    return tiles * (POINTS * products + transforms) + KERNEL_COST * POINTS * products < direct


def _turned(axis: Axis) -> Axis:
    return axis._replace(
        size=axis.output, before=2 - axis.before, after=2 - axis.after, output=axis.size
    )
