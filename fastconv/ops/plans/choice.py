"""Which algorithm computes a convolution: the one place that decides.

The direct kernels serve every shape.  Winograd's F(4x4, 3x3) needs 36 multiply-adds
where they need 144, but pays for its transforms, for whole 4x4 tiles and for
transforming the kernel; the constants below are those costs in multiply-adds a lane,
fitted to single-threaded timings of an AVX2 build over 3 to 512 channels and 1 to 400 tiles,
those of the output and input gradient last over 24 shapes around the border, on which choices by
them take 1.5 % more than the faster algorithm, on the average.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ... import runtime
from ...geometry import Axis, Window
from .depthwise import DepthwisePlan, Lanes
from .packing import pad_channels
from .winograd import KERNEL_BYTES, POINTS, WinogradKernelGradientPlan, WinogradPlan

TRANSFORM_COST = 375
"""Of one value's share of a tile's input or output transform."""
KERNEL_COST, LARGE_KERNEL_COST, TURNED_COST = 20, 50, 15
"""Of one value of the transformed kernel, made once a call; where it does not stay in the cache;
and in addition where the kernel is turned round, for the input gradient."""
DIRECT_COST, DIRECT_KERNEL_COST = 1.35, 60
"""Of a multiply-add of the direct kernels, and of packing one value of the kernel."""
GRADIENT_TRANSFORM_COST, GRADIENT_KERNEL_COST = 490, 13
"""The same for the kernel gradient, whose transform of dU is made once a call."""
DIRECT_PRODUCT_COST, DIRECT_PATCH_COST, DIRECT_SUM_COST = 1.25, 12, 120
"""Of the direct kernel gradient: a multiply-add, a packed value of a pixel's patch, and a value
of the kernel, whose parts are added.  Fitted, as those above, to an AVX2 build over 1 to 512
channels and 1 to 300 tiles, where the times differ by 15 % from the model's."""
PLANE_COST = 2.3
"""Of a depthwise kernel's multiply-add: it reads its operands from the L2 cache."""
LATENCY = 8
"""Of a multiply-add that waits for the one before, where a row fills few registers with sums."""
SHUFFLE_COST, COPY_COST = 4, 22
"""Of one vector of a plane, in which that kernel reads a group's channels: permuted from one
vector of the source, or copied value by value."""
PANEL_COST, NARROW_PANEL_COST = 0.8, 1.0
"""Of a register tile's multiply-add, with two vectors of a group's channels or with only one.
A run of one group's channels is set up in the time of one more of its values.  These are
fitted to timings of an AVX2 build over groups of 1 to 32 channels."""
GRADIENT_PANEL_COST = 1.3
"""Of the kernel gradient's tiles, over the output's."""
DOT_COST, DOT_SUM_COST, DOT_PANEL_COST = 0.52, 10.0, 0.5
"""Cycles of a vector step of a dot product, of summing its lanes, of a step of a panel's tile."""
LEAST_RUN = 4
"""Vectors in a run of contiguous values, below which its end costs too much."""


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
    if not _pays(input_shape, filters, window, pooled=pooled):
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
    if min(axis.before for axis in turned) < 0 or not _pays(
        output_shape, channels, turned, turned=True
    ):
        return None
    return WinogradPlan(output_shape, channels, turned, transposed=True)


def winograd_kernel_gradient(
    input_shape: tuple[int, int, int, int],
    filters: int,
    window: Window,
    groups: int,
    dtype: np.dtype,
) -> WinogradKernelGradientPlan | None:
    """Return a plan of the kernel gradient by Winograd's algorithm, None where direct is faster."""
    if groups != 1 or not _fits(window, dtype):
        return None
    if not _gradient_pays(input_shape, filters, window):
        return None
    return WinogradKernelGradientPlan(input_shape, filters, window)


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
    plan = DepthwisePlan(input_shape, kernel_shape, window, groups, dtype, relu=relu)
    taps = kernel_shape[0] * kernel_shape[1]
    strides = window.rows.stride * window.columns.stride
    inputs, outputs = kernel_shape[2], kernel_shape[3] // groups
    output = _panels_over_planes(plan.forward_lanes, inputs, outputs, taps, strides, dtype)
    # With a stride, an input is reached by a share of the taps, once for each phase.
    gradient = _panels_over_planes(plan.backward_lanes, outputs, inputs, taps / strides, 1, dtype)
    return Grouped(
        plan if output > 1 else None,
        plan if gradient > 1 else None,
        plan if GRADIENT_PANEL_COST * output > 1 else None,
    )


