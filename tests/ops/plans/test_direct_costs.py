"""Where the direct kernels are chosen over Winograd's algorithm because lanes would idle there."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv.ops.plans import Conv2DPlan, ConvPoolPlan
from fastconv.ops.plans.direct_costs import dot_products

FLOAT = np.dtype(np.float32)


@pytest.mark.parametrize("make", [Conv2DPlan, ConvPoolPlan])
@pytest.mark.parametrize(("filters", "wanted"), [(1, False), (3, False), (32, True)])
def test_few_filters_are_dot_products(filters, wanted, make):
    plan = make((8, 28, 28, 64), (3, 3, 64, filters), padding="same")
    assert plan.describe()["output"]["algorithm"] == ("winograd" if wanted else "dot_products")


@pytest.mark.parametrize(("channels", "wanted"), [(1, False), (64, True)])
def test_few_channels_get_their_gradient_by_dot_products_or_overlap_add(channels, wanted):
    plan = Conv2DPlan((2, 56, 56, channels), (3, 3, channels, 256), padding="same")
    assert (plan.describe()["input_gradient"]["algorithm"] == "winograd") == wanted


def test_a_pooling_must_be_worth_a_pass():
    assert dot_products(2, 80, 5, FLOAT, pooled=True)
    lanes = 16
    assert dot_products(1, lanes, 1, FLOAT)
    assert not dot_products(1, lanes, 1, FLOAT, pooled=True)
