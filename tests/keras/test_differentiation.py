"""What functions of NumPy a loss of one's own may use, and that the gradients are right."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import losses
from fastconv.keras import functions as F
from fastconv.keras.differentiation import Traced, value_and_pullback

X = np.random.default_rng(0).uniform(0.1, 0.9, (3, 4))
Y = np.random.default_rng(1).uniform(0.1, 0.9, (3, 4))

CASES = {
    "arithmetic": lambda x: (2 * x - 1) / (x + Y) ** 2 + (-x) * Y - 3 / x,
    "power": lambda x: F.power(x, 2.5) + F.power(Y, x),
    "functions": lambda x: F.exp(x) * F.log(x) + F.sqrt(x) * F.sin(x) - F.abs(x - 0.5),
    "largest": lambda x: F.maximum(x, Y) * F.minimum(0.4, x) + F.clip(x, 0.3, 0.6),
    "reductions": lambda x: F.sum(x, axis=1, keepdims=True) * F.mean(x, axis=[0]) + F.std(x),
    "extremes": lambda x: F.max(x, axis=-1) - F.min(x, axis=1) * F.var(x, axis=1),
    "places": lambda x: F.reshape(F.transpose(x), (2, 6)) * F.tile(x[:1, :3], (2, 2)),
    "cut": lambda x: F.concatenate([x, 2 * x[1:]], axis=0) * F.expand_dims(x[0], 0),
    "stack": lambda x: F.stack([x, x * x], axis=1) * F.squeeze(F.expand_dims(x[:1], 0), 0),
    "choice": lambda x: F.where(x > 0.5, x * x, 3 * x),
    "product": lambda x: F.matmul(x, Y.T) * F.logsumexp(x, axis=1, keepdims=True),
    "normal": lambda x: F.l2_normalize(x, axis=1) + F.divide_no_nan(x, np.round(Y)),
    "crossentropy": lambda x: F.crossentropy_of_each(np.round(Y), x),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_differences(name):
    function = CASES[name]
    value, pullback = value_and_pullback(function, [X])
    np.testing.assert_allclose(value, function(X))
    dy = np.random.default_rng(2).normal(size=value.shape)
    found = pullback(dy)[0]
    expected = np.zeros_like(X)
    for place in np.ndindex(X.shape):
        step = np.zeros_like(X)
        step[place] = 1e-6
        slope = (np.asarray(function(X + step)) - np.asarray(function(X - step))) / 2e-6
        expected[place] = (slope * dy).sum()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", [losses.binary_crossentropy, losses.MeanSquaredError()])
def test_losses_of_fastconv_within_ones_own(loss):
    x, y = X.astype("float32"), np.round(Y)
    value, pullback = value_and_pullback(lambda p: 2 * loss(y, p), [x])
    found = pullback(np.ones(np.shape(value)))[0]
    for place in ((0, 0), (2, 3)):
        step = np.zeros_like(x)
        step[place] = 1e-3
        slope = np.sum(2 * np.asarray(loss(y, x + step)) - 2 * np.asarray(loss(y, x - step))) / 2e-3
        assert found[place] == pytest.approx(slope, rel=2e-2)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.asarray(x),
        lambda x: np.cumsum(x),
        lambda x: np.arctan2(x, 1),
        lambda x: float(x),
    ],
)
def test_what_has_no_rule_is_refused_by_name(function):
    with pytest.raises(TypeError):
        value_and_pullback(function, [X])


def test_what_has_no_slope_has_none():
    _, pullback = value_and_pullback(lambda x: F.sum(F.round(x) + F.cast(x > 0.5, "float32")), [X])
    assert not pullback(np.ones(())).any()
    assert repr(Traced(X)) == "<Traced of shape (3, 4)>"
