"""Averages of weights: at a training's end, for evaluations, in files and copies."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from keras_reference import import_keras, keras_test
from optimizer_runs import gradients, new_parameters, run
from small_models import convnet, photos, same_weights

from fastconv import optimizers
from fastconv.optimizers import SGD, Adam


def values(parameters):
    return [parameter.value.copy() for parameter in parameters]


def averages(optimizer):
    state = optimizer.get_state()
    return [array for name, array in state.items() if name.endswith("/average")]


def test_averages_begin_with_the_first_step_and_follow():
    parameters = new_parameters()
    optimizer = SGD(0.1, use_ema=True, ema_momentum=0.75)
    run(optimizer, parameters, [0])
    first = values(parameters)
    assert all(map(np.array_equal, averages(optimizer), first))
    run(optimizer, parameters, [1])
    for average, old, new in zip(averages(optimizer), first, values(parameters), strict=True):
        np.testing.assert_allclose(average, 0.75 * old + 0.25 * new, rtol=2e-6, atol=1e-6)


def test_swapping_twice_changes_nothing_and_a_step_swaps_back():
    parameters, twins = new_parameters(), new_parameters()
    optimizer, other = (Adam(0.1, use_ema=True, ema_momentum=0.5) for _ in range(2))
    run(optimizer, parameters, range(3))
    run(other, twins, range(3))
    before, kept = values(parameters), averages(optimizer)
    optimizer.swap_averages()
    assert optimizer.averages_in_model
    assert all(map(np.array_equal, values(parameters), kept))
    optimizer.swap_averages()
    assert not optimizer.averages_in_model
    assert all(map(np.array_equal, values(parameters), before))
    optimizer.swap_averages()
    run(optimizer, parameters, [3])
    run(other, twins, [3])
    assert all(map(np.array_equal, values(parameters), values(twins)))
    assert all(map(np.array_equal, averages(optimizer), averages(other)))


def test_final_values_are_the_averages_swapped_or_not():
    for swapped in (False, True):
        parameters = new_parameters()
        optimizer = SGD(0.1, use_ema=True, ema_momentum=0.5)
        run(optimizer, parameters, range(3))
        kept = averages(optimizer)
        if swapped:
            optimizer.swap_averages()
        optimizer.finalize_variable_values(parameters)
        assert all(map(np.array_equal, values(parameters), kept))
        assert not optimizer.averages_in_model


def test_what_was_never_trained_has_no_average():
    parameters = new_parameters()
    optimizer = SGD(0.1, use_ema=True)
    optimizer.build(parameters)
    parameters[0].value = np.ones(parameters[0].shape)
    before = values(parameters)
    optimizer.finalize_variable_values(parameters)
    optimizer.swap_averages()
    assert all(map(np.array_equal, values(parameters), before))
    with pytest.raises(ValueError, match="SGD: use_ema is False; it must be True"):
        SGD().swap_averages()


@keras_test
def test_fit_ends_with_the_averages_as_in_keras():
    keras = import_keras()
    x, y = photos(24)
    ours = convnet(dropout=0.0, optimizer=SGD(0.1, use_ema=True, ema_momentum=0.8))
    theirs = keras.Sequential(
        [
            keras.layers.Input((12, 12, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    theirs.set_weights(ours.get_weights())
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8)
    theirs.compile(optimizer, "binary_crossentropy")
    for model in (ours, theirs):
        model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    for mine, weight in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, weight, atol=2e-5)


@pytest.mark.parametrize("way", ["copy", "state"])
def test_copies_and_states_have_averages(way):
    model, twin = (convnet(dropout=0.0, optimizer=Adam(0.01, use_ema=True)) for _ in range(2))
    twin.set_weights(model.get_weights())
    x, y = photos(16)
    for one in (model, twin):
        one.train_on_batch(x, y)
    model.optimizer.swap_averages()
    if way == "copy":
        model = copy.deepcopy(model)
    else:
        state = model.optimizer.get_state()
        model.optimizer = optimizers.Adam(0.01, use_ema=True)
        model.optimizer.set_state(state, model.trainable_weights)
    assert model.optimizer.averages_in_model
    for one in (model, twin):
        one.train_on_batch(x, y)
        one.optimizer.finalize_variable_values(one.trainable_weights)
    assert same_weights(model, twin)


def test_a_state_without_averages_is_refused():
    parameters = new_parameters()
    plain = SGD(0.1)
    run(plain, parameters, [0])
    with pytest.raises(ValueError, match="'0/average' is missing"):
        SGD(0.1, use_ema=True).set_state(plain.get_state(), parameters)


def test_frozen_parameters_keep_value_and_average():
    parameters = new_parameters()
    optimizer = SGD(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=1)
    run(optimizer, parameters, range(2))
    before = parameters[0].value.copy()
    for parameter, gradient in zip(parameters, gradients(2), strict=True):
        parameter.gradient = gradient
    optimizer.apply(parameters[1:])
    np.testing.assert_array_equal(parameters[0].value, before)
