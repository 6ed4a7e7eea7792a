"""The kernel gradient's algorithms, each by itself, whichever of them `choice` would take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from oracle import TOLERANCE, conv_cases, problem_of

from fastconv._core import runtime
from fastconv._core.memory import contiguous
from fastconv.ops import reference
from fastconv.ops.plans import Conv2DPlan, kernel_gradient
from fastconv.ops.plans.kernel_gradient import KernelGradientPlan
from fastconv.ops.plans.patch_gradient import PatchGradientPlan

PLANS = [KernelGradientPlan, PatchGradientPlan]


def planned(kind, *case, **options):
    """Return the plan and the shape of dy."""
    problem, shape = problem_of(*case, **options)
    return kind(problem, runtime.kernels_of(problem.dtype)), shape


@pytest.mark.parametrize(("kind", "packed"), [*zip(PLANS, (4, 4), strict=True), (PLANS[0], 0)])
@given(case=conv_cases())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_agrees_with_the_reference(kind, packed, case, monkeypatch):
    """Also where all patches are packed, as for many filters."""
    monkeypatch.setattr(kernel_gradient, "PACKED_TILES", packed)
    plan, shape = planned(kind, case.x, case.window, case.dtype, **case.options)
    # What lies around x must not leak in.
    memory = np.full(np.prod(case.x) + 256, np.nan, case.dtype)
    x = memory[128:-128].reshape(case.x)
    x[...] = case.random(case.x)
    dy = contiguous(case.random(shape, 1))
    kernel = case.random(case.window, 2)
    _, expected, bias = reference.conv2d_backward(dy, x, kernel, **case.options)
    for _ in range(2):
        dkernel, dbias = np.full(case.window, np.nan, case.dtype), np.empty_like(dy[0, 0, 0])
        plan.kernel_gradient(dy, x, dkernel, dbias)
        for found, wanted in ((dkernel, expected), (dbias, bias)):
            limit = TOLERANCE[np.dtype(case.dtype)] * max(np.abs(wanted).max(), 1)
            assert np.abs(found - wanted).max() <= limit


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_many_groups_agree_with_the_reference(kind, count, threads):
    """Parts are added by some groups at a time."""
    threads(count)
    shape, window, options = (3, 7, 6, 94), (3, 2, 2, 235), {"groups": 47}
    plan, output = planned(kind, shape, window, **options)
    random = np.random.default_rng(0)
    x, kernel = random.standard_normal(shape, np.float32), np.zeros(window, np.float32)
    dy = random.standard_normal(output, np.float32)
    _, expected, _ = reference.conv2d_backward(dy, x, kernel, **options)
    dkernel = np.full(window, np.nan, np.float32)
    plan.kernel_gradient(dy, x, dkernel, None)
    limit = TOLERANCE[np.dtype(np.float32)] * np.abs(expected).max()
    assert np.abs(dkernel - expected).max() <= limit


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize(
    ("x", "kernel", "options"),
    [
        ((5, 23, 31, 4), (3, 3, 4, 4), {"padding": "same"}),
        ((1, 40, 40, 16), (5, 5, 8, 14), {"groups": 2}),
        ((3, 30, 30, 33), (3, 3, 33, 9), {"strides": 2, "padding": 1}),
        ((6, 9, 7, 14), (5, 5, 14, 150), {"padding": "same"}),
    ],
    ids=str,
)
def test_threads_change_no_bit(kind, x, kernel, options, threads):
    random = np.random.default_rng(0)
    found = []
    for count in (1, 2, 5):
        threads(count)
        plan, shape = planned(kind, x, kernel, **options)
        source = np.random.default_rng(1).standard_normal(x, np.float32)
        dy = np.random.default_rng(2).standard_normal(shape, np.float32)
        dkernel, dbias = random.standard_normal(kernel, np.float32), np.empty(shape[3], np.float32)
        plan.kernel_gradient(dy, source, dkernel, dbias)
        found.append((dkernel, dbias))
    for dkernel, dbias in found[1:]:
        np.testing.assert_array_equal(dkernel, found[0][0])
        np.testing.assert_array_equal(dbias, found[0][1])


@pytest.mark.parametrize(("channels", "filters"), [(4, 5), (13, 5), (64, 5), (13, 200)])
def test_padding_is_left_out(channels, filters):
    """With few filters x is read where it lies, with many a packed piece of it."""
    kernel = (3, 3, channels, filters)
    plan, shape = planned(KernelGradientPlan, (2, 5, 6, channels), kernel, padding=1)
    x, dy = np.ones((2, 5, 6, channels), np.float32), np.zeros(shape, np.float32)
    dy[:, 0, 0] = np.nan
    dkernel = np.empty(kernel, np.float32)
    plan.kernel_gradient(dy, x, dkernel, None)
    assert np.isnan(dkernel[1:, 1:]).all()
    # The taps that the corner's outputs find outside are not even multiplied by 0.
    assert not dkernel[0].any() and not dkernel[:, 0].any()


def test_bias_may_be_left_out():
    plan, shape = planned(PatchGradientPlan, (1, 9, 9, 2), (3, 3, 2, 5))
    x, dy = np.ones((1, 9, 9, 2), np.float32), np.ones(shape, np.float32)
    dkernel = np.empty((3, 3, 2, 5), np.float32)
    plan.kernel_gradient(dy, x, dkernel, None)
    np.testing.assert_array_equal(dkernel, np.full_like(dkernel, 49))


@pytest.mark.parametrize(
    ("x", "kernel", "kind"),
    [
        ((32, 98, 98, 4), (5, 5, 4, 4), "patch"),
        ((8, 56, 56, 16), (5, 5, 16, 8), "patch"),
        ((64, 7, 7, 333), (5, 5, 333, 128), "product"),
    ],
    ids=str,
)
def test_few_filters_go_along_the_patch(monkeypatch, x, kernel, kind):
    monkeypatch.setattr(runtime, "_fast_math", False)
    assert Conv2DPlan(x, kernel).describe()["kernel_gradient"]["algorithm"] == kind


@pytest.mark.parametrize(
    ("x", "kernel"),
    [((1, 7, 7, 512), (5, 5, 512, 160)), ((2, 7, 7, 256), (5, 5, 256, 128))],
)
def test_a_tile_or_two_do_not_pay_for_the_transform_of_their_sums(x, kernel):
    plan = Conv2DPlan(x, kernel, strides=2)
    assert plan.describe()["kernel_gradient"]["algorithm"] == "product"


def test_a_depthwise_1x1_kernel_goes_by_planes():
    """Along the patch, of one channel, each sum would wait for the one before."""
    x, kernel = (2, 32, 32, 256), (1, 1, 1, 512)
    plan = Conv2DPlan(x, kernel, groups=256)
    assert plan.describe()["kernel_gradient"]["algorithm"] == "depthwise"
