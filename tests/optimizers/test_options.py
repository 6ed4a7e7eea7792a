"""What is taken out of weight decay, and gradients clipped by the norm of them all."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from keras_reference import import_keras, keras_test
from optimizer_runs import gradients, new_parameters, run
from small_models import convnet

from fastconv import optimizers
from fastconv.layers.parameter import Parameter
from fastconv.models import load_model
from fastconv.optimizers import SGD, Adam, AdamW


def decayed(optimizer, parameters):
    """Return which parameters a step without a gradient changes."""
    before = [parameter.value.copy() for parameter in parameters]
    for parameter in parameters:
        parameter.gradient = np.zeros(parameter.shape)
    optimizer.apply(parameters)
    pairs = zip(parameters, before, strict=True)
    return [not np.array_equal(parameter.value, old) for parameter, old in pairs]


def excluding(optimizer, **options):
    optimizer.exclude_from_weight_decay(**options)
    return optimizer


@keras_test
def test_exclusions_are_those_of_keras():
    keras = import_keras()
    parameters = new_parameters()
    variables = [keras.Variable(p.value, name=p.name) for p in parameters]
    theirs, ours = keras.optimizers.AdamW(weight_decay=0.5), AdamW(weight_decay=0.5)
    theirs.exclude_from_weight_decay(var_list=[variables[2]], var_names=["w0", "^1"])
    ours.exclude_from_weight_decay(var_list=[parameters[2]], var_names=["w0", "^1"])
    for step in range(3):
        theirs.apply([keras.ops.convert_to_tensor(g) for g in gradients(step)], variables)
        run(ours, parameters, [step])
    for parameter, variable in zip(parameters, variables, strict=True):
        np.testing.assert_allclose(parameter.value, variable.numpy(), rtol=2e-6, atol=2e-6)


def test_a_later_call_replaces_an_earlier_one():
    parameters = new_parameters()
    optimizer = excluding(SGD(weight_decay=0.5), var_list=parameters[:1], var_names=["w1"])
    assert decayed(optimizer, parameters) == [False, False, True, True]
    optimizer.exclude_from_weight_decay(var_names=["w3"])
    assert decayed(optimizer, parameters) == [True, True, True, False]
    optimizer.exclude_from_weight_decay()
    assert decayed(optimizer, parameters) == [True] * 4


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_exclusions_are_kept(kind):
    parameters = new_parameters()
    optimizer = excluding(kind(weight_decay=0.5), var_list=parameters[:1], var_names=["w1"])
    saved = json.loads(json.dumps(optimizers.serialize(optimizer)))
    decayed(optimizer, parameters)
    again = optimizers.get(saved)
    again.set_state(optimizer.get_state(), parameters)
    assert decayed(again, parameters) == [False, False, True, True]
    theirs, copied = copy.deepcopy((parameters, optimizer))
    assert decayed(copied, theirs) == [False, False, True, True]
    # What a user has said before the state comes stays said.
    mine = excluding(kind(weight_decay=0.5), var_list=parameters[3:])
    mine.set_state(optimizer.get_state(), parameters)
    assert decayed(mine, parameters) == [False, True, True, False]


def test_exclusions_of_a_model_that_was_not_trained_yet_are_saved(tmp_path):
    model = convnet(optimizer=SGD(weight_decay=0.5))
    model.optimizer.exclude_from_weight_decay(var_list=model.weights[:1])
    model.save(tmp_path / "model.npz")
    again = load_model(tmp_path / "model.npz")
    assert decayed(again.optimizer, again.trainable_weights)[::2] == [False, True]


def test_mistakes_in_exclusions():
    with pytest.raises(TypeError, match="var_names is 'bias'; it must be a list of texts"):
        SGD().exclude_from_weight_decay(var_names="bias")
    with pytest.raises(ValueError, match=r"SGD: exclude_from_weight_decay: var_names is \['\('\]"):
        SGD().exclude_from_weight_decay(var_names=["("])
    with pytest.raises(TypeError, match=r"one of var_list is 'bias'; .*names go to var_names"):
        SGD().exclude_from_weight_decay(var_list=["bias"])


def two(first, second):
    parameters = [Parameter("a", np.zeros(1)), Parameter("b", np.zeros(1))]
    for parameter, gradient in zip(parameters, (first, second), strict=True):
        parameter.gradient = [gradient]
    return parameters


def test_the_norm_of_all_gradients_is_clipped():
    for gradient, expected in [
        ((3.0, 4.0), (0.6, 0.8)),
        ((0.3, 0.4), (0.3, 0.4)),
        ((0, 0), (0, 0)),
    ]:
        parameters = two(*gradient)
        SGD(1.0, global_clipnorm=1.0).apply(parameters)
        np.testing.assert_allclose([-p.value[0] for p in parameters], expected, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_norm_that_is_no_number_is_not_hidden(bad):
    parameters = two(1.0, bad)
    SGD(1.0, global_clipnorm=1.0).apply(parameters)
    assert all(np.isnan(p.value).all() for p in parameters)
