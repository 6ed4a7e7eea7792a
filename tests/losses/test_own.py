"""Losses that are functions: what they are given, what they must return, how they are saved."""

import json

import numpy as np
import pytest

from fastconv import layers, losses, utils
from fastconv.models import Sequential, load_model

RNG = np.random.default_rng(0)
TARGETS, PREDICTIONS = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 3)).astype(np.float32)
WEIGHTS = np.array([1, 0, 2, 0.5, 1, 3])


def squared(y_true, y_pred, scale=1.0):
    difference = y_pred - y_true
    return scale * (difference**2).mean(axis=-1), scale * 2 * difference / difference.shape[-1]


def squared_total(y_true, y_pred):
    difference = y_pred - y_true
    return (difference**2).mean(), 2 * difference / difference.size


def alone(y_true, y_pred):
    return ((y_pred - y_true) ** 2).mean(axis=-1)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
def test_a_function_of_each_samples_loss(weights, reduction):
    own = losses.LossFunctionWrapper(squared, reduction=reduction)
    known = losses.MeanSquaredError(reduction=reduction)
    value, gradient = own.value_and_gradient(TARGETS, PREDICTIONS, weights)
    expected, expected_gradient = known.value_and_gradient(TARGETS, PREDICTIONS, weights)
    assert value == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-5, atol=1e-7)
    assert own(TARGETS, PREDICTIONS, weights) == value


def test_a_function_of_whole_images():
    def own(y_true, y_pred):
        difference = y_pred - y_true
        axes = (1, 2, 3)
        return (difference**2).sum(axis=axes), 2 * difference

    y_true, y_pred = RNG.normal(size=(2, 3, 2, 1)), RNG.normal(size=(2, 3, 2, 1))
    value, gradient = losses.get(own).value_and_gradient(y_true, y_pred, [1, 3])
    weights = np.array([1, 3])[:, None, None, None]
    assert value == pytest.approx((weights * (y_pred - y_true) ** 2).sum() / 2)
    np.testing.assert_allclose(gradient, weights * (y_pred - y_true), rtol=1e-6)


def test_a_function_of_the_batch():
    loss = losses.get(squared_total)
    assert loss.name == "squared_total"
    value, gradient = loss.value_and_gradient(TARGETS, PREDICTIONS)
    expected, expected_gradient = losses.get("mse").value_and_gradient(TARGETS, PREDICTIONS)
    assert value == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-5, atol=1e-7)
    for call in (loss.value_and_gradient, lambda *given: loss.check(given[0], (6, 3), given[2])):
        with pytest.raises(ValueError, match=r"'squared_total' returned one number.*cannot be we"):
            call(TARGETS, PREDICTIONS, WEIGHTS)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (alone, TypeError, r"'alone' returned ndarray of shape \(\d,\); it must return \(loss, gr"),
        (lambda t, p: None, TypeError, "returned NoneType; it must"),
        (lambda t, p: [1, p], TypeError, "returned list; it must"),
        (lambda t, p: (1, p, p), TypeError, r"returned \(int, ndarray .*\); it must"),
        (lambda t, p: (1, None), TypeError, "both must be numbers"),
        (lambda t, p: (1, p[0]), ValueError, r"gradient of shape \(3,\); the loss must be one nu"),
        (lambda t, p: (p, p), ValueError, r"a loss of shape \(\d, 3\) and a gradient"),
    ],
)
def test_what_else_it_returns_is_refused(function, error, message):
    loss = losses.get(function)
    for call in (
        lambda: loss.value_and_gradient(TARGETS, PREDICTIONS),
        lambda: loss.check(TARGETS, (6, 3)),
    ):
        with pytest.raises(error, match=message):
            call()
    model = Sequential([layers.Dense(3, input_shape=(2,))])
    model.compile("sgd", function)
    weights = model.get_weights()
    with pytest.raises(error, match=message):
        model.fit(np.ones((6, 2), np.float32), TARGETS, verbose=0)
    assert all(map(np.array_equal, weights, model.get_weights()))


def test_the_predictions_are_not_the_functions_to_change():
    def careless(y_true, y_pred):
        y_pred -= y_true
        return (y_pred**2).mean(axis=-1), 2 * y_pred

    with pytest.raises(ValueError, match="read-only"):
        losses.get(careless).value_and_gradient(TARGETS, PREDICTIONS)


def test_targets_get_the_axis_that_they_lack():
    value, gradient = losses.get(squared).value_and_gradient(TARGETS[:, 0], PREDICTIONS[:, :1])
    assert value == pytest.approx(losses.get("mse")(TARGETS[:, :1], PREDICTIONS[:, :1]), rel=1e-6)
    assert gradient.shape == (6, 1)


def test_a_model_trains_with_it_and_is_saved(tmp_path):
    x, y = RNG.normal(size=(8, 2)).astype(np.float32), RNG.normal(size=(8, 1))
    first, second = (Sequential([layers.Dense(1, input_shape=(2,))]) for _ in range(2))
    second.set_weights(first.get_weights())
    first.compile("sgd", squared)
    second.compile("sgd", "mse")
    for model in (first, second):
        model.fit(x, y, epochs=2, verbose=0, shuffle=False)
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    first.save(tmp_path / "m.npz")
    again = load_model(tmp_path / "m.npz", custom_objects={"squared": squared})
    assert again.loss.fn is squared
    assert again.evaluate(x, y, verbose=0) == first.evaluate(x, y, verbose=0)
    with pytest.raises(ValueError, match="'squared' is not known; give custom_objects="):
        load_model(tmp_path / "m.npz")


def test_it_is_found_by_name():
    with utils.custom_object_scope({"squared": squared}):
        assert losses.get("squared").fn is squared
        loss = losses.LossFunctionWrapper(squared, name="mine", scale=3.0)
        made = losses.get(json.loads(json.dumps(losses.serialize(loss))))
    assert made.get_config() == loss.get_config()
    assert made(TARGETS, PREDICTIONS) == loss(TARGETS, PREDICTIONS)
    assert losses.deserialize("squared", {"squared": squared}).name == "squared"


def test_a_class_of_ones_own_may_define_call_alone_where_nothing_is_trained():
    class Largest(losses.Loss):
        def call(self, y_true, y_pred):
            return np.abs(y_pred - y_true).max(axis=-1)

    loss = Largest(reduction="sum")
    expected = np.abs(PREDICTIONS - TARGETS).max(axis=-1)
    assert loss(TARGETS, PREDICTIONS) == pytest.approx(expected.sum())
    assert loss(TARGETS, PREDICTIONS, WEIGHTS) == pytest.approx((expected * WEIGHTS).sum())
    with pytest.raises(NotImplementedError, match="Largest does not define losses_and_gradient"):
        loss.value_and_gradient(TARGETS, PREDICTIONS)
