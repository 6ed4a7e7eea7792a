"""What outputs and input gradients cost by the direct kernels, for `choice`.

By each way that vectors' lanes may run.
"""

from __future__ import annotations

import math

import numpy as np

from ..._core import runtime
from .costs import COSTS
from .depthwise_layout import DepthwiseLayout
from .packing import kernels_for, pad_channels
from .select import DIRECT, Problem, unserved


def panels_over_planes(
    lanes: DepthwiseLayout, inputs: int, outputs: int, taps: float, pixels: int, dtype: np.dtype
) -> float:
    """Return the cost of panels of a group's `outputs` channels over that of planes.

    `pixels`: of the source for each output.
    """
    if inputs == outputs == 1:
        return math.inf
    layout = (COSTS.plane_shuffle * lanes.shuffled or COSTS.plane_copy) * pixels
    # The kernel's tiles are up to 6 units (on most CPUs) by 2 vectors.
    sums = min(lanes.units, 6) * min(lanes.unit_channels // pad_channels(1, dtype), 2)
    plane = max(COSTS.plane, COSTS.latency / sums) / lanes.filled
    kernels = kernels_for(outputs, dtype)
    padded = pad_channels(outputs, dtype, kernels)
    panel = COSTS.panel if padded > pad_channels(1, dtype, kernels) else COSTS.narrow_panel
    panels = padded * taps * panel * (1 + 1 / inputs)
    if dot_products(outputs, inputs, math.ceil(taps), dtype):
        dots = dots_cost(outputs, inputs, taps, dtype) * pad_channels(1, dtype) / inputs
        panels = min(panels, COSTS.dot * dots)
    if kernels is runtime.kernels.half_width:
        panels *= COSTS.half_width
    return panels / (outputs * (plane * taps + layout))


def overlap_over_panels(problem: Problem, *, dots: bool = True) -> float:
    """Return the cost of the input gradient by overlap-add over that of the general kernels.

    Both are those of one group and of one pixel of dy in each row of the inputs.  `dots`: where
    dot products are faster than panels, those are what it is compared with.
    """
    _, (height, width, channels, filters), (rows, columns), groups, dtype = problem
    if width == 1 or columns.dilation != 1:
        return math.inf
    lanes = pad_channels(1, dtype)
    depth = height / rows.stride * filters / groups
    sums, vectors = -(-width * channels // lanes), -(-channels // lanes)
    overlap = depth * _panel_cost(sums) + COSTS.overlap_store * sums
    overlap += COSTS.overlap_load * width * vectors
    panels = depth * width * _panel_cost(vectors) + columns.stride * COSTS.panel_store * vectors
    # The longest of the phases' runs, and the most.
    run, runs = -(-width // columns.stride) * filters, -(-height // rows.stride)
    if groups > 1:
        run, runs = filters // groups, -(-width // columns.stride) * runs
    if dots and dot_products(channels, run, runs, dtype):
        panels = min(panels, columns.stride * COSTS.dot * dots_cost(channels, run, runs, dtype))
    return overlap / panels


def _panel_cost(vectors: int) -> float:
    """Return the time of a step of all panels: those of two vectors read their inputs once."""
    return vectors // 2 * 2 * COSTS.panel + vectors % 2 * COSTS.narrow_panel


def dot_products(
    outputs: int,
    run: int,
    runs: int,
    dtype: np.dtype,
    *,
    pooled: bool = False,
    wanted: str | None = None,
) -> bool:
    """Whether a group's `outputs` are cheaper as dot products than as lanes of one vector.

    They are sums over `runs` runs of contiguous values.  A vector along the outputs costs a step a
    value, however few lanes are used; along a run it costs a fraction of one for each output, and
    in the end a sum of its lanes.  `pooled`: lanes of one vector need no pass for the pooling.
    `wanted` is the direct algorithm that is asked for; dot products need a whole vector of a run.
    """
    if run < pad_channels(1, dtype):
        if wanted == "dot_products":
            raise unserved(wanted)
        return False
    if wanted in DIRECT:
        return wanted == "dot_products"
    return dots_cost(outputs, run, runs, dtype) + COSTS.dot_pool * pooled < run * runs


def dots_cost(outputs: int, run: int, runs: float, dtype: np.dtype) -> float:
    """Return the time of dot products over `runs` runs of `run` contiguous values each."""
    return outputs * (-(-run // pad_channels(1, dtype)) * runs + COSTS.dot_sum)


def dots_beside_winograd(
    channels: int, outputs: int, side: int, dtype: np.dtype, pooled: bool
) -> float:
    """Return the multiply-adds of a lane in whose time dot products make an output pixel.

    Infinity where panels are faster.
    """
    shape = outputs, side * channels, side, dtype
    if not dot_products(*shape, pooled=pooled):
        return math.inf
    cost = dots_cost(*shape) + COSTS.dot_output * outputs + COSTS.dot_pool * pooled
    return cost * pad_channels(1, dtype)
