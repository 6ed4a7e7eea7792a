"""Layers that merge, and those around them, in graphs: they must train as in Keras 3."""

import numpy as np
import pytest
from keras_reference import import_keras, keras_test

from fastconv import layers, models
from fastconv.models import load_model


def network(kind, model):
    photo = kind.Input((6, 6, 3))
    x = kind.Conv2D(8, 3, padding="same", activation="gelu")(photo)
    y = kind.Conv2D(8, 1, activation="silu")(photo)
    z = kind.add([x, y])
    weights = kind.Dense(8, activation="hard_sigmoid")(
        kind.GlobalAveragePooling2D(keepdims=True)(z)
    )
    z = kind.Concatenate()([kind.multiply([z, weights]), z, x])
    z = kind.PReLU("ones", shared_axes=[1, 2])(kind.GroupNormalization(4)(z))
    z = kind.UpSampling2D(2, interpolation="bilinear")(kind.Activation("mish")(z))
    z = kind.LayerNormalization()(kind.ZeroPadding2D(2)(kind.Cropping2D(1)(z)))
    z = kind.Subtract()([z, kind.Average()([z, kind.Activation("tanh")(z)])])
    z = kind.Permute((2, 1))(kind.Reshape((-1, 24))(kind.Activation("selu")(z)))
    z = kind.Dense(8, activation="softplus")(kind.Flatten()(kind.UnitNormalization()(z)))
    z = kind.Minimum()([kind.LeakyReLU()(z), kind.Dense(8)(kind.ELU()(z))])
    return model(photo, kind.Softmax()(kind.Dense(3)(z)))


def batch():
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 3)).astype(np.float32)
    return x, np.arange(8) % 3


@keras_test
def test_trains_as_in_keras():
    keras = import_keras()
    theirs, ours = network(keras.layers, keras.Model), network(layers, models.Model)
    ours.set_weights(theirs.get_weights())
    x, y = batch()
    for model in (theirs, ours):
        model.compile("sgd", "sparse_categorical_crossentropy")
    for _ in range(5):
        expected = float(theirs.train_on_batch(x, y))
        assert ours.train_on_batch(x, y) == pytest.approx(expected, rel=1e-5)
    for mine, weight in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, weight, atol=1e-6)


def test_a_sum_of_gradients_that_is_handed_on_is_not_written_over():
    """The gradient of `z` is a sum; `add` hands it on to `x`, whose own sum it becomes part of."""
    x = layers.Input((4,))
    first, second = layers.Dense(100, use_bias=False), layers.Dense(100, use_bias=False)
    a, b = first(x), second(x)
    z = layers.add([a, b])
    model = models.Model(x, layers.add([z, z, a]))
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((2, 4), np.float32), np.zeros((2, 100), np.float32))
    np.testing.assert_allclose(first.kernel.gradient, 1.5 * second.kernel.gradient, rtol=1e-5)


def test_functions_merge_arrays():
    a, b = np.ones((2, 3)), np.full((2, 3), 2.0)
    np.testing.assert_array_equal(layers.add([a, b], name="sum"), 3)
    np.testing.assert_array_equal(layers.subtract([a, b]), -1)
    np.testing.assert_array_equal(layers.multiply([a, b, b]), 4)
    np.testing.assert_array_equal(layers.average([a, b]), 1.5)
    np.testing.assert_array_equal(layers.maximum([a, b]), 2)
    np.testing.assert_array_equal(layers.minimum([a, b]), 1)
    assert layers.concatenate([a, b], axis=1).shape == (2, 6)
    np.testing.assert_array_equal(layers.dot([a, b], axes=1), [[6], [6]])


def test_inputs_that_do_not_fit_are_named():
    first, second = layers.Input((4, 4, 8), name="one"), layers.Input((5, 5, 8), name="other")
    with pytest.raises(
        ValueError, match=r"\(None, 4, 4, 8\) and \(None, 5, 5, 8\) do not fit.*one"
    ):
        layers.add([first, second])


def test_saved_and_loaded(tmp_path):
    model, (x, _) = network(layers, models.Model), batch()
    model.save(tmp_path / "m.npz")
    np.testing.assert_array_equal(load_model(tmp_path / "m.npz").predict(x), model.predict(x))
