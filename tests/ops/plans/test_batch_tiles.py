"""Tiles of one output of several images, whether or not `choice` would take them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from oracle import TOLERANCE, conv_cases, run_direct

from fastconv._core.memory import contiguous
from fastconv.ops import reference
from fastconv.ops.plans import Conv2DPlan, direct
from fastconv.ops.plans.batch_tiles import BatchTilesPlan


def everywhere(tables, images, dtype, _):
    """Return a plan wherever there can be one."""
    return BatchTilesPlan(tables, images, dtype) if tables.spans_images else None


def both_ways(plan, x, dy, kernel):
    """Return the output and the input gradient by the direct kernels."""
    y, dx = np.full(plan.output_shape, np.nan, x.dtype), np.full(x.shape, np.nan, x.dtype)
    run_direct(plan._forward, x, kernel, y)
    for phase in plan._phases:
        run_direct(phase, dy, kernel, dx)
    return y, dx


@given(case=conv_cases())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_agrees_with_the_reference(case, monkeypatch):
    assume(case.options["groups"] == 1)
    monkeypatch.setattr(direct, "by_batch_tiles", everywhere)
    images = 1 + case.seed % 30
    shape = (images, *case.x[1:])
    plan = Conv2DPlan(shape, case.window, dtype=case.dtype, **case.options)
    # What lies around x must not leak in.
    memory = np.full(np.prod(shape) + 256, np.nan, case.dtype)
    x = memory[128:-128].reshape(shape)
    x[...] = case.random(shape)
    dy = contiguous(case.random(plan.output_shape, 1))
    kernel = contiguous(case.random(case.window, 2))
    y, dx = both_ways(plan, x, dy, kernel)
    expected = reference.conv2d(x, kernel, **case.options)
    expected_dx, *_ = reference.conv2d_backward(dy, x, kernel, **case.options)
    for found, wanted in ((y, expected), (dx, expected_dx)):
        limit = TOLERANCE[np.dtype(case.dtype)] * max(np.abs(wanted).max(initial=0), 1)
        assert np.abs(found - wanted).max(initial=0) <= limit


CASES = [
    ((13, 7, 7, 20), (7, 7, 20, 40), {"padding": "same"}),
    ((5, 8, 8, 16), (5, 5, 16, 33), {}),
    ((40, 9, 14, 3), (5, 5, 3, 8), {"strides": 2, "padding": 2}),
    # Weights of one panel, and copies of one image, that are larger than a task's share.
    ((4, 14, 14, 700), (5, 5, 700, 24), {"padding": "same"}),
]


@pytest.mark.parametrize(("shape", "window", "options"), CASES, ids=str)
def test_agrees_with_rows_whatever_the_threads(shape, window, options, threads, monkeypatch):
    rng = np.random.default_rng(0)
    x, kernel = rng.random(shape, np.float32), rng.random(window, np.float32)
    plan = Conv2DPlan(shape, window, **options)
    dy = rng.random(plan.output_shape, np.float32)
    monkeypatch.setattr(direct, "by_batch_tiles", lambda *_: None)
    by_rows = both_ways(Conv2DPlan(shape, window, **options), x, dy, kernel)
    monkeypatch.setattr(direct, "by_batch_tiles", everywhere)
    found = []
    for count in (1, 2, 5):
        threads(count)
        found.append(both_ways(Conv2DPlan(shape, window, **options), x, dy, kernel))
    for y, dx in found:
        np.testing.assert_array_equal(y, found[0][0])
        np.testing.assert_array_equal(dx, found[0][1])
    for one, other in zip(found[0], by_rows, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5)


def test_padding_is_left_out(monkeypatch):
    """Weights that only padding meets may be anything."""
    monkeypatch.setattr(direct, "by_batch_tiles", everywhere)
    kernel = np.full((3, 3, 4, 5), np.nan, np.float32)
    kernel[1, 1] = 1
    plan = Conv2DPlan((2, 1, 1, 4), (3, 3, 4, 5), padding="same")
    y = np.empty((2, 1, 1, 5), np.float32)
    x = np.ones((2, 1, 1, 4), np.float32)
    run_direct(plan._forward, x, kernel, y)
    np.testing.assert_array_equal(y, np.full_like(y, 4))


@pytest.mark.parametrize(
    ("shape", "window", "options", "wanted"),
    [
        ((16, 7, 7, 64), (7, 7, 64, 64), {"padding": "same"}, (True, True)),
        ((16, 8, 8, 64), (5, 5, 64, 64), {}, (False, True)),
        ((16, 98, 98, 8), (5, 5, 8, 64), {"padding": "same"}, (False, False)),
        ((1, 7, 7, 64), (5, 5, 64, 64), {"padding": "same"}, (False, False)),
        ((16, 7, 7, 64), (5, 5, 32, 64), {"padding": "same", "groups": 2}, (False, False)),
    ],
    ids=str,
)
def test_small_images_of_a_batch_go_by_position(shape, window, options, wanted):
    plan = Conv2DPlan(shape, window, **options)
    grids = (plan._forward, plan._phases[0])
    assert tuple(grid.batch_tiles is not None for grid in grids) == wanted
