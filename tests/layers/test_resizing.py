"""Resizing and CenterCrop, beside Keras's, and their gradients."""

from __future__ import annotations

import numpy as np
import pytest
from finite_differences import check_layer, spaced
from keras_reference import import_keras, keras_test

from fastconv import models
from fastconv.layers import CenterCrop, Conv2D, Resizing, deserialize, serialize

SIZES = [(8, 8), (5, 11), (13, 4), (7, 9)]


def pictures(height=9, width=12):
    return 255 * np.random.default_rng(0).random((2, height, width, 3), np.float32)


@keras_test
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "options",
    [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True, "fill_value": 9.0}],
)
def test_resizes_as_in_keras(size, options):
    keras, x = import_keras(), pictures()
    mine, theirs = Resizing(*size, **options), keras.layers.Resizing(*size, **options)
    expected = np.asarray(theirs(x))
    np.testing.assert_allclose(mine(x), expected, atol=1e-3)
    np.testing.assert_allclose(mine(x, training=False), expected, atol=1e-3)
    np.testing.assert_allclose(mine(x[0]), expected[0], atol=1e-3)
    assert mine.output_shape == (None, *size, 3)
    theirs_config = theirs.get_config()
    config = {key: value for key, value in mine.get_config().items() if key in theirs_config}
    assert config == {key: theirs_config[key] for key in config} | {"name": mine.name}
    assert set(theirs_config) - set(config) == {"dtype", "data_format"}


@keras_test
@pytest.mark.parametrize("size", [*SIZES, (9, 12), (20, 30), (30, 3)])
def test_crops_as_in_keras(size):
    keras, x = import_keras(), pictures()
    mine = CenterCrop(*size)
    expected = np.asarray(keras.layers.CenterCrop(*size)(x))
    np.testing.assert_allclose(mine(x), expected, atol=1e-3)
    np.testing.assert_array_equal(deserialize(serialize(mine))(x), mine(x))


@pytest.mark.parametrize("size", [(3, 6), (9, 4)])
@pytest.mark.parametrize(
    "make",
    [
        CenterCrop,
        Resizing,
        lambda *size: Resizing(*size, "nearest"),
        lambda *size: Resizing(*size, "bicubic", pad_to_aspect_ratio=True, fill_value=3.0),
        lambda *size: Resizing(*size, "lanczos3", crop_to_aspect_ratio=True, antialias=True),
    ],
)
def test_gradients(make, size):
    check_layer(make(*size), spaced((2, 5, 6, 2)))


def test_convolutions_before_it_are_trained():
    model = models.Sequential([Conv2D(2, 3, input_shape=(8, 8, 1)), Resizing(4, 4)])
    model.compile("sgd", "mse")
    before = model.get_weights()[0]
    model.fit(np.ones((4, 8, 8, 1)), np.zeros((4, 4, 4, 2)), verbose=0)
    assert not np.allclose(before, model.get_weights()[0])


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="interpolation is 'area'; it must be 'nearest' or"):
        Resizing(2, 2, "area")
    with pytest.raises(ValueError, match="give one"):
        Resizing(2, 2, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True)
    with pytest.raises(ValueError, match=r"it must be images, \(batch, height, width, channels\)"):
        Resizing(2, 2)(np.zeros((4, 4), np.float32))
    with pytest.raises(ValueError, match="height is 0"):
        CenterCrop(0, 2)
