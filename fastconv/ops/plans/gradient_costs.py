"""What the kernel gradient costs by each of its algorithms, in one unit, for `choice`."""

from __future__ import annotations

import math

from ..._core import runtime
from ..._core.geometry import Shape
from .costs import COSTS
from .decomposition import POINTS, KernelDecomposition
from .depthwise_layout import DepthwiseLayout
from .kernel_gradient import by_tap, in_place
from .packing import pad_channels
from .patch_gradient import patch_rows, patch_runs, tile_shape
from .select import Problem

PATCH_NEAR_BYTES = 320 * 1024
"""Sums along the patch that stay in a cache."""


def winograd_cost(scheme: KernelDecomposition, input_shape: Shape, filters: int) -> float:
    """Return the cost of the kernel gradient by Winograd's algorithm."""
    images, _, _, channels = input_shape
    tiles = images * -(-scheme.grid[0] // scheme.m) * -(-scheme.grid[1] // scheme.m)
    inputs, outputs = scheme.inputs(channels), scheme.outputs(filters)
    points = POINTS * inputs * outputs // scheme.groups
    transforms = COSTS.gradient_transform[scheme.m] * (inputs + outputs)
    return (
        tiles * (COSTS.gradient_point * points + transforms)
        + COSTS.gradient_kernel[scheme.r] * points
    )


def plane_cost(lanes: DepthwiseLayout, problem: Problem) -> float:
    """Return the cost of the kernel gradient by planes, in the unit of `product_cost`."""
    input_shape, kernel_shape, window, _, _ = problem
    pixels = input_shape[0] * window.rows.output * window.columns.output
    taps, inputs, filters = math.prod(kernel_shape[:2]), kernel_shape[2], kernel_shape[3]
    layout = COSTS.gradient_plane_shuffle if lanes.shuffled else COSTS.gradient_plane_copy
    layout *= window.rows.stride * window.columns.stride
    values = filters * inputs * (COSTS.gradient_plane * taps / lanes.filled + layout)
    return (
        pixels * (values + COSTS.gradient_plane_pixel * filters)
        + COSTS.gradient_plane_sum * taps * inputs * filters
    )


def product_cost(problem: Problem, kernels: runtime.DirectKernels) -> float:
    """Return the cost of the kernel gradient as a matrix product of all pixels."""
    input_shape, kernel_shape, window, groups, dtype = problem
    pixels = input_shape[0] * window.rows.output * window.columns.output
    depth = window.rows.window * window.columns.window * kernel_shape[2]
    channels, filters = kernel_shape[2], kernel_shape[3] // groups
    computed = pixels * (window.inside if by_tap(channels) else 1)
    products = groups * depth * pad_channels(filters, dtype, kernels)
    if in_place(channels, filters, dtype, kernels):
        patch = COSTS.product_read * -(-filters // (2 * pad_channels(1, dtype, kernels)))
    else:
        patch = COSTS.product_patch
    return (
        computed * (COSTS.product * products + patch * groups * depth)
        + pixels * (COSTS.product_pixel * kernel_shape[3] + COSTS.product_group * groups)
        + COSTS.product_sum * depth * kernel_shape[3]
    )


def patch_cost(problem: Problem, kernels: runtime.DirectKernels) -> float:
    """Return the cost of the kernel gradient with vectors along the patch."""
    input_shape, kernel_shape, window, groups, dtype = problem
    images, _, width, channels = input_shape
    lines, filters = images * window.rows.output, kernel_shape[3] // groups
    run, starts = patch_runs(window, kernel_shape[2], groups)
    values = pad_channels(run, dtype, kernels) * len(starts)
    lanes = pad_channels(1, dtype, kernels)
    tile, most = tile_shape(filters, kernels)
    pieces = -(-values // (most * lanes))
    # Each tile of filters loads all vectors, each piece of these all filters.
    loads = COSTS.patch_tile * -(-filters // tile) * values
    loads += COSTS.patch_piece * pieces * filters * lanes
    loads = max(loads, COSTS.patch_step * min(lanes, 8) * -(-filters // tile) * pieces)
    pixel = groups * loads + COSTS.patch_pixel * kernel_shape[3]
    sums = groups * values * filters
    far = sums * dtype.itemsize > PATCH_NEAR_BYTES
    rows = patch_rows(window, width * channels * dtype.itemsize)
    blocks = images * -(-window.rows.output // rows)
    return (
        lines * window.columns.output * pixel
        + blocks * (COSTS.patch_far if far else COSTS.patch_near) * sums
        + COSTS.patch_source * math.prod(input_shape)
        + COSTS.patch_sum * run * len(starts) * kernel_shape[3]
    )
