"""Which algorithm computes a convolution: the one place that decides, by the costs of `costs`.

The direct kernels serve every shape.  Winograd's F(4x4, 3x3) needs 36 multiply-adds where they need
144, and F(2x2, 5x5) where they need 100, but it pays for its transforms, for whole tiles and for
transforming the kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..._core import runtime
from ..._core.geometry import Axis, Shape, Window
from .batch_tiles import BatchTilesPlan, tile_shape
from .costs import COSTS
from .decomposition import POINTS, KernelDecomposition, input_gradient_schemes, output_schemes
from .depthwise import DepthwisePlan
from .direct_costs import dots_beside_winograd, overlap_over_panels, panels_over_planes
from .direct_tables import DirectTables
from .gradient_costs import patch_cost, plane_cost, product_cost, winograd_cost
from .kernel_gradient import KernelGradientPlan
from .overlap_add import OverlapAddPlan
from .packing import half_width_of, pad_channels
from .patch_gradient import PatchGradientPlan
from .select import Choice, Problem, cheapest, unserved
from .winograd import KERNEL_BYTES, WinogradKernelGradientPlan, WinogradPlan
from .winograd_narrow import WinogradNarrowPlan

MOST_KERNEL_BYTES, MOST_ROW_BYTES = 96 * 1024 * 1024, 64 * 1024 * 1024
"""Of the transformed kernel of several parts, or its gradient, which may be 16 times the kernel;
and of a row of tiles of a very wide image, all of which a thread may hold transformed."""
GRADIENT_CHANNELS = 8
"""Of fewer under 3x3 kernels, one of the other three is faster whatever these costs say."""
SHALLOW_CHANNELS = (4, 2, 1)
"""Channels at most of which no transform is worth its time: of up to half a vector of filters, a
vector, and more.  Measured on AVX2 and AVX-512 over 1 to 4 channels and 4 to 64 filters."""
SHALLOW_CHANNELS_OF_FIVE = 4
"""The same of F(2x2, 5x5), whose tiles have as many points for a quarter of the outputs: of 3 or 4
channels and 16 to 64 filters it takes 1.0 to 1.7 times as long on AVX2 and AVX-512."""

Makers = dict[str, Callable[[], Any]]


def output(
    problem: Problem,
    planes: DepthwisePlan | None = None,
    *,
    pooled: bool = False,
    limit: float = 0.0,
    wanted: str | None = None,
) -> Choice:
    """Return the choice of the output's algorithm; `planes` is the plan of one in groups."""
    shape, kernel_shape, window, groups, dtype = problem
    channels, filters = shape[3], kernel_shape[3]
    schemes = output_schemes(window, groups) if problem.transforms else []
    schemes = [scheme for scheme in schemes if not (pooled and scheme.m % 2)]
    if channels // groups <= SHALLOW_CHANNELS_OF_FIVE and wanted is None:
        schemes = [scheme for scheme in schemes if scheme.r < 5]
    worth = not _shallow(channels // groups, filters // groups, dtype)
    if planes is None and not (schemes and worth) and wanted is None:
        return Choice("direct", {}, None)
    direct = _direct_cost(shape, filters, window, groups, pooled=pooled)
    costs = {"direct": direct}
    makers: Makers = {"direct": lambda: None}
    if planes is not None:
        makers["depthwise"] = lambda: planes
        taps, strides = math.prod(kernel_shape[:2]), window.rows.stride * window.columns.stride
        counts = kernel_shape[2], filters // groups
        ratio = panels_over_planes(planes.output_layout, *counts, taps, strides, dtype)
        costs["depthwise"] = direct / ratio
    worth &= costs.get("depthwise", math.inf) >= direct
    options = {"pooled": pooled, "limit": limit}
    if small := _small(schemes, channels, filters):
        cost, scheme = _cheapest(small, _winograd_cost, shape, filters, pooled)
        makers["winograd"] = partial(WinogradPlan, shape, filters, scheme, **options)
        if worth:
            costs["winograd"] = cost
    if schemes and groups == 1 and _is_plain(window):
        makers["winograd_narrow"] = partial(
            WinogradNarrowPlan, shape, filters, schemes[0], **options
        )
        if worth and channels <= COSTS.narrow_channels:
            share = _narrow_tiles(window, pooled)
            costs = {"winograd_narrow": share * min(costs.values()), **costs}
    return cheapest(costs, makers, wanted)


def input_gradient(
    problem: Problem, planes: DepthwisePlan | None = None, *, wanted: str | None = None
) -> Choice:
    """Return the choice of the input gradient's algorithm."""
    shape, kernel_shape, window, groups, dtype = problem
    channels, filters = shape[3], kernel_shape[3]
    source = (shape[0], window.rows.output, window.columns.output, filters)
    overlap = overlap_over_panels(problem)
    makers: Makers = {"direct": lambda: None}
    direct_cost = partial(_direct_cost, source, channels, window, groups, flipped=True)
    if overlap < 1:
        beside = COSTS.overlap_beside_winograd * overlap_over_panels(problem, dots=False)
        cost = direct_cost(overlap=beside)
        costs = {"direct": cost / overlap, "overlap_add": cost}
    else:
        cost = direct_cost()
        costs = {"direct": cost, "overlap_add": cost * overlap}
    if math.isfinite(overlap):
        makers["overlap_add"] = partial(OverlapAddPlan, problem)
    worth = True
    if planes is not None:
        makers["depthwise"] = lambda: planes
        # With a stride, an input is reached by a share of the taps, once for each phase.
        taps = math.prod(kernel_shape[:2]) / (window.rows.stride * window.columns.stride)
        counts = filters // groups, kernel_shape[2]
        ratio = panels_over_planes(planes.input_layout, *counts, taps, 1, dtype)
        ratio *= min(COSTS.overlap_over_planes * overlap, 1)
        worth = ratio <= 1
        # Where planes are faster than these two, nothing else competes.
        costs["depthwise"] = min(costs.values()) / ratio
    schemes = input_gradient_schemes(window, groups) if problem.transforms else []
    if small := _small(schemes, filters, channels):
        cost, scheme = _cheapest(small, _winograd_cost, source, channels)
        makers["winograd"] = partial(WinogradPlan, source, channels, scheme)
        if worth:
            costs["winograd"] = cost
    return cheapest(costs, makers, wanted)


def kernel_gradient(
    problem: Problem, planes: DepthwisePlan | None = None, *, wanted: str | None = None
) -> Choice:
    """Return the choice of the kernel gradient's algorithm."""
    shape, kernel_shape, window, groups, dtype = problem
    filters = kernel_shape[3]
    levels = [runtime.kernels_of(dtype), half_width_of(dtype)]
    costs: dict[str, float] = {}
    makers: Makers = {}
    for name, cost_of, plan in (
        ("product", product_cost, KernelGradientPlan),
        ("patch", patch_cost, PatchGradientPlan),
    ):
        costs[name], _, kernels = min(
            (cost_of(problem, kernels), number, kernels)
            for number, kernels in enumerate(filter(None, levels))
        )
        makers[name] = partial(plan, problem, kernels)
    worth = True
    if planes is not None:
        makers["depthwise"] = lambda: planes
        cost = plane_cost(planes.gradient_layout, problem)
        worth = cost >= min(costs.values())
        costs["depthwise"] = cost
        if kernel_shape[2] == filters // groups == 1:
            costs, worth = {"depthwise": cost}, False
    schemes = output_schemes(window, groups) if problem.transforms else []
    if small := _small(schemes, shape[3], filters):
        cost, scheme = _cheapest(small, winograd_cost, shape, filters)
        makers["winograd"] = partial(WinogradKernelGradientPlan, shape, filters, scheme)
        if worth and not (_is_plain(window) and shape[3] // groups < GRADIENT_CHANNELS):
            costs["winograd"] = cost
    if schemes and groups == 1 and _is_plain(window):
        makers["winograd_narrow"] = partial(WinogradNarrowPlan, shape, filters, schemes[0])
        # Of a handful of filters most lanes would idle.
        enough = filters >= pad_channels(1, problem.dtype)
        if worth and enough and shape[3] <= COSTS.narrow_gradient_channels:
            pixels = window.rows.output * window.columns.output
            tiles = -(-window.rows.output // 4) * -(-window.columns.output // 4)
            share = COSTS.narrow_gradient_tile * tiles / pixels
            costs = {"winograd_narrow": share * min(costs.values()), **costs}
    return cheapest(costs, makers, wanted)


def by_batch_tiles(
    tables: DirectTables, images: int, dtype: np.dtype, wanted: str | None = None
) -> BatchTilesPlan | None:
    """Return a plan with tiles of one output of several images, None where rows are faster."""
    serves = images > 0 and tables.spans_images
    if wanted == "batch_tiles" and not serves:
        raise unserved(wanted)
    if not serves or wanted == "panels":
        return None
    tile = tile_shape(tables, images, dtype)
    row_pixels = tables.columns.outputs * (1 if tables.clipped else tables.rows.outputs)
    row_sums = min(row_pixels, tile.most) * tile.vectors
    sums = tile.images * tile.vectors
    cost = COSTS.batch_tile * max(1, COSTS.latency / sums) * tables.columns.inside
    cheaper = cost < max(1, COSTS.latency / row_sums)
    return BatchTilesPlan(tables, images, dtype) if cheaper or wanted == "batch_tiles" else None


def _shallow(channels: int, filters: int, dtype: np.dtype) -> bool:
    """Whether the direct kernels have so few multiply-adds that any transform takes longer."""
    lanes = pad_channels(1, dtype)
    half, whole, more = SHALLOW_CHANNELS
    return channels <= (half if filters <= lanes // 2 else whole if filters <= lanes else more)


def _narrow_tiles(window: Window, pooled: bool) -> float:
    """Return the time of the algorithm for few channels, over that of the fastest other."""
    rows, columns = (_computed(axis, pooled) for axis in window)
    tiles = _whole_tiles(rows, pooled) * _whole_tiles(columns, pooled)
    return COSTS.narrow_tile * tiles / (rows * columns) if tiles else math.inf


def _is_plain(window: Window) -> bool:
    """Whether the kernel is 3x3 and has no stride."""
    return all((axis.window, axis.stride, axis.dilation) == (3, 1, 1) for axis in window)


def _computed(axis: Axis, pooled: bool) -> int:
    """Return the rows (or columns) of the convolution that the output needs."""
    return axis.output // 2 * 2 if pooled else axis.output


def _whole_tiles(size: int, pooled: bool, side: int = 4) -> float:
    """Return the tiles along an axis of `size` outputs, in the time of a whole one."""
    if side != 4:
        return -(-size // side)
    part = COSTS.short_pooled_tile if pooled else COSTS.short_tile
    return size // 4 + (0, part, part, 1)[size % 4]


def _small(
    schemes: list[KernelDecomposition], channels: int, filters: int
) -> list[KernelDecomposition]:
    """Return those whose transforms are no burden on the memory."""

    def fits(scheme: KernelDecomposition) -> bool:
        depth, columns = scheme.depth(channels), -(-scheme.grid[1] // scheme.m)
        outputs = scheme.outputs(filters)
        if 4 * POINTS * columns * (scheme.groups * depth + outputs) > MOST_ROW_BYTES:
            return False
        whole = scheme.kernels == scheme.targets == 1
        return whole or 4 * POINTS * depth * outputs <= MOST_KERNEL_BYTES

    return [scheme for scheme in schemes if fits(scheme)]


def _cheapest(
    schemes: list[KernelDecomposition], cost_of: Callable[..., float], *shape: Any
) -> tuple[float, KernelDecomposition]:
    """Return the cost of Winograd's algorithm and the scheme that has it."""
    return min(((cost_of(scheme, *shape), scheme) for scheme in schemes), key=lambda pair: pair[0])


def _winograd_cost(
    scheme: KernelDecomposition, source_shape: Shape, filters: int, pooled: bool = False
) -> float:
    images, _, _, channels = source_shape
    rows, columns = (size // 2 * 2 if pooled else size for size in scheme.grid)
    tiles = images * _whole_tiles(rows, pooled, scheme.m)
    tiles *= _whole_tiles(columns, pooled, scheme.m)
    inputs, outputs = scheme.inputs(channels), scheme.outputs(filters)
    points = POINTS * scheme.depth(channels) * outputs
    stays = 4 * points <= KERNEL_BYTES
    kernel = COSTS.winograd_kernel if stays else COSTS.winograd_large_kernel
    kernel += COSTS.winograd_rotated_kernel * scheme.rotated
    transforms = COSTS.winograd_transform[scheme.m] * (inputs + outputs)
    return tiles * (COSTS.winograd_point * points + transforms) + kernel * points


def _direct_cost(
    source_shape: Shape,
    filters: int,
    window: Window,
    groups: int,
    *,
    pooled: bool = False,
    flipped: bool = False,
    overlap: float | None = None,
) -> float:
    """Return the cost of an output, or if `flipped` an input gradient, by the direct kernels; if
    `overlap` is given, by what takes that share of their time."""
    images, channels, filters = source_shape[0], source_shape[3] // groups, filters // groups
    dtype = np.dtype(np.float32)
    products = channels * pad_channels(filters, dtype)
    taps = window.rows.window * window.columns.window
    pixels = images * _summed(window.rows, flipped, pooled, exactly=not pooled)
    # From so many images on, tiles of two vectors are of several images.
    by_batch_tiles = not pooled and 2 * images >= COSTS.latency
    pixels *= _summed(window.columns, flipped, pooled, exactly=by_batch_tiles)
    per_pixel = taps * products * COSTS.direct
    if overlap is not None:
        per_pixel *= overlap
    else:
        per_pixel *= COSTS.direct_phase if flipped and window.rows.stride > 1 else 1
        side = window.rows.window
        per_pixel = min(per_pixel, dots_beside_winograd(channels, filters, side, dtype, pooled))
    return groups * (per_pixel * pixels + taps * products * COSTS.direct_kernel)


def _summed(axis: Axis, flipped: bool, pooled: bool, exactly: bool) -> float:
    """Return the outputs along an axis that each tap is summed for; of an input gradient the pixels
    of dy that are.  `exactly`: where taps that read nothing but padding are left out."""
    if flipped and not exactly:
        return axis.size / axis.stride
    outputs = _computed(axis, pooled)
    return outputs * axis.inside if exactly else outputs
