"""Cross-entropies of logits and means of losses against their twins, and with any threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv.ops import losses, reference

KINDS = ["sigmoid_cross_entropy", "softmax_cross_entropy"]


def drawn(shape, dtype, seed, spread=5.0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * spread).astype(dtype), rng.random(shape)


@pytest.mark.parametrize("kind", KINDS)
@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple),
    dtype=st.sampled_from([np.float32, np.float64]),
    spread=st.sampled_from([0.0, 1.0, 30.0, 1000.0]),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=50)
def test_against_the_twin(kind, shape, dtype, spread, seed):
    logits, targets = drawn(shape, dtype, seed, spread)
    kept = logits.copy(), targets.copy()
    values, gradient = getattr(losses, kind)(logits, targets)
    expected, expected_gradient = getattr(reference, kind)(logits, targets)
    assert (values.dtype, gradient.dtype) == (np.float64, np.float64)
    np.testing.assert_allclose(values, expected, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(logits, kept[0])
    np.testing.assert_array_equal(targets, kept[1])


@pytest.mark.parametrize("kind", KINDS)
def test_any_layout(kind):
    logits, targets = drawn((7, 5), np.float32, 0)
    expected = getattr(losses, kind)(logits, targets)
    turned = getattr(losses, kind)(np.asfortranarray(logits), np.asfortranarray(targets))
    for one, other in zip(turned, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_nan_stays_in_its_row(kind):
    logits, targets = drawn((6, 3), np.float32, 0)
    logits[2, 1] = np.nan
    values, _ = getattr(losses, kind)(logits, targets)
    np.testing.assert_array_equal(np.isnan(values), np.arange(6) == 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0)], ids=str)
def test_nothing(kind, shape):
    values, gradient = getattr(losses, kind)(np.zeros(shape, np.float32), np.zeros(shape))
    assert (values.shape, gradient.shape) == (shape[:-1], shape)
    assert losses.mean_loss(values, None, gradient)[0] == 0


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (129, 2), (300, 1), (4, 6, 2)], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_mean_loss(shape, weighted):
    rng = np.random.default_rng(1)
    values, gradients = rng.random(shape[:-1]), rng.standard_normal(shape)
    weights = rng.random(shape[:-1]) if weighted else None
    factor = np.ones(shape[:-1]) if weights is None else weights
    mean, gradient = losses.mean_loss(values, weights, gradients)
    assert mean == pytest.approx((values * factor).mean(), rel=1e-14)
    assert (gradient.dtype, gradient.shape) == (np.float32, shape)
    expected = gradients * factor[..., None] / values.size
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_a_long_sum_is_exact_to_rounding():
    values = np.full(2_000_003, 0.1)
    mean, _ = losses.mean_loss(values, None, values[:, None])
    assert mean == pytest.approx(0.1, rel=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_bits_do_not_depend_on_threads(kind, threads):
    logits, targets = drawn((1500, 40), np.float32, 2)
    results = []
    for number in (1, 2, 3, 5):
        threads(number)
        values, gradients = getattr(losses, kind)(logits, targets)
        mean, gradient = losses.mean_loss(values, None, gradients)
        results.append((values, gradients, gradient, mean))
    for result in results[1:]:
        for one, other in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(one, other)


def test_extremes():
    values = np.array([[3.0, -1.0], [2.0, 7.5]])
    assert losses.extremes(values) == (-1.0, 7.5)
    assert losses.extremes(values[:1, :1]) == (3.0, 3.0)
    values[1, 0] = np.nan
    assert all(np.isnan(losses.extremes(values)))
    with pytest.raises(ValueError, match=r"extremes: the values have shape \(0, 2\)"):
        losses.extremes(values[:0])
