"""Which algorithms the costs choose over many shapes, so that a cost that changes is noticed.

Whoever fits costs anew writes the counts again, `python tests/ops/plans/test_choices.py` once for
each FASTCONV_SIMD, and sees how many shapes change sides.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path

import pytest

from fastconv._core import runtime
from fastconv.ops.plans import Conv2DPlan, ConvPoolPlan
from fastconv.ops.plans.costs import COSTS

RECORD = Path(__file__).with_name("choices.json")
SIDES, CHANNELS, FILTERS = (6, 13, 28), (1, 3, 8, 16, 48, 128), (1, 3, 8, 32, 96)
KERNELS = ((1, 1), (2, 1), (3, 1), (3, 2), (5, 1))
"""Sides and strides."""
MOST_WORK = 1e8
"""Multiply-adds of an image; what is larger takes longer to plan than it tells."""

pytestmark = pytest.mark.skipif(
    runtime.kernels.half_width is not None,
    reason="recorded on CPUs that take one step for a vector of AVX-512",
)


def choices() -> dict[str, dict[str, int]]:
    """Return how many shapes take each algorithm, by direction."""
    counts: dict[str, Counter[str]] = {}
    for side, channels, filters, (kernel, stride), groups in itertools.product(
        SIDES, CHANNELS, FILTERS, KERNELS, (1, 4)
    ):
        work = side**2 * channels * filters * kernel**2
        if channels % groups or filters % groups or work > MOST_WORK:
            continue
        shape, size = (4, side, side, channels), (kernel, kernel, channels // groups, filters)
        described = Conv2DPlan(
            shape, size, strides=stride, padding="same", groups=groups
        ).describe()
        if groups == 1 and side > kernel:
            pooled = ConvPoolPlan(shape, size, padding="same").describe()
            described["pooled output"] = pooled["output"]
        for direction, found in described.items():
            counts.setdefault(direction, Counter())[found["algorithm"]] += 1
    return {direction: dict(sorted(found.items())) for direction, found in sorted(counts.items())}


def test_choices_are_those_that_were_recorded():
    assert choices() == json.loads(RECORD.read_text("utf-8"))[runtime.kernels.simd_level]


@pytest.mark.parametrize("name", ["direct", "winograd_kernel", "product", "panel_store"])
def test_a_doubled_cost_is_noticed(name, monkeypatch):
    monkeypatch.setattr(COSTS, name, 2 * getattr(COSTS, name))
    assert choices() != json.loads(RECORD.read_text("utf-8"))[runtime.kernels.simd_level]


if __name__ == "__main__":
    recorded = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}
    recorded[runtime.kernels.simd_level] = choices()
    RECORD.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n", "utf-8")
