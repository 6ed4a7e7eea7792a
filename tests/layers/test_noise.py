import json

import numpy as np
import pytest
from finite_differences import check_layer, spaced

from fastconv.layers import (
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout2D,
)

LAYERS = [
    (GaussianNoise, {"stddev": 0.5}),
    (GaussianDropout, {"rate": 0.3}),
    (AlphaDropout, {"rate": 0.3}),
    (AlphaDropout, {"rate": 0.3, "noise_shape": (None, 1, 1, 3)}),
    (SpatialDropout2D, {"rate": 0.4}),
]


@pytest.mark.parametrize(("cls", "arguments"), LAYERS)
class TestAll:
    def test_gradients(self, cls, arguments):
        layer = cls(**arguments, seed=1)
        layer.build((None, 2, 3, 3))
        start = layer.get_state()
        x = spaced((2, 2, 3, 3))
        check_layer(layer, x, before_call=lambda: layer.set_state(start))

    def test_prediction_changes_nothing(self, cls, arguments):
        x = spaced((2, 2, 3, 3))
        np.testing.assert_array_equal(cls(**arguments)(x), x)

    def test_a_place_of_prediction_draws_nothing_and_lets_gradients_through(self, cls, arguments):
        layer, x = cls(**arguments, seed=1), spaced((2, 2, 3, 3))
        layer.build(x.shape)
        state = layer.get_state()
        layer._workspace.inference = True
        np.testing.assert_array_equal(layer.call(x, training=True), x)
        np.testing.assert_array_equal(layer.backward(x), x)
        assert layer.get_state() == state

    def test_seed_and_state_repeat_it(self, cls, arguments):
        x = spaced((2, 2, 3, 3))
        layer, same, other = cls(**arguments, seed=1), cls(**arguments, seed=1), cls(**arguments)
        first = layer(x, training=True)
        np.testing.assert_array_equal(same(x, training=True), first)
        assert (other(x, training=True) != first).any()
        state = json.loads(json.dumps(layer.get_state()))
        second = layer(x, training=True)
        assert (second != first).any()
        same.set_state(state)
        np.testing.assert_array_equal(same(x, training=True), second)

    def test_config_comes_back(self, cls, arguments):
        layer = cls(**arguments, seed=3)
        config = json.loads(json.dumps(layer.get_config()))
        assert cls.from_config(config).get_config() == config
        assert config["seed"] == 3

    def test_nothing_is_drawn_where_nothing_would_change(self, cls, arguments):
        zero = {name: 0 for name in arguments if name != "noise_shape"}
        layer, x = cls(**zero, seed=1), spaced((2, 2, 3, 3))
        np.testing.assert_array_equal(layer(x, training=True), x)
        np.testing.assert_array_equal(layer.backward(x), x)


def many(layer):
    # 400,000 draws: a mean's deviation is 0.0016 and that of a deviation about as much.
    return layer(np.random.default_rng(0).normal(size=(400, 1000)), training=True)


def test_gaussian_noise_has_its_deviation():
    noise = GaussianNoise(0.4, seed=0)(np.ones((400, 1000)), training=True) - 1
    assert abs(noise.mean()) < 0.004
    assert noise.std() == pytest.approx(0.4, rel=0.01)


def test_gaussian_dropout_has_dropouts_variance():
    factors = GaussianDropout(0.2, seed=0)(np.ones((400, 1000)), training=True)
    assert factors.mean() == pytest.approx(1, abs=0.005)
    assert factors.var() == pytest.approx(0.25, rel=0.02)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(rate):
    y = many(AlphaDropout(rate, seed=0))
    assert abs(y.mean()) < 0.01
    assert y.std() == pytest.approx(1, abs=0.01)
    values, counts = np.unique(y, return_counts=True)
    assert counts.max() / y.size == pytest.approx(rate, abs=0.005)
    alpha_p = -1.6732632423543772 * 1.0507009873554805
    a = ((1 - rate) * (1 + rate * alpha_p**2)) ** -0.5
    assert values[counts.argmax()] == pytest.approx(a * alpha_p - a * alpha_p * rate, rel=1e-5)


def test_spatial_dropout_drops_whole_channels():
    y = SpatialDropout2D(0.5, seed=0)(np.ones((20, 3, 4, 50)), training=True)
    assert set(np.unique(y)) == {0, 2}
    assert (y == y[:, :1, :1]).all()
    assert (y[:, 0, 0] == 0).mean() == pytest.approx(0.5, abs=0.1)
    config = SpatialDropout2D(0.5).get_config()
    assert "noise_shape" not in config and isinstance(SpatialDropout2D(0.5), Dropout)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: GaussianNoise(1.5), "stddev is 1.5; it must be from 0 to 1"),
        (lambda: GaussianDropout(1), "rate is 1; it must be at least 0 and below 1"),
        (lambda: AlphaDropout(1), "rate is 1"),
        (lambda: AlphaDropout(0.5, (None, 2)).build((None, 3)), "noise_shape is"),
        (lambda: SpatialDropout2D(0.5).build((None, 3)), "it must be images"),
    ],
)
def test_mistakes(make, text):
    with pytest.raises(ValueError, match=text):
        make()
