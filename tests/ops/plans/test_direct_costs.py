"""Where the direct kernels are chosen over Winograd's algorithm because lanes would idle there."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv._core.geometry import conv2d_window
from fastconv.ops.plans import choice
from fastconv.ops.plans.direct_costs import dot_products

FLOAT = np.dtype(np.float32)


def window_of(shape, filters):
    return conv2d_window(shape, (3, 3, shape[3], filters), padding="same", owner="test")[0]


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize(("filters", "wanted"), [(1, False), (3, False), (32, True)])
def test_few_filters_are_dot_products(filters, wanted, pooled):
    shape = (8, 28, 28, 64)
    window = window_of(shape, filters)
    plan = choice.winograd_output(shape, filters, window, 1, FLOAT, pooled=pooled)
    assert (plan is not None) == wanted


@pytest.mark.parametrize(("channels", "wanted"), [(1, False), (64, True)])
def test_few_channels_get_their_gradient_by_dot_products_or_overlap_add(channels, wanted):
    window = window_of((2, 56, 56, channels), 256)
    plan = choice.winograd_input_gradient((2, 56, 56, 256), channels, window, 1, FLOAT)
    assert (plan is not None) == wanted


def test_a_pooling_must_be_worth_a_pass():
    assert dot_products(2, 80, 5, FLOAT, pooled=True)
    lanes = 16
    assert dot_products(1, lanes, 1, FLOAT)
    assert not dot_products(1, lanes, 1, FLOAT, pooled=True)
