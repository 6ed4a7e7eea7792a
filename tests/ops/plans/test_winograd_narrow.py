"""When few channels are convolved by an algorithm of their own; test_ops_plans_winograd runs it."""

from __future__ import annotations

import pytest

from fastconv.ops.plans import Conv2DPlan, ConvPoolPlan


@pytest.mark.parametrize(
    ("shape", "pooled", "taken"),
    [
        ((32, 100, 100, 3), True, True),
        ((32, 100, 100, 3), False, True),
        ((32, 100, 100, 1), True, False),  # nine multiply-adds a sum
        ((32, 100, 100, 64), True, False),  # a kernel that does not stay in L1
        ((32, 8, 8, 3), False, True),  # three of its four tiles are short
        ((32, 7, 7, 3), False, False),  # the same for 25 pixels
    ],
    ids=str,
)
def test_few_channels_have_an_algorithm_of_their_own(shape, pooled, taken):
    plan = (ConvPoolPlan if pooled else Conv2DPlan)(shape, (3, 3, shape[3], 32))
    assert (plan.describe()["output"]["algorithm"] == "winograd_narrow") == taken
