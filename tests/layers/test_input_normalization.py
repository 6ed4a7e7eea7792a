"""Normalization: measured and given, beside Keras's."""

from __future__ import annotations

import numpy as np
import pytest
from finite_differences import check_layer, spaced
from keras_reference import import_keras, keras_test

from fastconv import models
from fastconv.layers import Dense, Flatten, Normalization, deserialize, serialize

DATA = np.random.default_rng(1).normal(100, [3, 20, 0], (700, 4, 5, 3)).astype(np.float32)


@keras_test
@pytest.mark.parametrize("axis", [-1, None, (1, 3), (3, 1), 2])
def test_adapts_as_in_keras(axis):
    keras = import_keras()
    theirs, mine = keras.layers.Normalization(axis=axis), Normalization(axis=axis)
    theirs.adapt(DATA)
    mine.adapt(DATA)
    for weight, expected in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=2e-4, atol=1e-4)
    # The third channel is constant, and Keras's float32 says by how little it is not.
    mine.set_weights(theirs.get_weights())
    x = DATA[:5] + 1
    np.testing.assert_allclose(mine(x), np.asarray(theirs(x)), rtol=1e-5, atol=1e-5)
    assert [p.name for p in mine.weights] == ["mean", "variance", "count"]
    assert not mine.trainable_weights


@keras_test
@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize(
    ("axis", "mean", "variance"),
    [
        (-1, [1.0, 2.0, 3.0], [1.0, 4.0, 9.0]),
        (None, 5.0, 2.0),
        (-1, 5.0, 0.0),
        ((2, 3), [1, 2, 3], [4, 5, 6]),
    ],
)
def test_given_numbers_as_in_keras(axis, mean, variance, invert):
    keras = import_keras()
    options = {"axis": axis, "mean": mean, "variance": variance, "invert": invert}
    mine, x = Normalization(**options), spaced((2, 4, 5, 3))
    expected = np.asarray(keras.layers.Normalization(**options)(x))
    np.testing.assert_allclose(mine(x), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(deserialize(serialize(mine))(x), mine(x))
    assert mine.weights == []


def test_batches_measure_what_the_whole_does():
    whole, parts, generated = Normalization(), Normalization(), Normalization()
    whole.adapt(DATA)
    parts.adapt([DATA[:100], DATA[100:101], DATA[101:]])
    generated.adapt((DATA[i : i + 70], np.zeros(70)) for i in range(0, 700, 70))
    mean, variance, _ = whole.get_weights()
    exact = DATA.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(variance, exact.var(axis=(0, 1, 2)), rtol=1e-6, atol=1e-9)
    for other in (parts, generated):
        np.testing.assert_allclose(other.get_weights()[1], variance, rtol=1e-6, atol=1e-9)


def test_gradients():
    layer = Normalization()
    layer.adapt(spaced((8, 3, 3, 2), seed=4))
    check_layer(layer, spaced((2, 3, 3, 2)))
    check_layer(Normalization(mean=1, variance=4, invert=True), spaced((2, 3, 3, 2)))


def test_in_a_model_it_is_measured_at_any_time_and_saved(tmp_path):
    layer = Normalization(input_shape=(4, 5, 3))
    model = models.Sequential([layer, Flatten(), Dense(1)])
    x = DATA[:16]
    before = model.predict(x)
    layer.adapt(DATA)
    after = model.predict(x)
    assert not np.allclose(before, after)
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((16, 1)), verbose=0)
    model.save(tmp_path / "m.npz")
    again = models.load_model(tmp_path / "m.npz")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Normalization(mean=1), "mean is 1 and variance is None; both must"),
        (lambda: Normalization(mean=[1, 2], variance=1), "they must have one shape"),
        (lambda: Normalization(mean=0, variance=-1), "variance is -1; it must be at least 0"),
        (lambda: Normalization(axis=0).adapt(DATA), "axis is .0,.; it must be of known size"),
        (lambda: Normalization(axis=4).adapt(DATA), "axis is .4,.; it must be of the inputs"),
        (lambda: Normalization(mean=1, variance=1).adapt(DATA), "was given its mean"),
        (lambda: Normalization().adapt([]), "the data are empty"),
        (lambda: Normalization().adapt(DATA[:0]), "the data are empty"),
        (lambda: Normalization().adapt(DATA * np.nan), "not finite"),
        (lambda: Normalization().adapt([DATA[..., :2], DATA]), "a batch has shape"),
        (lambda: Normalization(mean=[1, 2], variance=[1, 2])(DATA), "it must have the sizes"),
    ],
)
def test_mistakes_are_named(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_a_failed_adapt_changes_nothing():
    layer = Normalization()
    layer.adapt(DATA)
    kept = layer.get_weights()
    with pytest.raises(ValueError, match="not finite"):
        layer.adapt([DATA, DATA * np.nan])
    for weight, old in zip(layer.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(weight, old)
