"""Contrast, brightness and erasing beside what Keras makes of the same draws."""

from __future__ import annotations

import numpy as np
import pytest
from keras_reference import import_keras, keras_test

from fastconv import layers


def pictures(count=6, height=9, width=12):
    return 255 * np.random.default_rng(0).random((count, height, width, 3), np.float32)


class Remembering:
    """Keeps what a layer drew."""

    def __init__(self, layer):
        self.drawn = None
        draw = layer._draw

        def remembered(*arguments):
            self.drawn = draw(*arguments)
            return self.drawn

        layer._draw = remembered


@keras_test
@pytest.mark.parametrize("value_range", [(0, 255), (0, 200.0)])
def test_contrast_as_in_keras(value_range):
    keras, x = import_keras(), pictures()
    layer = layers.RandomContrast((0.5, 0.9), value_range=value_range, seed=0)
    memory = Remembering(layer)
    mine = layer(x)
    theirs = keras.layers.RandomContrast((0.5, 0.9), value_range=value_range)
    factors = keras.ops.convert_to_tensor(memory.drawn)
    expected = theirs.transform_images(keras.ops.convert_to_tensor(x), {"contrast_factor": factors})
    np.testing.assert_allclose(mine, np.asarray(expected), atol=2e-3)


@keras_test
@pytest.mark.parametrize("value_range", [(0, 255), (0, 1)])
def test_brightness_as_in_keras(value_range):
    keras, x = import_keras(), pictures() * value_range[1] / 255
    layer = layers.RandomBrightness((-0.5, 0.9), value_range=value_range, seed=0)
    memory = Remembering(layer)
    mine = layer(x)
    theirs = keras.layers.RandomBrightness((-0.5, 0.9), value_range=value_range)
    deltas = keras.ops.convert_to_tensor(memory.drawn)
    expected = theirs.transform_images(keras.ops.convert_to_tensor(x), {"rgb_delta": deltas})
    np.testing.assert_allclose(mine, np.asarray(expected), atol=2e-3)


@pytest.mark.parametrize(
    ("layer", "low", "high"),
    [
        (layers.RandomContrast(0.3), 0.7, 1.3),
        (layers.RandomContrast((0.5, 0.1)), 0.5, 1.1),
        (layers.RandomContrast((0.0, 0.9)), 1.0, 1.9),
        (layers.RandomBrightness(0.2, value_range=(0, 1)), -0.2, 0.2),
        (layers.RandomBrightness((0.1, 0.2), value_range=[-1, 1]), 0.2, 0.4),
    ],
)
def test_draws_fill_their_range(layer, low, high):
    drawn = layer._draw(np.random.default_rng(0), (3000, 4, 4, 3))
    assert low - 1e-6 <= drawn.min() < low + 0.05 * (high - low)
    assert high - 0.05 * (high - low) < drawn.max() <= high + 1e-6


def test_images_are_changed_apart_and_stay_in_range():
    x = np.full((8, 4, 4, 3), 128, np.float32)
    out = layers.RandomBrightness(1.0, seed=0)(x)
    assert len({image[0, 0, 0] for image in out}) > 4
    assert out.min() >= 0 and out.max() <= 255
    np.testing.assert_array_equal(layers.RandomContrast(0.5, seed=0)(x), x)


def rectangle(image, before):
    """The rows and columns that differ, which must be all of a rectangle."""
    changed = np.any(image != before, axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    return len(rows), len(columns)


def test_rectangles_are_erased():
    x = pictures(40, 50, 40)
    out = layers.RandomErasing((1, 1), scale=(0.1, 0.4), seed=0)(x)
    for image, before in zip(out, x, strict=True):
        rows, columns = rectangle(image, before)
        assert 0.1**0.5 * 50 - 1 <= rows <= 0.4**0.5 * 50 + 1
        assert 0.1**0.5 * 40 - 1 <= columns <= 0.4**0.5 * 40 + 1
    assert out.min() >= 0 and out.max() <= 255


def test_how_many_are_erased_and_by_what():
    x = pictures(400, 10, 10) + 1
    for factor, share in ((0.0, 0), ((0.3, 0.3), 0.3), (1.0, 0.5), ((1, 1), 1)):
        out = layers.RandomErasing(factor, fill_value=0, seed=0)(x)
        erased = np.mean(np.any(out != x, axis=(1, 2, 3)))
        assert erased == pytest.approx(share, abs=0.08)
        assert np.all((out == x) | (out == 0))
    out = layers.RandomErasing((1, 1), fill_value=(1.0, 2.0, 300.0), seed=0)(x)
    assert np.all((out == x) | (out == np.array([1.0, 2.0, 255.0], np.float32)))
