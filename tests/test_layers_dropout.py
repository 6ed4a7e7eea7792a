import json

import numpy as np
import pytest
from finite_differences import check_layer

from fastconv.layers import Dropout
from fastconv.utils import set_random_seed


def ones(shape=(64, 100)):
    return np.ones(shape, np.float32)


def test_gradients():
    layer = Dropout(0.4, seed=1)
    layer.build((None, 6))
    start = layer.get_state()
    x = np.random.default_rng(0).normal(size=(4, 6))
    check_layer(layer, x, before_call=lambda: layer.set_state(start))


def test_drops_a_share_and_keeps_the_mean():
    y = Dropout(0.3, seed=0)(ones((500, 200)), training=True)
    assert set(np.unique(y)) == {0, np.float32(1 / 0.7)}
    # 100,000 draws: the share's standard deviation is 0.0014.
    assert abs((y == 0).mean() - 0.3) < 0.006


def test_does_nothing_outside_training():
    x = ones()
    layer = Dropout(0.5)
    layer.build(x.shape)
    assert layer.call(x) is x
    np.testing.assert_array_equal(Dropout(0)(x, training=True), x)
    assert not Dropout(1)(x, training=True).any()


def test_draws_anew_at_each_call_and_repeats_with_the_seed():
    runs = []
    for _ in range(2):
        set_random_seed(11)
        layer = Dropout(0.5)
        runs.append([layer(ones(), training=True) for _ in range(2)])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0][0] != runs[0][1]).any()


def test_state_goes_through_json():
    layer = Dropout(0.5)
    assert layer.get_state() == {}
    layer(ones(), training=True)
    state = json.loads(json.dumps(layer.get_state()))
    expected = layer(ones(), training=True)
    other = Dropout(0.5)
    other.build((None, 100))
    other.set_state(state)
    np.testing.assert_array_equal(other(ones(), training=True), expected)
    with pytest.raises(ValueError, match="not one of a PCG64 generator"):
        other.set_state({"generator": {"bit_generator": "MT19937"}})
    with pytest.raises(ValueError, match="not one of a PCG64 generator"):
        other.set_state({"seed": 3})


def test_noise_shape_shares_draws():
    y = Dropout(0.5, noise_shape=(None, 1, 1, 8), seed=0)(np.ones((4, 5, 6, 8)), training=True)
    assert (y == y[:, :1, :1]).all()
    assert len(np.unique(y)) == 2
    with pytest.raises(ValueError, match="noise_shape"):
        Dropout(0.5, noise_shape=(1, 2, 3)).build((None, 4))


def test_mistakes():
    with pytest.raises(ValueError, match=r"rate is 1\.5; it must be from 0 to 1"):
        Dropout(1.5)
    with pytest.raises(TypeError, match="rate is 'half'"):
        Dropout("half")
    with pytest.raises(ValueError, match="rate is nan"):
        Dropout(float("nan"))
