"""Which algorithm computes a convolution: the one place that decides.

The direct kernels serve every shape.  Winograd's F(4x4, 3x3) needs 36 multiply-adds where they need
144, and F(2x2, 5x5) where they need 100, but they pay for their transforms, for whole tiles and for
transforming the kernel; the constants below are those costs in multiply-adds a lane,
fitted to single-threaded timings of an AVX2 build over 3 to 512 channels and 1 to 400 tiles,
those of the output and input gradient last over 500 shapes of 4 to 13 pixels a side and AVX-512 and
AVX2 builds, on which choices by them take 1 and 2 % more than the faster, on the average.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ... import runtime
from ...geometry import Axis, Window
from .depthwise import DepthwisePlan
from .direct_costs import (
    LATENCY,
    OVERLAP_BESIDE_WINOGRAD,
    OVERLAP_OVER_PLANES,
    dots_beside_winograd,
    overlap_over_panels,
    panels_over_planes,
)
from .gather import Gather
from .gradient_costs import patch_cost, plane_cost, product_cost, winograd_cost
from .kernel_gradient import KernelGradientPlan
from .overlap_add import OverlapAddPlan
from .packing import pad_channels
from .patch_gradient import PatchGradientPlan
from .positions import PositionsPlan, tile_shape
from .winograd import KERNEL_BYTES, WinogradKernelGradientPlan, WinogradPlan
from .winograd_cuts import POINTS, Cut, forward_cuts, input_gradient_cuts
from .winograd_narrow import WinogradNarrowPlan

AnyKernelGradientPlan = (
    KernelGradientPlan | PatchGradientPlan | WinogradKernelGradientPlan | WinogradNarrowPlan
)

TRANSFORM_COST = {5: 850, 4: 375, 3: 450, 2: 325}
"""Of one value's share of a tile's input or output transform, by the tile's side.  Those of other
kernels than 3x3 are fitted to 660 single-threaded timings of AVX-512 and AVX2 builds, on which they
choose what takes 1 to 3 % more than the faster, on the average, in strided input gradients 4 %."""
SHORT_TILE, SHORT_POOLED_TILE = 0.7, 0.75
"""Of a whole tile's time, where at most two outputs are left along an axis; or one window.
Measured on outputs of 6x6 and 14x14, 3 and 64 channels: 0.6 to 0.8."""
KERNEL_COST, LARGE_KERNEL_COST, TURNED_COST = 20, 30, 5
"""Of one value of the transformed kernel, made once a call; where it does not stay in the cache;
and in addition where the kernel is turned round, for the input gradient."""
DIRECT_COST, DIRECT_KERNEL_COST = 1.35, 60
"""Of a multiply-add of the direct kernels, and of packing one value of the kernel."""
DIRECT_PHASE_COST = 1.3
"""Of the direct kernels' multiply-add in a strided input gradient, whose runs are short."""
MOST_KERNEL_BYTES, MOST_ROW_BYTES = 96 * 1024 * 1024, 64 * 1024 * 1024
"""Of the transformed kernel of several parts, or its gradient, which may be 16 times the kernel;
and of a row of tiles of a very wide image, all of which a thread may hold transformed."""
GRADIENT_CHANNELS = 8
"""Of fewer under 3x3 kernels, one of the other three is faster whatever these costs say."""
SHALLOW_CHANNELS = (4, 2, 1)
"""Channels at most of which no transform is worth its time: of up to half a vector of filters, a
vector, and more.  Measured on AVX2 and AVX-512 over 1 to 4 channels and 4 to 64 filters."""
NARROW_CHANNELS = {4: 17, 8: 8, 16: 6}
"""Channels at most, by lanes, of the algorithm for few channels: its panel should stay in L1."""
NARROW_PIXELS = 12
"""Of the other algorithms, in the time of one tile of that.  Measured on AVX2 and AVX-512 builds
over 1 to 12 channels, 3 to 128 filters and outputs of 5 to 224 pixels a side: there it takes 0.5 to
0.9 times as long as the faster of them, if its tiles are whole, and 0.7 to 1.1 with short ones."""
NARROW_GRADIENT_CHANNELS = {4: 17, 8: 12, 16: 12}
NARROW_GRADIENT_PIXELS = 14
"""The same for its kernel gradient, which knows no short tiles."""
POSITION_COST = 1.05
"""Of a tile of one output of several images, in the time of one along a row.  Measured on AVX-512
and AVX2 builds over images of 5 to 27 pixels a side: 3 % more than the faster, on the average."""


