"""Rescaling: numbers, channels, gradients, configurations."""

from __future__ import annotations

import numpy as np
import pytest
from finite_differences import check_layer, spaced
from keras_reference import import_keras, keras_test

from fastconv.layers import Input, Rescaling, deserialize, serialize
from fastconv.models import Model

CASES = [
    (1 / 255, 0.0, (4, 5, 3)),
    (1 / 127.5, -1.0, (4, 5, 3)),
    ([0.5, 1.0, 2.0], [1.0, -2.0, 0.0], (4, 5, 3)),
    (np.linspace(1, 2, 5).reshape(5, 1), 3, (4, 5, 3)),
    (2.0, [1.0, 2.0, 3.0], (3,)),
]


@keras_test
@pytest.mark.parametrize(("scale", "offset", "shape"), CASES)
def test_as_in_keras(scale, offset, shape):
    keras = import_keras()
    x = 255 * np.random.default_rng(0).random((2, *shape), np.float32)
    expected = np.asarray(keras.layers.Rescaling(scale, offset)(x))
    kept = x.copy()
    for training in (False, True):
        # Where scale x and offset nearly cancel, their last bits are what is left.
        ours = Rescaling(scale, offset)(x, training)
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=3e-7)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize(("scale", "offset", "shape"), CASES)
def test_gradients_and_configuration(scale, offset, shape):
    layer = Rescaling(scale, offset)
    check_layer(layer, spaced((2, *shape)))
    assert layer.output_shape == (None, *shape)
    again = deserialize(serialize(layer))
    x = spaced((2, *shape))
    np.testing.assert_array_equal(again(x), layer(x))


def test_whole_pixels_are_taken():
    pixels = np.full((1, 2, 2, 3), 255, np.uint8)
    np.testing.assert_allclose(Rescaling(1 / 255)(pixels), 1.0)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"Rescaling 'r': scale has shape \(4,\); it must"):
        Rescaling([1, 2, 3, 4], name="r")(np.zeros((1, 2, 2, 3), np.float32))
    with pytest.raises(TypeError, match="scale"):
        Rescaling("much")
    with pytest.raises(ValueError, match="offset is nan"):
        Rescaling(1, float("nan"))


def test_arithmetic_of_tensors_and_numbers_is_rescaling():
    """`x * 2`, `1 - x` and the like, as the functional way has them."""
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    tensor = Input((4,))
    for symbolic, expected in (
        (tensor * 2, x * 2),
        (2 * tensor, x * 2),
        (tensor / 4, x / 4),
        (tensor + 1, x + 1),
        (1 - tensor, 1 - x),
        (tensor - 1.5, x - 1.5),
        (-tensor, -x),
        (tensor * tensor - tensor + tensor, x * x - x + x),
    ):
        np.testing.assert_allclose(Model(tensor, symbolic).predict(x), expected, rtol=1e-6)
