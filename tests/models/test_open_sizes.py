"""Networks whose images may have any height and width: `Input((None, None, 3))`."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import layers
from fastconv.models import Model, Sequential, clone_model, load_model


def network(size):
    """Return a model in which sizes go through every kind of layer of images."""
    fastconv.utils.set_random_seed(1)
    inputs = layers.Input((size, size, 3))
    x = layers.BatchNormalization()(inputs)
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    down = layers.MaxPooling2D()(x)
    x = layers.BatchNormalization()(layers.SeparableConv2D(4, 3, padding="same")(down))
    x = layers.ReLU()(layers.Add()([x, down]))
    x = layers.Concatenate()([layers.DepthwiseConv2D(3, padding="same")(x), down])
    x = layers.Conv2DTranspose(4, 3, padding="same")(layers.UpSampling2D()(x))
    x = layers.LeakyReLU()(layers.Cropping2D(1)(layers.ZeroPadding2D(1)(x)))
    scaled = layers.Multiply()([x, layers.GlobalMaxPooling2D(keepdims=True)(x)])
    whole = layers.Dense(3)(layers.GlobalAveragePooling2D()(scaled))
    return Model(inputs, [layers.Conv2D(2, 1, activation="softmax")(scaled), whole])


def test_they_compute_what_those_of_known_sizes_do():
    free, fixed = network(None), network(16)
    assert free.output_shape == [(None, None, None, 2), (None, 3)]
    x = np.random.default_rng(0).random((4, 16, 16, 3), np.float32)
    targets = [np.zeros((4, 16, 16, 1)), np.zeros((4, 3))]
    for model in (free, fixed):
        model.compile("sgd", ["sparse_categorical_crossentropy", "mse"], metrics=[["accuracy"], []])
        model.fit(x, targets, epochs=2, shuffle=False, verbose=0)
    for ours, theirs in zip(free.get_weights(), fixed.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(free.predict(x, verbose=0), fixed.predict(x, verbose=0), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_they_take_other_sizes_and_are_saved(tmp_path):
    model = network(None)
    x = np.random.default_rng(0).random((2, 20, 24, 3), np.float32)
    maps, whole = model.predict(x, verbose=0)
    assert maps.shape == (2, 20, 24, 2) and whole.shape == (2, 3)
    assert model.predict(x[:, :12, :14], verbose=0)[0].shape == (2, 12, 14, 2)
    model.save(tmp_path / "m.npz")
    again = load_model(tmp_path / "m.npz").predict(x, verbose=0)[0]
    np.testing.assert_array_equal(again, maps)
    assert clone_model(model).output_shape == model.output_shape


def test_what_needs_a_size_says_so():
    with pytest.raises(ValueError, match=r"Dense 'dense.*': the input has shape .None, None."):
        Sequential([layers.Input((None, None, 3)), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ValueError, match="its number of channels must be known"):
        layers.Conv2D(2, 3)(layers.Input((8, 8, None)))
    inputs = layers.Input((None, None, 2))
    half = layers.UpSampling2D()(layers.MaxPooling2D()(inputs))
    model = Model(inputs, layers.Concatenate()([inputs, half]))
    assert model.predict(np.ones((1, 4, 4, 2)), verbose=0).shape == (1, 4, 4, 4)
    with pytest.raises(ValueError, match="Concatenate 'concatenate"):
        model.predict(np.ones((1, 5, 5, 2)), verbose=0)
