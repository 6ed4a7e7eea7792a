"""Batch normalization's passes against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import assert_close

from fastconv.ops.plans import NormalizationPlan

SHAPES = st.tuples(
    st.sampled_from([1, 2, 3, 7, 50, 333, 3000]), st.sampled_from([1, 2, 3, 5, 8, 13, 32, 67, 130])
)


def normal(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@given(SHAPES, st.booleans(), st.integers(0, 100))
def test_against_numpy(shape, relu, seed):
    rows, channels = shape
    x, dy = normal(shape, [seed, 0]) * 2 + 3, normal(shape, [seed, 1])
    center, scale, shift, by_dy, by_x, constant = normal((6, channels), [seed, 2])
    plan = NormalizationPlan(rows, channels, relu=relu)
    mean, variance = plan.moments(x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(variance, exact.var(axis=0), rtol=1e-5, atol=1e-9)
    plan.set_affine(center, scale, shift)
    y, dx = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    plan.forward(x, y)
    linear = (exact - center) * scale + shift
    assert_close(y, np.maximum(linear, 0) if relu else linear, usual=np.abs(linear))
    # Which values pass is what the kernel itself found: near 0 rounding decides.
    passed = np.where(y > 0, dy, 0) if relu else dy
    total, along = plan.sums(dy, x)
    usual = np.sqrt(rows) * 10
    np.testing.assert_allclose(total, passed.sum(axis=0, dtype=float), atol=1e-6 * usual)
    np.testing.assert_allclose(along, (passed * (exact - center)).sum(0), atol=1e-5 * usual)
    plan.input_gradient(dy, x, by_dy, by_x, constant, dx)
    expected = by_dy * passed + by_x * (exact - center) + constant
    assert_close(dx, expected, usual=np.abs(expected))


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
