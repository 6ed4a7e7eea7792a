"""What outputs and input gradients cost by the direct kernels, for `choice`.

In the time of a multiply-add of a vector, by each way that its lanes may run.
"""

from __future__ import annotations

import math

import numpy as np

from ..._core import runtime
from ..._core.geometry import Window
from .lanes import Lanes
from .packing import kernels_for, pad_channels

PLANE_COST = 2.3
"""Of a depthwise kernel's multiply-add: it reads its operands from the L2 cache."""
LATENCY = 8
"""Of a multiply-add that waits for the one before, where a row fills few registers with sums."""
SHUFFLE_COST, COPY_COST = 4, 22
"""Of one vector of a plane, in which that kernel reads a group's channels: permuted from one
vector of the source, or twice that from two, or copied value by value."""
PANEL_COST, NARROW_PANEL_COST = 0.8, 1.0
"""Of a register tile's multiply-add, with two vectors of a group's channels or with only one.
A run of one group's channels is set up in the time of one more of its values.  These are
fitted to timings of an AVX2 build over groups of 1 to 32 channels."""
SHORTER_COST = 1.2
"""Of a lane of shorter vectors where planes have the long ones.  Measured on an AVX-512 build over
180 shapes: 1 to 2 % more than the faster."""
DOT_COST, DOT_SUM_COST = 1.3, 5
"""Of a dot product's vector where planes or overlap-add compete, and of summing its lanes, in the
multiply-adds of one.  The latter is measured against panels on AVX-512 and AVX2 builds over 1 to
512 channels and 1 to 12 filters: 0.3 and 1.2 % more than the faster, on the average."""
DOT_OUTPUT_COST = 3
"""And of an output where Winograd's algorithm competes, and a dot product's vector costs 1.
Measured on AVX-512 and AVX2 over 1 to 10 filters: choices take 0.4 % more than the faster."""
POOL_COST = 20
"""Of writing an output of few filters and pooling it, in multiply-adds of a dot product's vector.
Measured on an AVX-512 build: 1x1 kernels over 16 channels took 1.6 times as long by dot products,
over 64 0.8 times."""
PANEL_STORE_COST, OVERLAP_STORE_COST, OVERLAP_LOAD_COST = 6, 8, 1
"""Of an input gradient's vector that is stored; of one of sums that will be added where they
overlap, and of adding it: in a panel's multiply-adds.  Fitted to 1,600 timings of AVX2 and AVX-512
builds over 1 to 48 channels; choices by them take 2 % more than the faster, on the average."""
OVERLAP_OVER_PLANES = 1.4
"""The same where planes compete: groups of so few channels take no whole vectors of sums."""
OVERLAP_BESIDE_WINOGRAD = 1.25
"""And where Winograd's algorithm does.  Measured on AVX-512 and AVX2 over 2 to 16 channels: choices
take 3 and 1 % more than the faster."""


def panels_over_planes(
    lanes: Lanes, inputs: int, outputs: int, taps: float, pixels: int, dtype: np.dtype
) -> float:
    """Return the cost of panels of a group's `outputs` channels over that of planes.

    `pixels`: of the source for each output.
    """
    if inputs == outputs == 1:
        return math.inf
    spread = (SHUFFLE_COST * lanes.shuffled or COPY_COST) * pixels
    # The kernel's tiles are up to 6 units (on most CPUs) by 2 vectors.
    sums = min(lanes.units, 6) * min(lanes.unit_channels // pad_channels(1, dtype), 2)
    plane = max(PLANE_COST, LATENCY / sums) / lanes.filled
    kernels = kernels_for(outputs, dtype)
    padded = pad_channels(outputs, dtype, kernels)
    panel = PANEL_COST if padded > pad_channels(1, dtype, kernels) else NARROW_PANEL_COST
    panels = padded * taps * panel * (1 + 1 / inputs)
    if dot_products(outputs, inputs, math.ceil(taps), dtype):
        dots = dots_cost(outputs, inputs, taps, dtype) * pad_channels(1, dtype) / inputs
        panels = min(panels, DOT_COST * dots)
    if kernels is not runtime.kernels:
        panels *= SHORTER_COST
    return panels / (outputs * (plane * taps + spread))


def overlap_over_panels(
    input_shape: tuple[int, int, int, int],
    kernel_shape: tuple[int, int, int, int],
    window: Window,
    groups: int,
    dtype: np.dtype,
    *,
    dots: bool = True,
) -> float:
    """Return the cost of the input gradient by overlap-add over that of the general kernels.

    Both are those of one group and of one pixel of dy in each row of the inputs.  `dots`: where
    dot products are faster than panels, those are what it is compared with.
    """
    rows, columns = window
    height, width, channels, filters = kernel_shape
    if width == 1 or columns.dilation != 1:
        return math.inf
    lanes = pad_channels(1, dtype)
    depth = height / rows.stride * filters / groups
    sums, vectors = -(-width * channels // lanes), -(-channels // lanes)
    overlap = depth * _panel_cost(sums) + OVERLAP_STORE_COST * sums
    overlap += OVERLAP_LOAD_COST * width * vectors
    panels = depth * width * _panel_cost(vectors) + columns.stride * PANEL_STORE_COST * vectors
    # The longest of the phases' runs, and the most.
    run, runs = -(-width // columns.stride) * filters, -(-height // rows.stride)
    if groups > 1:
        run, runs = filters // groups, -(-width // columns.stride) * runs
    if dots and dot_products(channels, run, runs, dtype):
        panels = min(panels, columns.stride * DOT_COST * dots_cost(channels, run, runs, dtype))
    return overlap / panels


def _panel_cost(vectors: int) -> float:
    """Return the time of a step of all panels: those of two vectors read their inputs once."""
    return vectors // 2 * 2 * PANEL_COST + vectors % 2 * NARROW_PANEL_COST


def dot_products(
    outputs: int, run: int, runs: int, dtype: np.dtype, *, pooled: bool = False
) -> bool:
    """Whether a group's `outputs` are cheaper as dot products than as lanes of one vector.

    They are sums over `runs` runs of contiguous values.  A vector along the outputs costs a step a
    value, however few lanes are used; along a run it costs a fraction of one for each output, and
    in the end a sum of its lanes.  `pooled`: lanes of one vector need no pass for the pooling.
    """
    if run < pad_channels(1, dtype):
        return False
    return dots_cost(outputs, run, runs, dtype) + POOL_COST * pooled < run * runs


def dots_cost(outputs: int, run: int, runs: float, dtype: np.dtype) -> float:
    """Return the time of dot products over `runs` runs of `run` contiguous values each."""
    return outputs * (-(-run // pad_channels(1, dtype)) * runs + DOT_SUM_COST)


def dots_beside_winograd(
    channels: int, outputs: int, side: int, dtype: np.dtype, pooled: bool
) -> float:
    """Return the multiply-adds of a lane in whose time dot products make an output pixel.

    Infinity where panels are faster.
    """
    shape = outputs, side * channels, side, dtype
    if not dot_products(*shape, pooled=pooled):
        return math.inf
    cost = dots_cost(*shape) + DOT_OUTPUT_COST * outputs + POOL_COST * pooled
    return cost * pad_channels(1, dtype)
