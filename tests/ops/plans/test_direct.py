"""Which way a grid's vectors run, and of which level they are."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import fields_of, guarded, run_direct

from fastconv._core import runtime
from fastconv.ops.plans import Conv2DPlan, direct


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("outputs", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize(
    "options", [{}, {"strides": 2, "padding": "same"}, {"limit": np.inf}], ids=str
)
def test_dot_products_of_few_outputs_agree_with_panels(groups, outputs, options, monkeypatch):
    """Runs of 17 values or so end within a vector; what lies before and behind them is NaN."""
    shape, window = (2, 5, 7, 19 * groups), (3, 2, 19, outputs * groups)
    turned = (2, 5, 7, outputs * groups), (3, 2, outputs, 19 * groups)
    results = []
    for wanted in (True, False):
        monkeypatch.setattr(direct, "dot_products", lambda *_, dots=wanted, **__: dots)
        plan = Conv2DPlan(shape, window, groups=groups, **options)
        back = Conv2DPlan(*turned, groups=groups, **options)
        assert {grid.tables.dots for grid in (plan._forward, *back._phases)} == {wanted}
        rng = np.random.default_rng(0)
        x, _ = guarded(rng.random(shape, np.float32), np.nan)
        dy, _ = guarded(rng.random(back.output_shape, np.float32), np.nan)
        y, dx = np.full(plan.output_shape, np.nan, np.float32), np.full(turned[0], np.nan, "f")
        kernel = rng.random(window, np.float32)
        kernel[..., 1::2] *= -1  # what ReLU schemes, with sums that do not cancel out
        run_direct(plan._forward, x, kernel, y)
        kernel = rng.random(turned[1], np.float32)
        for phase in back._phases:
            run_direct(phase, dy, kernel, dx)
        results.append((y, dx))
    for dots, panels in zip(*results, strict=True):
        np.testing.assert_allclose(dots, panels, rtol=1e-5)
    assert (results[0][0] == 0).any() == ("limit" in options and outputs * groups > 1)


@pytest.mark.skipif(runtime.kernels.half_width is None, reason="has no level of shorter vectors")
@pytest.mark.parametrize("groups", [1, 2])
def test_channels_that_leave_half_a_vector_idle_take_shorter_ones(groups, monkeypatch):
    x, window = (2, 9, 11, 8 * groups), (5, 1, 8, 7 * groups)
    results = []
    for wanted in (runtime.kernels.half_width, runtime.kernels):
        rng = np.random.default_rng(0)
        kernel, values = rng.random(window, np.float32), rng.random(x, np.float32)
        plan = Conv2DPlan(x, window, padding="same", groups=groups)
        assert plan._forward.tables.kernels is plan._phases[0].tables.kernels is wanted
        y, dx = np.empty(plan.output_shape, np.float32), np.empty(x, np.float32)
        dkernel = np.empty(window, np.float32)
        run_direct(plan._forward, values, kernel, y)
        run_direct(plan._phases[0], y, kernel, dx)
        plan._kernel_gradient.plan.kernel_gradient(y, values, dkernel, None)
        results.append((y, dx, dkernel))
        monkeypatch.setattr(runtime.kernels, "half_width", None)
    for shorter, longer in zip(*results, strict=True):
        np.testing.assert_allclose(shorter, longer, rtol=2e-5)


@pytest.mark.parametrize("groups", [1, 2])
def test_outputs_that_are_fetched_beforehand_have_the_same_bits(groups, monkeypatch):
    x, window = (3, 9, 11, 4 * groups), (2, 1, 4, 150 * groups)
    rng = np.random.default_rng(0)
    kernel, values = rng.random(window, np.float32), rng.random(x, np.float32)
    results, fetched = [], []
    for least in (direct.FETCHED_BYTES, 0):
        monkeypatch.setattr(direct, "FETCHED_BYTES", least)
        plan = Conv2DPlan(x, window, groups=groups)
        fetched.append(fields_of("Grid", plan._forward.tables.grid)["prefetches"])
        y = np.full(plan.output_shape, np.nan, np.float32)
        run_direct(plan._forward, values, kernel, y)
        results.append(y.tobytes())
    assert fetched == [0, 1] and results[0] == results[1]
    strided = Conv2DPlan(x, window, groups=groups, strides=2)
    grid = fields_of("Grid", strided._phases[0].tables.grid)
    assert not grid["prefetches"]  # its outputs are no neighbouring pixels
