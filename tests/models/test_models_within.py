"""Models within models, and layers at several places, come back from files as they were."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import layers
from fastconv._core import random
from fastconv.models import Model, Sequential, load_model


def tower():
    return Sequential([layers.Input((6,)), layers.Dense(4), layers.Dense(3)], name="tower")


def test_a_model_within_is_saved(tmp_path):
    """Called twice, and with a graph of its own within it."""
    within = tower()
    x = layers.Input((6,))
    branching = Model(x, layers.add([within(x), layers.Dense(3)(x)]), name="branching")
    first, second = layers.Input((6,)), layers.Input((6,))
    outputs = layers.concatenate([branching(first), branching(second), within(second)])
    model = Model([first, second], outputs)
    model.save(tmp_path / "m.npz")
    loaded = load_model(tmp_path / "m.npz")
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in model.layers]
    batch = list(np.random.default_rng(0).normal(size=(2, 5, 6)).astype(np.float32))
    np.testing.assert_array_equal(loaded.predict(batch), model.predict(batch))


def test_a_layer_of_two_shapes_is_saved(tmp_path):
    large, small = layers.Input((8, 8, 3)), layers.Input((6, 6, 3))
    convolution, pooling = layers.Conv2D(4, 3), layers.GlobalMaxPooling2D()
    outputs = layers.add([pooling(convolution(large)), pooling(convolution(small))])
    model = Model([large, small], outputs)
    model.save(tmp_path / "m.npz")
    batch = [np.ones((2, 8, 8, 3), np.float32), np.ones((2, 6, 6, 3), np.float32)]
    loaded = load_model(tmp_path / "m.npz")
    np.testing.assert_array_equal(loaded.predict(batch), model.predict(batch))


def test_a_call_of_another_shape_draws_nothing():
    convolution, within = layers.Conv2D(4, 3), tower()
    convolution(layers.Input((8, 8, 3)))
    before = random.get_state()
    convolution(layers.Input((6, 6, 3)))
    within(layers.Input((6,)))
    assert random.get_state() == before


def test_a_call_that_would_need_other_weights_is_refused():
    convolution = layers.Conv2D(4, 3, name="c")
    convolution(layers.Input((8, 8, 3)))
    with pytest.raises(ValueError, match=r"'c'.*kernel is \(3, 3, 3, 4\), and \(3, 3, 5, 4\)"):
        convolution(layers.Input((8, 8, 5)))
    with pytest.raises(ValueError, match=r"kernel is \(6, 4\), and \(7, 4\)"):
        tower()(layers.Input((7,)))