def _panels_over_planes(
    lanes: Lanes, inputs: int, outputs: int, taps: float, pixels: int, dtype: np.dtype
) -> float:
    """Return the cost of panels of a group's `outputs` channels over that of planes.

    `pixels`: of the source for each output.
    """
    if inputs == outputs == 1:
        return math.inf
    spread = (SHUFFLE_COST if lanes.shuffles else COPY_COST) * pixels
    # The kernel's tiles are up to 6 units (on most CPUs) by 2 vectors.
    sums = min(lanes.units, 6) * min(lanes.unit_channels // pad_channels(1, dtype), 2)
    filled = lanes.columns * lanes.index.size / (lanes.units * lanes.unit_channels)
    plane = max(PLANE_COST, LATENCY / sums) / filled
    padded = pad_channels(outputs, dtype)
    panel = PANEL_COST if padded > pad_channels(1, dtype) else NARROW_PANEL_COST
    panels = padded * taps * panel * (1 + 1 / inputs)
    return panels / (outputs * (plane * taps + spread))


def dot_products(outputs: int, channels: int, window: Window, groups: int, dtype) -> bool:
    """Whether `outputs` values a pixel are cheaper as dot products than as lanes of one vector.

    A vector along the outputs costs a step a value of the reduction, however few lanes are used;
    along the reduction it costs a fraction of one for each output, and a sum of its lanes.
    """
    depth = window.rows.window * window.columns.window * channels
    lanes = pad_channels(1, dtype)
    if groups != 1 or window.columns.window * channels < LEAST_RUN * lanes:
        return False
    return outputs * (DOT_COST * depth / lanes + DOT_SUM_COST) < DOT_PANEL_COST * depth


def _fits(window: Window, dtype: np.dtype) -> bool:
    return (
        runtime.get_fast_math()
        and dtype == np.float32
        and all((axis.window, axis.stride, axis.dilation) == (3, 1, 1) for axis in window)
    )


def _pays(
    input_shape: tuple[int, int, int, int],
    filters: int,
    window: Window,
    *,
    pooled: bool = False,
    turned: bool = False,
) -> bool:
    images, _, _, channels = input_shape
    rows, columns = (
        axis.output // 2 * 2 if pooled else axis.output for axis in (window.rows, window.columns)
    )
    dtype = np.dtype(np.float32)
    padded = pad_channels(filters, dtype)
    products = channels * padded
    direct = 9 * products * (images * rows * columns * DIRECT_COST + DIRECT_KERNEL_COST)
    tiles = images * -(-rows // 4) * -(-columns // 4)
    transforms = TRANSFORM_COST * (pad_channels(channels, dtype) + padded)
    points = POINTS * products
    kernel = KERNEL_COST if points * dtype.itemsize <= KERNEL_BYTES else LARGE_KERNEL_COST
    kernel += TURNED_COST * turned
    return tiles * (points + transforms) + kernel * points < direct


def _gradient_pays(input_shape: tuple[int, int, int, int], filters: int, window: Window) -> bool:
    images, _, _, channels = input_shape
    rows, columns = window.rows.output, window.columns.output
    dtype = np.dtype(np.float32)
    padded = pad_channels(filters, dtype)
    channels_padded = pad_channels(channels, dtype)
    products = channels_padded * padded
    # The direct kernel broadcasts what is few, and pads only the other side.
    pixels, patch = images * rows * columns, 9 * channels
    direct = pixels * (
        DIRECT_PRODUCT_COST * 9 * min(channels * padded, filters * channels_padded)
        + DIRECT_PATCH_COST * patch
    )
    direct += DIRECT_SUM_COST * patch * filters
    tiles = images * -(-rows // 4) * -(-columns // 4)
    transforms = GRADIENT_TRANSFORM_COST * (channels_padded + padded)
    points = POINTS * products
    return tiles * (points + transforms) + GRADIENT_KERNEL_COST * points < direct


def _turned(axis: Axis) -> Axis:
    return axis._replace(
        size=axis.output, before=2 - axis.before, after=2 - axis.after, output=axis.size
    )
