import json

import numpy as np
import pytest
from finite_differences import check_layer

from fastconv._core import runtime
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


@pytest.mark.parametrize("rate", [0.001, 0.25, 0.5, 0.9, 1 / 3])
def test_the_share_dropped_is_the_rate(rate):
    layer = Dropout(rate, seed=5)
    shares = [(layer(ones((400, 1000)), training=True) == 0).mean() for _ in range(25)]
    deviation = (rate * (1 - rate) / 10_000_000) ** 0.5
    assert abs(np.mean(shares) - rate) < 5 * deviation
    # And the calls differ as independent draws do.
    assert 0.5 < np.std(shares, ddof=1) / (deviation * 5) < 1.7


def test_places_calls_layers_and_chunks_are_independent():
    def mask(layer):
        return (layer(ones((32, 8192)), training=True) == 0).ravel() - 0.5

    first, second = Dropout(0.5, seed=1), Dropout(0.5, seed=2)
    masks = [mask(first), mask(first), mask(second)]
    count = masks[0].size
    limit = 5 * 0.25 / count**0.5
    for a in masks:
        for lag in (1, 2, 3, 7, 8, 16, 64, 512, 4096, 8192, 16384):
            assert abs((a[lag:] * a[:-lag]).mean()) < limit * 1.1, lag
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert abs((masks[a] * masks[b]).mean()) < limit


@pytest.mark.parametrize("size", [1, 7, 8191, 8192, 8193, 100_003])
def test_threads_do_not_matter_and_backward_drops_the_same(size):
    x = np.random.default_rng(0).normal(size=(1, size)).astype(np.float32)
    before = runtime.get_num_threads()
    runs = []
    try:
        for threads in (1, 2, 5):
            runtime.set_num_threads(threads)
            layer = Dropout(0.4, seed=3)
            y = layer(x, training=True)
            runs.append((y, layer.backward(x).copy()))
    finally:
        runtime.set_num_threads(before)
    for y, dx in runs:
        np.testing.assert_array_equal(y, runs[0][0])
        np.testing.assert_array_equal(dx, y)
    kept = runs[0][0] != 0
    np.testing.assert_array_equal(runs[0][0][kept], (x * np.float32(1 / 0.6))[kept])


def test_what_is_dropped_is_0_whatever_it_was():
    x = np.full((10, 1000), np.inf, np.float32)
    x[::2] = np.nan
    y = Dropout(0.5, seed=0)(x, training=True)
    assert 0.45 < (y == 0).mean() < 0.55
    assert not np.signbit(y[y == 0]).any()


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


@pytest.mark.parametrize(
    ("noise_shape", "error", "message"),
    [
        (3, TypeError, "noise_shape is 3; it must be 1, None or the input's size"),
        ("abc", TypeError, "noise_shape is 'abc'"),
        ((None, 0, 1), ValueError, "noise_shape is 0; it must be at least 1"),
        ((None, -1, 1), ValueError, "noise_shape is -1"),
        ((None, 1.5, 1), TypeError, "noise_shape is 1.5"),
    ],
)
def test_noise_shapes_that_never_fit(noise_shape, error, message):
    with pytest.raises(error, match=message):
        Dropout(0.5, noise_shape)


@pytest.mark.parametrize(
    "noise_shape", [(None, 5, 1, 3), (None, 1, 1, 4), (1, 1), (None,) * 5, (None, 2, None, 3)]
)
def test_noise_shapes_that_do_not_fit_the_input(noise_shape):
    with pytest.raises(ValueError, match=r"Dropout 'd': noise_shape is \(.*axis of the input, \(N"):
        Dropout(0.5, noise_shape, name="d").build((None, 4, 4, 3))


def test_a_noise_shape_with_a_batch_takes_that_batch():
    layer = Dropout(0.5, noise_shape=(6, 1, 4), seed=1)
    y = layer(np.ones((6, 3, 4)), training=True)
    assert (y == y[:, :1]).all()
    with pytest.raises(ValueError, match=r"noise_shape is \(6, 1, 4\).*\(5, 3, 4\)"):
        layer(np.ones((5, 3, 4)), training=True)
    assert layer(np.ones((5, 3, 4))).all()


def test_mistakes():
    with pytest.raises(ValueError, match=r"rate is 1\.5; it must be from 0 to 1"):
        Dropout(1.5)
    with pytest.raises(TypeError, match="rate is 'half'"):
        Dropout("half")
    with pytest.raises(ValueError, match="rate is nan"):
        Dropout(float("nan"))
