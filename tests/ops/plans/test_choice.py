"""What `choice` decides over many shapes, so that a cost that changes does not pass unnoticed.

Whoever fits costs anew writes the new counts here, and sees how many shapes change sides.
"""

from __future__ import annotations

import itertools
from collections import Counter

import _fastconv
import numpy as np
import pytest

from fastconv._core.geometry import conv2d_window
from fastconv.ops.plans import choice

FLOAT = np.dtype(np.float32)
SIDES, CHANNELS, FILTERS = (6, 13, 28, 56), (1, 3, 8, 16, 48, 128), (1, 3, 8, 32, 96)
KERNELS = ((1, 1), (2, 1), (3, 1), (3, 2), (5, 1))  # sides and strides
MOST_WORK = 4e8  # what is larger takes longer to plan than it tells

# Of each direction, the shapes that go by each plan; the rest goes by the direct kernels.
RECORDED: dict[str, dict[str, dict[str, int]]] = {
    "baseline": {
        "kernel gradient": {
            "KernelGradientPlan": 145,
            "PatchGradientPlan": 410,
            "WinogradKernelGradientPlan": 259,
            "WinogradNarrowPlan": 24,
        },
        "overlap": {"OverlapAddPlan": 108},
        "output": {"WinogradNarrowPlan": 56, "WinogradPlan": 133},
        "pooled": {"WinogradNarrowPlan": 42, "WinogradPlan": 132},
        "grouped": {"DepthwisePlan": 8},
        "grouped input": {"DepthwisePlan": 8},
        "input gradient": {"WinogradPlan": 167},
        "grouped kernel": {"DepthwisePlan": 3},
    },
    "avx2": {
        "kernel gradient": {
            "KernelGradientPlan": 216,
            "PatchGradientPlan": 380,
            "WinogradKernelGradientPlan": 224,
            "WinogradNarrowPlan": 18,
        },
        "overlap": {"OverlapAddPlan": 184},
        "output": {"WinogradNarrowPlan": 32, "WinogradPlan": 136},
        "pooled": {"WinogradNarrowPlan": 24, "WinogradPlan": 129},
        "grouped kernel": {"DepthwisePlan": 38},
        "grouped": {"DepthwisePlan": 28},
        "grouped input": {"DepthwisePlan": 24},
        "input gradient": {"WinogradPlan": 161},
    },
    "avx512": {
        "kernel gradient": {
            "KernelGradientPlan": 225,
            "PatchGradientPlan": 497,
            "WinogradKernelGradientPlan": 104,
            "WinogradNarrowPlan": 12,
        },
        "overlap": {"OverlapAddPlan": 292},
        "output": {"WinogradNarrowPlan": 8, "WinogradPlan": 118},
        "grouped": {"DepthwisePlan": 64},
        "grouped input": {"DepthwisePlan": 54},
        "grouped kernel": {"DepthwisePlan": 48},
        "pooled": {"WinogradNarrowPlan": 6, "WinogradPlan": 121},
        "input gradient": {"WinogradPlan": 141},
    },
}


def decide(side: int, channels: int, filters: int, kernel: int, stride: int, groups: int):
    """Yield (direction, plan or None) of one convolution."""
    shape, kernel_shape = (4, side, side, channels), (kernel, kernel, channels // groups, filters)
    window, _ = conv2d_window(shape, kernel_shape, stride, "same", 1, groups, owner="test")
    output = (4, window.rows.output, window.columns.output, filters)
    arguments = (shape, kernel_shape, window, groups, FLOAT)
    rest = (window, groups, FLOAT)
    yield "output", choice.winograd_output(shape, filters, *rest)
    yield "pooled", choice.winograd_output(shape, filters, *rest, pooled=True)
    yield "input gradient", choice.winograd_input_gradient(output, channels, *rest)
    yield "overlap", choice.overlapping_input_gradient(*arguments)
    yield "kernel gradient", choice.kernel_gradient(*arguments)
    grouped = choice.depthwise(*arguments)
    yield from zip(("grouped", "grouped input", "grouped kernel"), grouped, strict=True)


def decisions() -> dict[str, dict[str, int]]:
    counts: dict[str, Counter] = {}
    for side, channels, filters, (kernel, stride), groups in itertools.product(
        SIDES, CHANNELS, FILTERS, KERNELS, (1, 4)
    ):
        work = side**2 * channels * filters * kernel**2
        if channels % groups or filters % groups or work > MOST_WORK:
            continue
        for direction, plan in decide(side, channels, filters, kernel, stride, groups):
            if plan is not None:
                counts.setdefault(direction, Counter())[type(plan).__name__] += 1
    return {direction: dict(sorted(found.items())) for direction, found in counts.items()}


def test_decisions_are_those_that_were_measured():
    level = _fastconv.simd_level
    if level == "avx512" and _fastconv.cpu.halves_vectors():
        pytest.skip("recorded on a CPU that takes one step for a vector of AVX-512")
    assert decisions() == RECORDED[level]


@pytest.mark.parametrize("name", ["DIRECT_COST", "KERNEL_COST", "NARROW_PIXELS", "TRANSFORM_COST"])
def test_a_doubled_cost_is_noticed(name, monkeypatch):
    before = decisions()
    cost = getattr(choice, name)
    doubled = (
        {key: 2 * value for key, value in cost.items()} if isinstance(cost, dict) else 2 * cost
    )
    monkeypatch.setattr(choice, name, doubled)
    assert decisions() != before