def winograd_output(
    input_shape: tuple[int, int, int, int],
    filters: int,
    window: Window,
    groups: int,
    dtype: np.dtype,
    *,
    pooled: bool = False,
    relu: bool = False,
) -> WinogradPlan | WinogradNarrowPlan | None:
    """Return a plan of the output by Winograd's algorithm, None where direct is faster."""
    if not _transforms(dtype):
        return None
    channels = input_shape[3]
    cuts = [cut for cut in forward_cuts(window, groups) if not (pooled and cut.side % 2)]
    if not cuts or _shallow(channels // groups, filters // groups, dtype):
        return None
    if groups == 1 and _narrow(input_shape, window, pooled=pooled):
        return WinogradNarrowPlan(input_shape, filters, cuts[0], pooled=pooled, relu=relu)
    cuts = _small(cuts, channels, filters)
    if not cuts:
        return None
    cost, cut = _cheapest(cuts, _winograd_cost, input_shape, filters, pooled)
    if not _pays(cost, input_shape, filters, window, groups, pooled=pooled):
        return None
    return WinogradPlan(input_shape, filters, cut, pooled=pooled, relu=relu)


def winograd_input_gradient(
    output_shape: tuple[int, int, int, int],
    channels: int,
    window: Window,
    groups: int,
    dtype: np.dtype,
) -> WinogradPlan | None:
    """Return a plan of the input gradient by Winograd's algorithm, or None."""
    images, _, _, filters = output_shape
    cuts = input_gradient_cuts(window, groups) if _transforms(dtype) else []
    cuts = _small(cuts, filters, channels)
    if not cuts:
        return None
    input_shape = (images, window.rows.size, window.columns.size, channels)
    kernel_shape = (window.rows.window, window.columns.window, channels // groups, filters)
    arguments = (input_shape, kernel_shape, window, groups, dtype)
    overlaps = overlap_over_panels(*arguments) < 1
    overlap = overlap_over_panels(*arguments, dots=False) if overlaps else None
    cost, cut = _cheapest(cuts, _winograd_cost, output_shape, channels)
    if not _pays(cost, output_shape, channels, window, groups, turned=True, overlap=overlap):
        return None
    return WinogradPlan(output_shape, channels, cut)


def by_position(gather: Gather, images: int, dtype: np.dtype) -> PositionsPlan | None:
    """Return a plan with tiles of one output of several images, None where rows are faster."""
    if not images or not gather.spans_images:
        return None
    tile = tile_shape(gather, images, dtype)
    row_pixels = gather.columns * (1 if gather.clipped else gather.rows)
    row_sums = min(row_pixels, tile.most) * tile.vectors
    sums = tile.images * tile.vectors
    cost = POSITION_COST * max(1, LATENCY / sums) * gather.columns_inside
    cheaper = cost < max(1, LATENCY / row_sums)
    return PositionsPlan(gather, images, dtype) if cheaper else None


def overlapping_input_gradient(
    input_shape: tuple[int, int, int, int],
    kernel_shape: tuple[int, int, int, int],
    window: Window,
    groups: int,
    dtype: np.dtype,
) -> OverlapAddPlan | None:
    """Return a plan of the input gradient with the kernel's columns as lanes, or None."""
    arguments = (input_shape, kernel_shape, window, groups, dtype)
    return OverlapAddPlan(*arguments) if overlap_over_panels(*arguments) < 1 else None


def kernel_gradient(
    input_shape: tuple[int, int, int, int],
    kernel_shape: tuple[int, int, int, int],
    window: Window,
    groups: int,
    dtype: np.dtype,
) -> AnyKernelGradientPlan:
    """Return the plan of the kernel gradient by the fastest algorithm."""
    filters = kernel_shape[3]
    cuts = forward_cuts(window, groups) if _transforms(dtype) else []
    if cuts and groups == 1 and _narrow_gradient(input_shape, filters, window):
        return WinogradNarrowPlan(input_shape, filters, cuts[0])
    cuts = _small(cuts, input_shape[3], filters)
    if cuts:
        cost, cut = _cheapest(cuts, winograd_cost, input_shape, filters)
        if _gradient_pays(cost, input_shape, filters, window, groups):
            return WinogradKernelGradientPlan(input_shape, filters, cut)
    arguments = (input_shape, kernel_shape, window, groups, dtype)
    _, plan, kernels = _direct_gradient(*arguments)
    return plan(*arguments, kernels)


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
    output = panels_over_planes(plan.forward_lanes, inputs, outputs, taps, strides, dtype)
    # With a stride, an input is reached by a share of the taps, once for each phase.
    gradient = panels_over_planes(plan.backward_lanes, outputs, inputs, taps / strides, 1, dtype)
    arguments = (input_shape, kernel_shape, window, groups, dtype)
    gradient *= min(OVERLAP_OVER_PLANES * overlap_over_panels(*arguments), 1)
    planes = plane_cost(plan.gradient_lanes, *arguments)
    panels, *_ = _direct_gradient(*arguments)
    return Grouped(
        plan if output > 1 else None,
        plan if gradient > 1 else None,
        plan if inputs == outputs == 1 or planes < panels else None,
    )


def _transforms(dtype: np.dtype) -> bool:
    return runtime.get_fast_math() and dtype == np.float32


def _shallow(channels: int, filters: int, dtype: np.dtype) -> bool:
    """Whether the direct kernels have so few multiply-adds that any transform takes longer."""
    lanes = pad_channels(1, dtype)
    half, whole, more = SHALLOW_CHANNELS
    return channels <= (half if filters <= lanes // 2 else whole if filters <= lanes else more)


def _narrow(
    input_shape: tuple[int, int, int, int], window: Window, *, pooled: bool = False
) -> bool:
    """Whether the algorithm for few channels is the fastest."""
    if not _is_plain(window):
        return False
    rows, columns = _computed(window, pooled=pooled)
    tiles = _whole_tiles(rows, pooled) * _whole_tiles(columns, pooled)
    few = input_shape[3] <= NARROW_CHANNELS[pad_channels(1, np.dtype(np.float32))]
    return few and NARROW_PIXELS * tiles <= rows * columns


def _narrow_gradient(input_shape: tuple[int, int, int, int], filters: int, window: Window) -> bool:
    if not _is_plain(window):
        return False
    lanes = pad_channels(1, np.dtype(np.float32))
    rows, columns = window.rows.output, window.columns.output
    whole = NARROW_GRADIENT_PIXELS * -(-rows // 4) * -(-columns // 4) <= rows * columns
    # Of a handful of filters most lanes would idle.
    return whole and input_shape[3] <= NARROW_GRADIENT_CHANNELS[lanes] and filters >= lanes


def _is_plain(window: Window) -> bool:
    """Whether the kernel is 3x3 and has no stride."""
    return all((axis.window, axis.stride, axis.dilation) == (3, 1, 1) for axis in window)


def _computed(window: Window, *, pooled: bool) -> tuple[int, int]:
    """Return the rows and columns of the convolution that the output needs."""
    rows, columns = (axis.output for axis in (window.rows, window.columns))
    return (rows // 2 * 2, columns // 2 * 2) if pooled else (rows, columns)


def _whole_tiles(size: int, pooled: bool, side: int = 4) -> float:
    """Return the tiles along an axis of `size` outputs, in the time of a whole one."""
    if side != 4:
        return -(-size // side)
    part = SHORT_POOLED_TILE if pooled else SHORT_TILE
    return size // 4 + (0, part, part, 1)[size % 4]


def _small(cuts: list[Cut], channels: int, filters: int) -> list[Cut]:
    """Return those whose transforms are no burden on the memory."""

    def fits(cut: Cut) -> bool:
        depth, columns = cut.depth(channels), -(-cut.grid[1] // cut.side)
        outputs = cut.outputs(filters)
        if 4 * POINTS * columns * (cut.groups * depth + outputs) > MOST_ROW_BYTES:
            return False
        whole = cut.parts == cut.targets == 1
        return whole or 4 * POINTS * depth * outputs <= MOST_KERNEL_BYTES

    return [cut for cut in cuts if fits(cut)]


def _cheapest(cuts: list[Cut], cost_of: Callable[..., float], *shape: Any) -> tuple[float, Cut]:
    """Return the cost of Winograd's algorithm and the cut that has it."""
    return min(((cost_of(cut, *shape), cut) for cut in cuts), key=lambda pair: pair[0])


def _winograd_cost(
    cut: Cut, source_shape: tuple[int, int, int, int], filters: int, pooled: bool = False
) -> float:
    images, _, _, channels = source_shape
    rows, columns = (size // 2 * 2 if pooled else size for size in cut.grid)
    tiles = images * _whole_tiles(rows, pooled, cut.side)
    tiles *= _whole_tiles(columns, pooled, cut.side)
    inputs, outputs = cut.inputs(channels), cut.outputs(filters)
    points = POINTS * cut.depth(channels) * outputs
    kernel = KERNEL_COST if 4 * points <= KERNEL_BYTES else LARGE_KERNEL_COST
    kernel += TURNED_COST * cut.turned
    return tiles * (points + TRANSFORM_COST[cut.side] * (inputs + outputs)) + kernel * points


def _pays(
    cost: float,
    source_shape: tuple[int, int, int, int],
    filters: int,
    window: Window,
    groups: int,
    *,
    pooled: bool = False,
    turned: bool = False,
    overlap: float | None = None,
) -> bool:
    """Whether `cost`, of Winograd's algorithm, is less than the direct one's, which is that by
    overlap-add where the cost of that over panels' is given."""
    images, channels, filters = source_shape[0], source_shape[3] // groups, filters // groups
    dtype = np.dtype(np.float32)
    products = channels * pad_channels(filters, dtype)
    taps = window.rows.window * window.columns.window
    pixels = images * _summed(window.rows, turned, pooled, exactly=not pooled)
    # From so many images on, tiles of two vectors go by position.
    by_position = not pooled and 2 * images >= LATENCY
    pixels *= _summed(window.columns, turned, pooled, exactly=by_position)
    per_pixel = taps * products * DIRECT_COST
    if overlap is not None:
        per_pixel *= OVERLAP_BESIDE_WINOGRAD * overlap
    else:
        per_pixel *= DIRECT_PHASE_COST if turned and window.rows.stride > 1 else 1
        side = window.rows.window
        per_pixel = min(per_pixel, dots_beside_winograd(channels, filters, side, dtype, pooled))
    return cost < groups * (per_pixel * pixels + taps * products * DIRECT_KERNEL_COST)


def _summed(axis: Axis, turned: bool, pooled: bool, exactly: bool) -> float:
    """Return the outputs along an axis that each tap is summed for; of an input gradient the pixels
    of dy that are.  `exactly`: where taps that read nothing but padding are left out."""
    if turned and not exactly:
        return axis.size / axis.stride
    outputs = axis.output // 2 * 2 if pooled else axis.output
    return outputs * axis.inside if exactly else outputs


def _gradient_pays(
    cost: float, input_shape: tuple[int, int, int, int], filters: int, window: Window, groups: int
) -> bool:
    """Whether `cost`, of the kernel gradient by Winograd's algorithm, is the least."""
    channels, side, dtype = input_shape[3] // groups, window.rows.window, np.dtype(np.float32)
    if _is_plain(window) and channels < GRADIENT_CHANNELS:
        return False
    arguments = (input_shape, (side, side, channels, filters), window, groups, dtype)
    return cost < _direct_gradient(*arguments)[0]


def _direct_gradient(
    input_shape: tuple[int, int, int, int],
    kernel_shape: tuple[int, int, int, int],
    window: Window,
    groups: int,
    dtype: np.dtype,
) -> tuple[float, type[KernelGradientPlan] | type[PatchGradientPlan], Any]:
    """Return the cost, the plan and the kernels of the faster of the direct kernel gradients."""
    arguments = (input_shape, kernel_shape, window, groups, dtype)
    shorter = runtime.kernels.shorter
    choices = [
        (cost(*arguments, kernels), plan, kernels)
        for kernels in ((runtime.kernels, shorter) if shorter else (runtime.kernels,))
        for cost, plan in ((product_cost, KernelGradientPlan), (patch_cost, PatchGradientPlan))
    ]
    return min(choices, key=lambda choice: choice[0])
