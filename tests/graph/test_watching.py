"""Values and gradients of tensors within a graph."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import architectures, utils
from fastconv.graph.watching import gradients_of, map_tensors, values_of
from fastconv.layers import Add, Conv2D, Dense, Flatten, GlobalAveragePooling2D, Input
from fastconv.models import Model


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def branching():
    inputs = Input((6, 6, 2))
    shared = Conv2D(2, 3, padding="same", activation="tanh", name="shared")
    first = shared(inputs)
    x = Add(name="sum")([first, shared(first)])
    return Model(inputs, Dense(3, activation="softmax")(Flatten()(x))), first


def before_softmax(model, x):
    """The outputs without the last activation, from the probabilities."""
    logs = np.log(np.float64(model.predict(x, verbose=0)))
    return logs - logs.mean(axis=1, keepdims=True)


def test_values_are_those_of_a_model_that_ends_there(rng):
    model, first = branching()
    x = rng.standard_normal((3, 6, 6, 2), np.float32)
    (value,) = values_of(model.graph, [first], [x])
    np.testing.assert_array_equal(value, Model(model.input, first).predict(x, verbose=0))


def test_maps_are_named_after_their_layers():
    model, first = branching()
    assert [name for name, _ in map_tensors(model.graph)] == ["shared", "sum"]
    assert map_tensors(model.graph)[0][1] is first


def test_the_inputs_gradient_is_that_of_finite_differences(rng):
    model, _ = branching()
    x = rng.standard_normal((2, 6, 6, 2), np.float32)
    # Weights that add up to 0 do not see what softmax leaves open.
    weights = np.array([[1.0, -1.0, 0.0], [0.5, 0.5, -1.0]], np.float32)
    value, gradient = gradients_of(model.graph, model.inputs[0], [x], weights)
    np.testing.assert_array_equal(value, x)
    for place in [(0, 0, 0, 0), (0, 2, 3, 1), (1, 5, 5, 1), (1, 3, 0, 0)]:
        step = np.zeros_like(x)
        step[place] = 1e-2
        rise = before_softmax(model, x + step) - before_softmax(model, x - step)
        assert gradient[place] == pytest.approx((rise * weights).sum() / 2e-2, rel=2e-2, abs=2e-3)


def test_a_middle_tensors_gradient_counts_all_that_read_it(rng):
    model, first = branching()
    x = rng.standard_normal((2, 6, 6, 2), np.float32)
    weights = np.array([[1.0, -1.0, 0.0]] * 2, np.float32)
    value, gradient = gradients_of(model.graph, first, [x], weights)
    behind = Input((6, 6, 2))
    shared, dense = model.get_layer("shared"), model.layers[-1]
    rest = Model(behind, dense(Flatten()(Add()([behind, shared(behind)]))))
    for place in [(0, 1, 2, 0), (1, 4, 4, 1)]:
        step = np.zeros_like(value)
        step[place] = 1e-2
        rise = before_softmax(rest, value + step) - before_softmax(rest, value - step)
        assert gradient[place] == pytest.approx((rise * weights).sum() / 2e-2, rel=2e-2, abs=2e-3)


def test_layers_act_as_in_prediction_and_nothing_of_the_model_changes(rng):
    utils.set_random_seed(0)
    model = architectures.pawnet((32, 32, 3))
    x = rng.random((2, 32, 32, 3), np.float32)
    before = [weight.copy() for weight in model.get_weights()]
    expected = model.predict(x, verbose=0)
    ones = np.ones((2, 1), np.float32)
    first = gradients_of(model.graph, model.inputs[0], [x], ones)[1]
    second = gradients_of(model.graph, model.inputs[0], [x], ones)[1]
    np.testing.assert_array_equal(first, second)  # no dropout
    assert np.abs(first).max() > 0
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)


def test_an_output_that_does_not_depend_on_a_tensor_is_named(rng):
    inputs = Input((6, 6, 2))
    away = Conv2D(2, 3, name="away")(inputs)
    beside = GlobalAveragePooling2D()(Conv2D(2, 1, name="beside")(inputs))
    model = Model(inputs, [beside, GlobalAveragePooling2D()(away)])
    x = rng.standard_normal((1, 6, 6, 2), np.float32)
    with pytest.raises(ValueError, match="does not depend on what Conv2D 'away' gives"):
        gradients_of(model.graph, away, [x], np.ones((1, 2)))
