"""Batch normalization's passes against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import assert_close

from fastconv._core import runtime
from fastconv.ops.plans import NormalizationPlan

LIMITS = st.sampled_from([0.0, np.inf, 1.5])
SHAPES = st.tuples(
    st.sampled_from([1, 2, 3, 7, 50, 333, 3000]), st.sampled_from([1, 2, 3, 5, 8, 13, 32, 67, 130])
)


def normal(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@given(SHAPES, LIMITS, st.integers(0, 100))
def test_against_numpy(shape, limit, seed):
    rows, channels = shape
    x, dy = normal(shape, [seed, 0]) * 2 + 3, normal(shape, [seed, 1])
    center, scale, shift, by_dy, by_x, constant = normal((6, channels), [seed, 2])
    plan = NormalizationPlan(rows, channels, limit=limit)
    mean, variance = plan.moments(x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(variance, exact.var(axis=0), rtol=1e-5, atol=1e-9)
    plan.set_affine(center, scale, shift)
    y, dx = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    plan.forward(x, y)
    linear = (exact - center) * scale + shift
    assert_close(y, np.clip(linear, 0, limit) if limit else linear, usual=np.abs(linear))
    # Which values pass is what the kernel itself found: near 0 rounding decides.
    passed = np.where((y > 0) & (y < limit), dy, 0) if limit else dy
    total, along = plan.sums(dy, x)
    usual = np.sqrt(rows) * 10
    np.testing.assert_allclose(total, passed.sum(axis=0, dtype=float), atol=1e-6 * usual)
    np.testing.assert_allclose(along, (passed * (exact - center)).sum(0), atol=1e-5 * usual)
    plan.input_gradient(dy, x, by_dy, by_x, constant, dx)
    expected = by_dy * passed + by_x * (exact - center) + constant
    assert_close(dx, expected, usual=np.abs(expected))


@given(SHAPES, LIMITS, st.integers(0, 100))
def test_a_residual_is_added_as_if_apart(shape, limit, seed):
    """The same bits as normalization, NumPy's sum and the ReLU; and their gradients."""
    rows, channels = shape
    x, added, dy = normal((3, *shape), seed)
    center, scale, shift, by_dy, by_x, constant = normal((6, channels), [seed, 2])
    plain = NormalizationPlan(rows, channels)
    joined = NormalizationPlan(rows, channels, limit=limit, residual=True)
    y, expected, dx, expected_dx, dz = np.full((5, *shape), np.nan, np.float32)
    for plan in (plain, joined):
        plan.set_affine(center, scale, shift)
    kept = added.copy()
    plain.forward(x, expected)
    expected += added
    if limit:
        np.clip(expected, 0, limit, out=expected)
    joined.forward(x, y, added)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(added, kept)
    exact = (x.astype(np.float64) - center) * scale + shift + added
    assert_close(y, np.clip(exact, 0, limit) if limit else exact, usual=np.abs(exact))
    gated = joined.gate(dy, y, dz)
    np.testing.assert_array_equal(gated, np.where((y > 0) & (y < limit), dy, 0) if limit else dy)
    for found, wanted in zip(joined.sums(gated, x), plain.sums(gated, x), strict=True):
        np.testing.assert_array_equal(found, wanted)
    joined.input_gradient(gated, x, by_dy, by_x, constant, dx)
    plain.input_gradient(gated, x, by_dy, by_x, constant, expected_dx)
    np.testing.assert_array_equal(dx, expected_dx)


def test_gradients_through_a_residual_by_finite_differences():
    """Of relu(scale * (x - center) + shift + residual), the statistics fixed."""
    x, added, dy = normal((3, 7, 5), 0)
    center, scale, shift = normal((3, 5), 1)
    plan = NormalizationPlan(7, 5, limit=np.inf, residual=True)
    plan.set_affine(center, scale, shift)
    y, dx, dz = np.empty((3, 7, 5), np.float32)
    plan.forward(x, y, added)
    gated = plan.gate(dy, y, dz)
    plan.input_gradient(gated, x, scale, 0.0, 0.0, dx)

    def value(x, added):
        return (dy * np.maximum((x - center) * scale + shift + added, 0)).sum()

    exact, step = [array.astype(np.float64) for array in (x, added)], 1e-6
    for number, gradient in enumerate((dx, gated)):
        for index in np.ndindex(x.shape):
            moved = [array.copy() for array in exact]
            moved[number][index] += step
            above = value(*moved)
            moved[number][index] -= 2 * step
            assert gradient[index] == pytest.approx((above - value(*moved)) / 2 / step, abs=1e-5)


@pytest.mark.parametrize("channels", [3, 20, 64])
def test_the_same_bits_with_any_number_of_threads(channels):
    x, added, dy = normal((3, 3000, channels), 0)
    before, found = runtime.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 7):
            runtime.set_num_threads(threads)
            plan = NormalizationPlan(3000, channels, limit=np.inf, residual=True)
            plan.set_affine(*normal((3, channels), 1))
            y, dz, dx = np.empty((3, *x.shape), np.float32)
            plan.forward(x, y, added)
            gated = plan.gate(dy, y, dz)
            plan.input_gradient(gated, x, np.ones(channels), 1.0, 1.0, dx)
            found.append((y, dz, dx, *plan.sums(gated, x)))
    finally:
        runtime.set_num_threads(before)
    for results in found[1:]:
        for result, first in zip(results, found[0], strict=True):
            np.testing.assert_array_equal(result, first)


def test_a_nan_comes_out_and_gets_no_gradient():
    x, added = np.zeros((2, 40, 3), np.float32)
    x[3, 1] = added[20, 2] = np.nan
    plan = NormalizationPlan(40, 3, limit=np.inf, residual=True)
    plan.set_affine(np.zeros(3), np.ones(3), 1.0)
    y, dz = np.empty((2, 40, 3), np.float32)
    plan.forward(x, y, added)
    assert np.isnan(y[3, 1]) and np.isnan(y[20, 2]) and np.isnan(y).sum() == 2
    assert plan.gate(np.ones_like(y), y, dz).sum() == y.size - 2


def test_the_variance_of_a_large_mean_is_exact():
    x = normal((20_000, 24), 0) + 1000
    _, variance = NormalizationPlan(*x.shape).moments(x)
    np.testing.assert_allclose(variance, x.astype(np.float64).var(axis=0), rtol=1e-4)


@pytest.mark.parametrize("shape", [(0, 5), (0, 64)])
def test_no_rows(shape):
    plan = NormalizationPlan(*shape)
    plan.set_affine(*np.ones((3, shape[1])))
    x = np.empty(shape, np.float32)
    plan.forward(x, x)
    np.testing.assert_array_equal(plan.sums(x, x), np.zeros((2, shape[1])))
