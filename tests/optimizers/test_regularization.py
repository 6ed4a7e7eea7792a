"""Penalties in training: a part of the loss, and their gradients before the step."""

from __future__ import annotations

import numpy as np
import pytest
from keras_reference import import_keras, keras_test
from optimizer_runs import gradients, new_parameters
from small_models import same_weights

import fastconv
from fastconv import layers, optimizers
from fastconv.models import Sequential, load_model
from fastconv.optimizers import penalty, regularize
from fastconv.regularizers import L1, L2


def test_penalties_are_added_up_and_their_gradients_to_the_gradients():
    first, second, *others = new_parameters()
    first.regularizer, second.regularizer = "l2", L1(0.5)
    for parameter, gradient in zip((first, second, *others), gradients(0), strict=True):
        parameter.gradient = gradient
    expected = L2(0.01)(first.value) + L1(0.5)(second.value)
    parameters = [first, second, *others]
    assert penalty(parameters) == expected
    assert regularize(parameters) == expected
    before = gradients(0)
    np.testing.assert_allclose(first.gradient, before[0] + 0.02 * first.value, rtol=1e-6)
    np.testing.assert_allclose(second.gradient, before[1] + 0.5 * np.sign(second.value), rtol=1e-6)
    for parameter, gradient in zip(others, before[2:], strict=True):
        np.testing.assert_array_equal(parameter.gradient, gradient)


def build(kind, sequential):
    return sequential(
        [
            kind.Input((8, 8, 3)),
            kind.Conv2D(
                4,
                3,
                activation="relu",
                kernel_regularizer="l2",
                bias_regularizer="l1",
                kernel_constraint="unit_norm",
            ),
            kind.BatchNormalization(
                beta_regularizer="l2", gamma_regularizer="l1", gamma_constraint="non_neg"
            ),
            kind.Flatten(),
            kind.Dense(
                40, activation="tanh", kernel_regularizer="l2", kernel_constraint="max_norm"
            ),
            kind.Dense(40, activation="tanh", kernel_constraint="non_neg"),
            kind.Dense(4, activation="softmax", kernel_regularizer="l1", bias_constraint="non_neg"),
        ]
    )


@keras_test
@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.9},
        {"global_clipnorm": 0.3},
        {"clipnorm": 0.1, "weight_decay": 0.1},
        {"clipvalue": 0.02, "use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
    ],
    ids=str,
)
def test_losses_and_weights_are_those_of_keras(options):
    """Descent by the gradient itself, so that no division magnifies its rounding."""
    keras = import_keras()
    theirs, ours = build(keras.layers, keras.Sequential), build(layers, Sequential)
    ours.set_weights(theirs.get_weights())
    for model, kind in ((theirs, keras.optimizers), (ours, optimizers)):
        model.compile(kind.SGD(0.05, **options), "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    for _ in range(5):
        x = rng.normal(size=(16, 8, 8, 3)).astype(np.float32)
        y = rng.integers(0, 4, 16)
        theirs.reset_metrics()
        assert ours.train_on_batch(x, y) == pytest.approx(float(theirs.train_on_batch(x, y)), 1e-5)
    theirs.reset_metrics()
    assert ours.test_on_batch(x, y) == pytest.approx(float(theirs.test_on_batch(x, y)), 1e-5)
    for mine, weight in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, weight, atol=2e-5)


def data(count=24):
    rng = np.random.default_rng(1)
    return rng.normal(size=(count, 8, 8, 3)).astype(np.float32), rng.integers(0, 4, count)


def test_frozen_weights_cost_nothing():
    model = build(layers, Sequential)
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = data()
    costly = model.evaluate(x, y, verbose=0)
    costs = penalty(model.trainable_weights)
    for layer in model.layers:
        layer.trainable = False
    assert penalty(model.trainable_weights) == 0
    assert model.evaluate(x, y, verbose=0) == pytest.approx(costly - costs, rel=1e-6)


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "Nadam", "Lion", "Adagrad", "RMSprop"])
def test_any_number_of_threads_and_a_file_in_between_change_no_bit(kind, tmp_path):
    x, y = data()
    threads = fastconv.get_num_threads()

    def trained(number, path=None):
        fastconv.utils.set_random_seed(3)
        fastconv.set_num_threads(number)
        model = build(layers, Sequential)
        optimizer = getattr(optimizers, kind)(0.01, use_ema=True, ema_momentum=0.5, clipvalue=0.1)
        optimizer.exclude_from_weight_decay(
            var_list=[model.layers[3].weights[0]], var_names=["bias", "beta"]
        )
        optimizer.weight_decay = 0.1
        model.compile(optimizer, "sparse_categorical_crossentropy")
        for step in range(4):
            if step == 2 and path is not None:
                model.save(path)
                model = load_model(path)
            rows = slice(6 * step, 6 * step + 6)
            model.train_on_batch(x[rows], y[rows])
        return model

    try:
        model = trained(1)
        assert same_weights(model, trained(2))
        assert same_weights(model, trained(1, tmp_path / "model.npz"))
    finally:
        fastconv.set_num_threads(threads)


def test_custom_ones_are_found_again(tmp_path):
    def cubes(w):
        return np.sum(np.abs(w) ** 3)

    cubes.gradient = lambda w: 3 * w * np.abs(w)

    def halved(w):
        return w / 2

    model = Sequential(
        [layers.Dense(3, kernel_regularizer=cubes, bias_constraint=halved, input_shape=(4,))]
    )
    model.compile("sgd", "mse")
    model.save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match="unknown regularizer 'cubes'"):
        load_model(tmp_path / "model.npz")
    again = load_model(tmp_path / "model.npz", custom_objects={"cubes": cubes, "halved": halved})
    x, y = np.ones((2, 4), np.float32), np.zeros((2, 3))
    assert again.train_on_batch(x, y) == model.train_on_batch(x, y)
    assert same_weights(model, again)
