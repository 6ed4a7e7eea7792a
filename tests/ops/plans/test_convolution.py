"""Conv2DPlan beyond conv2d: ReLU in the kernel, parts left out, memory around the arrays."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import conv_cases, guarded

import fastconv
from fastconv import ops
from fastconv._core.memory import contiguous
from fastconv.ops import reference
from fastconv.ops.plans import Conv2DPlan, Pool2DPlan
from fastconv.ops.plans.direct_tables import DirectTables

pytestmark = pytest.mark.usefixtures("algorithms")


@given(conv_cases())
@settings(max_examples=50)
def test_writes_all_of_its_outputs_and_nothing_else(case):
    """Inputs stand amid NaN, which must not leak in; outputs start as NaN, none may stay."""
    x, _ = guarded(contiguous(case.random(case.x)), np.nan)
    kernel, _ = guarded(contiguous(case.random(case.window, 1)), np.nan)
    bias, _ = guarded(contiguous(case.random(case.window[3:], 2)), np.nan)
    plan = Conv2DPlan(case.x, case.window, dtype=case.dtype, **case.options)
    dy, _ = guarded(contiguous(case.random(plan.output_shape, 3)), np.nan)
    shapes = (plan.output_shape, case.x, case.window, case.window[3:])
    outputs, checks = zip(
        *(guarded(np.full(shape, np.nan, case.dtype)) for shape in shapes), strict=True
    )
    plan.forward(x, kernel, bias, outputs[0])
    plan.backward(dy, x, kernel, *outputs[1:])
    for output, check in zip(outputs, checks, strict=True):
        assert not np.isnan(output).any()
        check()
    # A plan's scratch is used again: a second run must not see the first.
    again = [np.full_like(output, np.nan) for output in outputs]
    plan.forward(x, kernel, bias, again[0])
    plan.backward(dy, x, kernel, *again[1:])
    for output, repeated in zip(outputs, again, strict=True):
        np.testing.assert_array_equal(output, repeated)


@given(conv_cases(), st.sampled_from([np.inf, 1.5]))
@settings(max_examples=40)
def test_the_sums_are_clipped(case, limit):
    x, kernel = (
        contiguous(case.random(shape, salt)) for salt, shape in enumerate((case.x, case.window))
    )
    bias = contiguous(case.random(case.window[3:], 2))
    plan = Conv2DPlan(case.x, case.window, limit=limit, dtype=case.dtype, **case.options)
    y = np.empty(plan.output_shape, case.dtype)
    plan.forward(x, kernel, bias, y)
    expected = np.clip(ops.conv2d(x, kernel, bias, **case.options), 0, limit)
    np.testing.assert_array_equal(y, expected)


def test_relu_lets_nan_through():
    x, kernel = np.ones((1, 4, 4, 1), np.float32), np.ones((1, 1, 1, 5), np.float32)
    x[0, 1, 1, 0] = np.nan
    plan = Conv2DPlan(x.shape, kernel.shape, limit=np.inf)
    y = np.empty(plan.output_shape, np.float32)
    plan.forward(x, kernel, None, y)
    assert np.isnan(y[0, 1, 1]).all() and np.isnan(y).sum() == 5


@pytest.mark.parametrize("options", [{}, {"strides": 2, "padding": "same"}, {"groups": 2}], ids=str)
def test_what_is_not_asked_for_is_left_out(options):
    rng = np.random.default_rng(0)
    x = rng.random((3, 7, 7, 4), np.float32)
    kernel = rng.random((3, 3, 4 // options.get("groups", 1), 6), np.float32)
    plan = Conv2DPlan(x.shape, kernel.shape, **options)
    dy = rng.random(plan.output_shape, np.float32)
    _, expected, _ = ops.conv2d_backward(dy, x, kernel, **options)
    dkernel = np.full_like(kernel, np.nan)
    plan.backward(dy, x, kernel, None, dkernel, None)
    np.testing.assert_array_equal(dkernel, expected)


@pytest.mark.parametrize("images", [1, 9])
@pytest.mark.parametrize(
    "image, window, strides, padding, groups",
    [
        ((7, 9), (1, 1), 2, 0, 1),
        ((8, 8), (1, 2), 3, 0, 1),
        ((5, 6), (2, 2), 4, 1, 2),
        ((1, 4), (1, 1), (2, 3), 0, 1),
        ((31, 30), (1, 1), (3, 2), ((2, 0), (1, 3)), 1),
        ((2, 2), (1, 1), 3, 1, 1),
    ],
)
def test_inputs_that_no_output_reads_have_no_gradient(
    image, window, strides, padding, groups, images, threads
):
    """They are cleared by the tasks that write the others: each once, and before."""
    rng = np.random.default_rng(0)
    x = rng.random((images, *image, 40), np.float32)
    kernel = rng.random((*window, 40 // groups, 6), np.float32)
    options = {"strides": strides, "padding": padding, "groups": groups}
    plan = Conv2DPlan(x.shape, kernel.shape, **options)
    dy = rng.random(plan.output_shape, np.float32)
    expected, _, _ = reference.conv2d_backward(dy, x, kernel, **options)
    for count in (1, 5):
        threads(count)
        dx = np.full_like(x, np.nan)
        plan.backward(dy, x, kernel, dx, np.empty_like(kernel), None)
        np.testing.assert_allclose(dx, expected, rtol=1e-5, atol=1e-5)
        assert (dx[expected == 0] == 0).all() and (expected == 0).any()


WIDE = [((9, 11), (1, 1), 33, 51), ((13, 12), (2, 2), 42, 15), ((40, 1), (1, 1), 351, 333)]
FEW = [((9, 33), (1, 1), 3, 2), ((11, 70), (3, 2), 3, 5)]
STAGED = [
    *product(WIDE, [{}, {"strides": 2}, {"groups": 3}, {"limit": 1.5}]),
    *product(FEW, [{}, {"limit": 1.5}]),
]


@pytest.mark.parametrize("shapes, options", STAGED, ids=str)
def test_a_stage_in_the_cache_changes_no_bit(shapes, options, threads, monkeypatch):
    """Pixels that are no whole vectors wait for a copy; in place, the sums are the same.

    Few of them are stored there as whole vectors, each of which the next one overwrites.
    """
    image, window, channels, filters = shapes
    rng = np.random.default_rng(0)
    x = rng.random((3, *image, channels), np.float32) - 0.5
    channels //= options.get("groups", 1)
    kernel = rng.random((*window, channels, filters), np.float32) - 0.5
    plan = Conv2DPlan(x.shape, kernel.shape, **options)
    dy = rng.random(plan.output_shape, np.float32) - 0.5
    results, staged = [], []
    buffer_pixels = DirectTables.buffer_pixels
    for count, pixels in ((1, buffer_pixels), (3, buffer_pixels), (1, lambda *_: 0)):
        threads(count)
        monkeypatch.setattr(
            DirectTables, "buffer_pixels", lambda *a, p=pixels: staged.append(p(*a)) or staged[-1]
        )
        y, dx = np.full_like(dy, np.nan), np.full_like(x, np.nan)
        plan.forward(x, kernel, None, y)
        plan.backward(dy, x, kernel, dx, np.empty_like(kernel), None)
        results.append((y.tobytes(), dx.tobytes()))
    assert staged[0] > 0
    assert len(set(results)) == 1


def test_threads_may_change_under_a_plan(threads):
    rng = np.random.default_rng(0)
    x, kernel = rng.random((4, 30, 30, 3), np.float32), rng.random((3, 3, 3, 20), np.float32)
    plan = Conv2DPlan(x.shape, kernel.shape, padding="same")
    results = []
    for count in (1, 4, 2, 5, 1):
        threads(count)
        assert fastconv.get_num_threads() == count
        y = np.empty(plan.output_shape, np.float32)
        plan.forward(x, kernel, None, y)
        dx, dkernel = np.empty_like(x), np.empty_like(kernel)
        plan.backward(y, x, kernel, dx, dkernel, None)
        results.append((y.tobytes(), dx.tobytes(), dkernel.tobytes()))
    assert len(set(results)) == 1


@pytest.mark.parametrize("kind", ["max", "average", "l2"])
@pytest.mark.parametrize(
    "options", [{}, {"pool_size": 3, "strides": 2, "padding": "same"}], ids=str
)
def test_pooling_writes_all_of_its_outputs_and_nothing_else(kind, options):
    x, _ = guarded(np.random.default_rng(0).random((2, 7, 6, 67), np.float32), np.nan)
    plan = Pool2DPlan(kind, x.shape, **options)
    y, check_y = guarded(np.full(plan.output_shape, np.nan, np.float32))
    dx, check_dx = guarded(np.full(x.shape, np.nan, np.float32))
    plan.forward(x, y)
    plan.backward(y, x, dx)
    for output, check in ((y, check_y), (dx, check_dx)):
        assert not np.isnan(output).any()
        check()
