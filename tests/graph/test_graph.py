"""Graphs as they are made: their order, and what a mistake is told by."""

from __future__ import annotations

import re

import numpy as np
import pytest
from keras_reference import import_keras, keras_test

from fastconv import layers, models
from fastconv.layers import Add, Concatenate, Dense, Flatten, Input, MaxPooling2D


def image(name="image"):
    return Input((8, 8, 4), name=name)


def row(name="row", size=3):
    return Input((size,), name=name)


def small(tensor, name="pool"):
    return MaxPooling2D(name=name)(tensor)


def two():
    """Return a compiled model with two inputs and two outputs."""
    first, second = row("first"), row("second")
    added = Add(name="added")([first, second])
    outputs = [Dense(2, name="wide")(added), Dense(1, name="narrow")(first)]
    model = models.Model([first, second], outputs, name="two")
    model.compile("sgd", "mse")
    return model


ROWS = np.zeros((4, 3), np.float32)
WIDE, NARROW = np.zeros((4, 2), np.float32), np.zeros((4, 1), np.float32)

MISTAKES = {
    "Add of unlike sizes": (
        lambda x: Add(name="sum")([x, small(x)]),
        ValueError,
        "Add 'sum'.*(None, 8, 8, 4) and (None, 4, 4, 4).*equal along each axis.*InputLayer 'image'"
        ".*MaxPooling2D 'pool'",
    ),
    "Concatenate of unlike sizes": (
        lambda x: Concatenate(name="joined")([x, small(x)]),
        ValueError,
        "Concatenate 'joined'.*(None, 8, 8, 4).*(None, 4, 4, 4).*but those along axis -1.*'pool'",
    ),
    "Dense after an unknown size": (
        lambda x: Dense(3, name="head")(Flatten()(Input((None, None, 3)))),
        ValueError,
        "Dense 'head': the input has shape (None, None).*give Input every size.*Pooling",
    ),
    "an output that needs another input": (
        lambda x: models.Model(x, Dense(2, name="head")(row()), name="net"),
        ValueError,
        "Model 'net':.*Dense 'head'> needs InputLayer 'row'.*add its tensor to inputs",
    ),
    "one name twice": (
        lambda x: models.Model(x, Dense(2, name="same")(Dense(2, name="same")(x)), name="net"),
        ValueError,
        "Model 'net': two layers have the name 'same'; names must differ",
    ),
    "a list for one tensor": (
        lambda x: Dense(2, name="head")([row("a"), row("b")]),
        ValueError,
        "Dense 'head': the input is a list of 2 tensors; it must be one; merge them",
    ),
    "one tensor for a list": (
        lambda x: Add(name="sum")(x),
        TypeError,
        "Add 'sum'.*InputLayer 'image'>; it must be a list of tensors",
    ),
    "an array among tensors": (
        lambda x: Add(name="sum")([row(), ROWS]),
        TypeError,
        "Add 'sum': the input has ndarray among tensors.*Input(shape)",
    ),
    "arrays as inputs": (
        lambda x: models.Model(ROWS, WIDE, name="net"),
        TypeError,
        "Model 'net': inputs has ndarray; it must be tensors, as Input(shape)",
    ),
    "an array as output": (
        lambda x: models.Model(x, ROWS, name="net"),
        TypeError,
        "Model 'net': outputs has ndarray; it must be tensors",
    ),
    "a layer as output": (
        lambda x: models.Model(x, Dense(2), name="net"),
        TypeError,
        "Model 'net': outputs has Dense; it must be tensors",
    ),
    "no outputs": (
        lambda x: models.Model(x, name="net"),
        ValueError,
        "Model 'net': outputs is None",
    ),
    "one input twice": (
        lambda x: models.Model([x, x], x, name="net"),
        ValueError,
        "Model 'net': inputs has a tensor twice",
    ),
    "too few inputs": (
        lambda x: two()(ROWS),
        ValueError,
        "Model 'two': call: x is one array; it must be a list of 2, or a dict: 'first', 'second'",
    ),
    "too few inputs to predict on": (
        lambda x: two().predict(ROWS, verbose=0),
        ValueError,
        "Model 'two': predict: x is one array; it must be a list of 2",
    ),
    "too many inputs": (
        lambda x: two()([ROWS] * 3),
        ValueError,
        "Model 'two': call: x is 3 of them; it must be a list of 2",
    ),
    "inputs of other names": (
        lambda x: two()({"first": ROWS, "third": ROWS}),
        ValueError,
        "x has 'first', 'third'; it must have 'first', 'second'",
    ),
    "too few tensors": (
        lambda x: two()(row()),
        ValueError,
        "Model 'two': the input is 1 arrays or tensors; the model has 2 inputs",
    ),
    "tensors that do not fit within a model": (
        lambda x: two()([row("a"), row("b", 7)]),
        ValueError,
        "Model 'two': Add 'added': inputs of shapes (None, 3) and (None, 7) do not fit",
    ),
    "an array of another shape": (
        lambda x: two()([ROWS, np.zeros((4, 5))]),
        ValueError,
        "Model 'two': call: x[1] has shape (4, 5); it must be (None, 3)",
    ),
    "targets of other names": (
        lambda x: two().fit([ROWS, ROWS], {"wide": WIDE, "other": NARROW}, verbose=0),
        ValueError,
        "Model 'two': fit: y has 'wide', 'other'; it must have 'wide', 'narrow'",
    ),
    "targets of one output": (
        lambda x: two().fit([ROWS, ROWS], {"wide": WIDE}, verbose=0),
        ValueError,
        "Model 'two': fit: output 'narrow': y has no targets for it, and it has a loss",
    ),
    "targets in the wrong order": (
        lambda x: two().fit([ROWS, ROWS], [NARROW, WIDE], verbose=0),
        ValueError,
        "Model 'two': fit: output 'wide':.*(4, 1).*(4, 2)",
    ),
    "losses of other names": (
        lambda x: two().compile("sgd", {"wide": "mse", "other": "mse"}),
        ValueError,
        "Model 'two': compile: loss has 'other'; outputs are 'wide', 'narrow'",
    ),
    "a shared layer on another size": (
        lambda x: two().get_layer("wide")(row("other", 5)),
        ValueError,
        "Dense 'wide': the input has shape (None, 5); the layer is built for (None, 3): its kernel "
        "is (3, 2), and (5, 2) would be needed",
    ),
    "a model of two inputs in a Sequential": (
        lambda x: models.Sequential([row(), two()]),
        ValueError,
        "Model 'two':.*has 2 inputs",
    ),
    "a tensor that is cut": (lambda x: x[0], TypeError, "'image'> cannot be cut; use layers"),
    "training that is neither": (
        lambda x: layers.Dropout(0.5, name="drop")(x, training="yes"),
        TypeError,
        "Dropout 'drop': training is 'yes'; it must be True or False",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_names_the_place_and_the_remedy(mistake):
    make, error, text = MISTAKES[mistake]
    pattern = re.escape(text).replace(r"\.\*", ".*")
    with pytest.raises(error, match=f"(?s){pattern}") as found:
        make(image())
    assert str(found.value).count("the inputs are") <= 1


def test_a_call_that_fails_leaves_nothing():
    x = image()
    before = len(x.node.layer._nodes)
    wide = Dense(3)
    with pytest.raises(ValueError):
        wide(Input((None,)))
    with pytest.raises(ValueError):
        Add()([x, small(x)])
    assert len(x.node.layer._nodes) == before and not wide.built and not wide.weights
    assert wide(row()).shape == (None, 3)


@keras_test
def test_calls_of_one_layer_run_in_the_order_of_keras():
    """What a normalization has seen last counts most in its moving averages."""
    keras = import_keras()

    def build(kind, model):
        x = kind.Input((4,))
        normalization = kind.BatchNormalization(momentum=0.3)
        y = kind.Dense(4, kernel_initializer="ones")(x)
        first, second = normalization(y), normalization(x)
        return model(x, kind.Add()([kind.Dense(4, kernel_initializer="ones")(second), first]))

    x = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    found = []
    for kind, model in ((keras.layers, keras.Model), (layers, models.Model)):
        made = build(kind, model)
        made.compile("sgd", "mse")
        made.train_on_batch(x, np.zeros_like(x))
        found.append(made.get_weights())
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@keras_test
def test_layers_are_in_the_order_of_keras():
    keras = import_keras()

    def names(kind, model):
        x, unread = kind.Input((4,), name="x"), kind.Input((4,), name="unread")
        shared = kind.Dense(4, name="shared")
        short = kind.Dense(4, name="short")(x)
        long = shared(kind.Dense(4, name="deep")(shared(short)))
        y = kind.Concatenate(name="joined")([long, kind.Dense(2, name="side")(x), short])
        return [layer.name for layer in model([x, unread], [y, short]).layers]

    assert names(layers, models.Model) == names(keras.layers, keras.Model)


def test_sizes_that_are_known_late_may_be_repeated():
    """An addition is part of a normalization only where both sizes are known to be the same."""
    x, z = Input((None, None, 4)), Input((None, None, 4))
    model = models.Model([x, z], layers.ReLU()(Add()([layers.BatchNormalization()(x), z])))
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    large, small = (rng.normal(size=(2, n, n, 4)).astype(np.float32) for n in (5, 1))
    for pair in ([large, small], [small, large], [large, large]):
        expected = np.maximum(pair[0] / np.sqrt(np.float32(1.001)) + pair[1], 0)
        np.testing.assert_allclose(model(pair), expected, atol=1e-6)
        model.test_on_batch(pair, np.zeros_like(large))
    model.train_on_batch([large, small], np.zeros_like(large))


def test_a_graph_of_unknown_sizes_is_that_of_each_size(tmp_path):
    def build(size):
        x = Input((size, size, 3))
        y = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
        down = MaxPooling2D(padding="same")(layers.SeparableConv2D(8, 3, padding="same")(y))
        down = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(down))
        up = layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu")(down)
        y = layers.Conv2D(4, 3, strides=2)(layers.ReLU()(Add()([up, y])))
        pooled = layers.GlobalAveragePooling2D()(layers.AveragePooling2D(3, 1)(y))
        model = models.Model(x, [y, Dense(2)(pooled)])
        model.compile("adam", "mse")
        return model

    free = build(None)
    assert [one.shape for one in free.outputs] == [(None, None, None, 4), (None, 2)]
    free.save(tmp_path / "free.npz")
    for size in (8, 10, 8):
        fixed = build(size)
        fixed.set_weights(free.get_weights())
        again = models.load_model(tmp_path / "free.npz")
        again.set_weights(free.get_weights())
        rng = np.random.default_rng(size)
        x = rng.normal(size=(4, size, size, 3)).astype(np.float32)
        targets = [rng.normal(size=(4, *one.shape[1:])) for one in fixed.outputs]
        for mine, other, loaded in zip(*(m(x) for m in (free, fixed, again)), strict=True):
            np.testing.assert_allclose(mine, other, rtol=0, atol=1e-5)
            assert np.array_equal(mine, loaded)
        assert free.test_on_batch(x, targets) == pytest.approx(fixed.test_on_batch(x, targets))
        free.train_on_batch(x, targets)
