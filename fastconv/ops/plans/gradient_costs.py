"""What the kernel gradient costs by each of its algorithms, in one unit, for `choice`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..._core import runtime
from ..._core.geometry import Window
from .kernel_gradient import by_tap, in_place
from .lanes import Lanes
from .packing import pad_channels
from .patch_gradient import patch_rows, patch_runs, tile_shape
from .winograd_cuts import POINTS, Cut

POINT_COST, TRANSFORM_COST = 1.2, {5: 270, 4: 255, 3: 200, 2: 220}
KERNEL_COST = {2: 6, 3: 8, 4: 13, 5: 15}
"""Of Winograd's algorithm: of a multiply-add, of one value's share of a tile's transform, by the
tile's side, and of a value of dU, whose transform is made once a call, by the taps' side.  The four
algorithms' costs are in one unit, fitted to 1,800 single-threaded timings of an AVX2 build over 1
to 384 channels and 1 to 64 groups; those of products and patches last to 1,100 shapes on AVX-512
and AVX2 builds, where choices between them take 6 and 1 % more than the faster, on the average, and
Winograd's to 360: 1 %, for other kernels than 3x3 to 660: 1 to 3 %, of few tiles to 600: 2 to
3 %."""
PRODUCT_COST, PRODUCT_PATCH_COST, PRODUCT_READ_COST = 1.0, 30, 7
"""As a matrix product: of a multiply-add, a packed value of a pixel's patch, and one that a tile of
filters reads where it lies."""
PRODUCT_PIXEL_COST, PRODUCT_GROUP_COST, PRODUCT_SUM_COST = 2.5, 250, 28
"""And a packed value of dy, a pixel of each group, and a value of the kernel, whose parts are
added."""
PATCH_TILE_COST, PATCH_PIECE_COST, PATCH_PIXEL_COST, PATCH_SOURCE_COST = 2.54, 1.6, 10, 0.8
"""Along the patch: of a value of the patch that a tile of filters loads, a lane of a filter that a
piece of the patch loads, a packed value of dy, and a copied value of x."""
PATCH_NEAR_COST, PATCH_FAR_COST, PATCH_NEAR_BYTES = 10, 70, 320 * 1024
"""And a sum that a tile takes up and puts down for each block of rows, in a cache or not."""
PATCH_SUM_COST, PATCH_STEP_COST = 22, 17.5
"""And a value of the kernel, whose parts are added, and the least of a tile at a pixel, for each of
up to 8 lanes: few sums wait for themselves.  Measured over groups of 1 to 16 channels and filters
on AVX-512 and AVX2 builds: beside planes choices take 3 and 1 % more than the faster."""
PLANE_COST, PLANE_SHUFFLE_COST, PLANE_COPY_COST = 2.7, 9.7, 33
"""By planes: of a multiply-add, and a value of a plane that is permuted or copied."""
PLANE_PIXEL_COST, PLANE_SUM_COST = 23, 182
"""And a value of dy, and a value of the kernel, whose parts are added."""


def winograd_cost(cut: Cut, input_shape: tuple[int, int, int, int], filters: int) -> float:
    """Return the cost of the kernel gradient by Winograd's algorithm."""
    images, _, _, channels = input_shape
    tiles = images * -(-cut.grid[0] // cut.side) * -(-cut.grid[1] // cut.side)
    inputs, outputs = cut.inputs(channels), cut.outputs(filters)
    points = POINTS * inputs * outputs // cut.groups
    transforms = TRANSFORM_COST[cut.side] * (inputs + outputs)
    return tiles * (POINT_COST * points + transforms) + KERNEL_COST[cut.taps] * points


def plane_cost(
    lanes: Lanes,
    input_shape: tuple[int, int, int, int],
    kernel_shape: tuple[int, int, int, int],
    window: Window,
    groups: int,
    dtype: np.dtype,
) -> float:
    """Return the cost of the kernel gradient by planes, in the unit of `product_cost`."""
    pixels = input_shape[0] * window.rows.output * window.columns.output
    taps, inputs, filters = math.prod(kernel_shape[:2]), kernel_shape[2], kernel_shape[3]
    spread = PLANE_SHUFFLE_COST if lanes.shuffled else PLANE_COPY_COST
    spread *= window.rows.stride * window.columns.stride
    values = filters * inputs * (PLANE_COST * taps / lanes.filled + spread)
    return pixels * (values + PLANE_PIXEL_COST * filters) + PLANE_SUM_COST * taps * inputs * filters


def product_cost(
    input_shape: tuple[int, int, int, int],
    kernel_shape: tuple[int, int, int, int],
    window: Window,
    groups: int,
    dtype: np.dtype,
    kernels: Any = runtime.kernels,
) -> float:
    """Return the cost of the kernel gradient as a matrix product of all pixels."""
    pixels = input_shape[0] * window.rows.output * window.columns.output
    depth = window.rows.window * window.columns.window * kernel_shape[2]
    channels, filters = kernel_shape[2], kernel_shape[3] // groups
    computed = pixels * (window.inside if by_tap(channels) else 1)
    products = groups * depth * pad_channels(filters, dtype, kernels)
    if in_place(channels, filters, dtype, kernels):
        patch = PRODUCT_READ_COST * -(-filters // (2 * pad_channels(1, dtype, kernels)))
    else:
        patch = PRODUCT_PATCH_COST
    return (
        computed * (PRODUCT_COST * products + patch * groups * depth)
        + pixels * (PRODUCT_PIXEL_COST * kernel_shape[3] + PRODUCT_GROUP_COST * groups)
        + PRODUCT_SUM_COST * depth * kernel_shape[3]
    )


def patch_cost(
    input_shape: tuple[int, int, int, int],
    kernel_shape: tuple[int, int, int, int],
    window: Window,
    groups: int,
    dtype: np.dtype,
    kernels: Any = runtime.kernels,
) -> float:
    """Return the cost of the kernel gradient with vectors along the patch."""
    images, _, width, channels = input_shape
    lines, filters = images * window.rows.output, kernel_shape[3] // groups
    run, starts = patch_runs(window, kernel_shape[2], groups)
    values = pad_channels(run, dtype, kernels) * len(starts)
    lanes = pad_channels(1, dtype, kernels)
    tile, most = tile_shape(filters, kernels)
    pieces = -(-values // (most * lanes))
    # Each tile of filters loads all vectors, each piece of these all filters.
    loads = PATCH_TILE_COST * -(-filters // tile) * values
    loads += PATCH_PIECE_COST * pieces * filters * lanes
    loads = max(loads, PATCH_STEP_COST * min(lanes, 8) * -(-filters // tile) * pieces)
    pixel = groups * loads + PATCH_PIXEL_COST * kernel_shape[3]
    sums = groups * values * filters
    far = sums * dtype.itemsize > PATCH_NEAR_BYTES
    rows = patch_rows(window, width * channels * dtype.itemsize)
    blocks = images * -(-window.rows.output // rows)
    return (
        lines * window.columns.output * pixel
        + blocks * (PATCH_FAR_COST if far else PATCH_NEAR_COST) * sums
        + PATCH_SOURCE_COST * math.prod(input_shape)
        + PATCH_SUM_COST * run * len(starts) * kernel_shape[3]
    )
