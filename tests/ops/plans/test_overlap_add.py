"""The input gradient by overlap-add, by itself, whether or not `choice` would take it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from oracle import TOLERANCE, conv_cases, problem_of

from fastconv._core.memory import contiguous
from fastconv.ops import reference
from fastconv.ops.plans import Conv2DPlan
from fastconv.ops.plans.overlap_add import OverlapAddPlan
from fastconv.ops.plans.select import forced


def surrounded(shape, dtype):
    """Return an array that lies among NaNs, and these."""
    memory = np.full(np.prod(shape) + 256, np.nan, dtype)
    return memory[128:-128].reshape(shape), (memory[:128], memory[-128:])


@given(case=conv_cases())
@settings(max_examples=150)
def test_agrees_with_the_reference(case):
    problem, shape = problem_of(case.x, case.window, case.dtype, **case.options)
    assume(problem.window.columns.dilation == 1)
    dy, _ = surrounded(shape, case.dtype)
    dx, around = surrounded(case.x, case.dtype)
    dy[...] = case.random(shape, 1)
    x, kernel = case.random(case.x), contiguous(case.random(case.window, 2))
    expected = reference.conv2d_backward(dy, x, kernel, **case.options)[0]
    plan = OverlapAddPlan(problem)
    for _ in range(2):
        dx[...] = np.nan
        plan.input_gradient(dy, kernel, dx)
        limit = TOLERANCE[np.dtype(case.dtype)] * max(np.abs(expected).max(initial=0), 1)
        assert np.abs(dx - expected).max(initial=0) <= limit
        assert all(np.isnan(part).all() for part in around)


@pytest.mark.parametrize("channels", [1, 3, 8, 20])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("columns", [2, 3, 7])
def test_rows_much_longer_than_the_kernel(columns, stride, channels):
    """Most of their pixels are reached by all of it and have room for a whole vector."""
    random = np.random.default_rng(0)
    kernel = random.standard_normal((2, columns, channels, 3), np.float32)
    for width, padding in ((57, 0), (60, 1), (61, ((0, 0), (9, 5)))):
        x, options = (1, 4, width, channels), {"strides": stride, "padding": padding}
        problem, shape = problem_of(x, kernel.shape, **options)
        dy, _ = surrounded(shape, np.float32)
        dx, around = surrounded(x, np.float32)
        dy[...] = random.standard_normal(shape, np.float32)
        expected, *_ = reference.conv2d_backward(dy, np.zeros(x, np.float32), kernel, **options)
        OverlapAddPlan(problem).input_gradient(dy, kernel, dx)
        np.testing.assert_allclose(dx, expected, atol=5e-6 * np.abs(expected).max())
        assert all(np.isnan(part).all() for part in around)


CASES = [
    ((2, 14, 14, 6), (5, 5, 6, 16), {}),
    ((3, 33, 31, 5), (3, 3, 5, 67), {"strides": 2, "padding": 1}),
    ((1, 24, 90, 36), (7, 7, 9, 36), {"strides": 2, "groups": 4}),
    ((2, 12, 13, 17), (7, 7, 17, 24), {"padding": "same"}),
]


@pytest.mark.parametrize(("x", "kernel", "options"), CASES, ids=str)
def test_threads_change_no_bit(x, kernel, options, threads):
    random = np.random.default_rng(0)
    problem, shape = problem_of(x, kernel, **options)
    dy = random.standard_normal(shape, np.float32)
    weights = random.standard_normal(kernel, np.float32)
    results = []
    for count in (1, 2, 5):
        threads(count)
        dx = np.empty(x, np.float32)
        OverlapAddPlan(problem).input_gradient(dy, weights, dx)
        results.append(dx.tobytes())
    assert len(set(results)) == 1


@pytest.mark.parametrize(("x", "kernel", "options"), CASES, ids=str)
def test_is_chosen_for_few_channels_and_agrees_with_the_general_kernels(x, kernel, options):
    random = np.random.default_rng(1)
    _, shape = problem_of(x, kernel, **options)
    dy = random.standard_normal(shape, np.float32)
    weights = random.standard_normal(kernel, np.float32)
    chosen, general = np.empty(x, np.float32), np.empty(x, np.float32)
    costs = Conv2DPlan(x, kernel, **options).describe()["input_gradient"]["costs"]
    assert costs["overlap_add"] < costs["direct"]
    with forced("overlap_add"):
        Conv2DPlan(x, kernel, **options).input_gradient(dy, weights, chosen)
    with forced("direct", "input_gradient"):
        Conv2DPlan(x, kernel, **options).input_gradient(dy, weights, general)
    np.testing.assert_allclose(chosen, general, atol=2e-5 * np.abs(general).max())


def test_is_not_chosen_where_lanes_do_not_idle_or_columns_are_dilated():
    for x, kernel, options in (
        ((2, 14, 14, 32), (3, 3, 32, 64), {}),
        ((2, 14, 14, 1), (1, 1, 1, 64), {}),
        ((2, 14, 14, 5), (3, 3, 5, 67), {"dilation_rate": (1, 2)}),
    ):
        found = Conv2DPlan(x, kernel, **options).describe()["input_gradient"]
        assert found["algorithm"] != "overlap_add"


def test_what_is_not_finite_reaches_the_pixels_of_its_window_alone():
    problem, shape = problem_of((1, 9, 9, 5), (3, 3, 5, 20), padding=1)
    dy, dx = np.ones(shape, np.float32), np.empty((1, 9, 9, 5), np.float32)
    dy[0, 4, 8] = np.nan
    OverlapAddPlan(problem).input_gradient(dy, np.ones((3, 3, 5, 20), np.float32), dx)
    expected = np.zeros(dx.shape, bool)
    expected[0, 3:6, 7:] = True
    np.testing.assert_array_equal(np.isnan(dx), expected)
