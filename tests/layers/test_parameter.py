"""What a weight costs and what bounds it: from a layer's options to its parameters."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from keras_reference import import_keras, keras_test

from fastconv import constraints, layers, regularizers
from fastconv.layers.parameter import Parameter

OPTIONS = {
    "Conv2D": {
        "filters": 2, "kernel_size": 3, "kernel_regularizer": "l2", "bias_regularizer": "l1",
        "kernel_constraint": "max_norm", "bias_constraint": "non_neg",
    },
    "Dense": {
        "units": 2, "kernel_regularizer": "L1L2", "bias_regularizer": "l2",
        "kernel_constraint": "unit_norm", "bias_constraint": "non_neg",
    },
    "BatchNormalization": {
        "gamma_regularizer": "l2", "beta_regularizer": "l1", "gamma_constraint": "non_neg",
        "beta_constraint": "unit_norm",
    },
}  # fmt: skip
PENALTIES = [
    f"{weight}_{kind}"
    for weight in ("kernel", "bias", "gamma", "beta")
    for kind in ("regularizer", "constraint")
]


@keras_test
@pytest.mark.parametrize("kind", OPTIONS)
def test_weights_have_what_keras_gives_them(kind):
    keras = import_keras()
    ours, theirs = (getattr(room, kind)(**OPTIONS[kind]) for room in (layers, keras.layers))
    for layer in (ours, theirs):
        layer.build((None, 8, 8, 3))
    for parameter, variable in zip(ours.weights, theirs.weights, strict=True):
        assert parameter.name == variable.name
        for what in ("regularizer", "constraint"):
            mine, other = getattr(parameter, what), getattr(variable, what)
            assert type(mine).__name__ == type(other).__name__
            assert mine is None or mine.get_config() == pytest.approx(other.get_config())


@keras_test
@pytest.mark.parametrize("kind", OPTIONS)
def test_configurations_are_those_of_keras_and_come_back(kind):
    keras = import_keras()
    config = json.loads(json.dumps(getattr(layers, kind)(**OPTIONS[kind]).get_config()))
    assert getattr(layers, kind).from_config(config).get_config() == config
    expected = getattr(keras.layers, kind)(**OPTIONS[kind]).get_config()
    for name in set(OPTIONS[kind]) & set(PENALTIES):
        assert config[name]["class_name"] == expected[name]["class_name"]
        assert config[name]["config"] == pytest.approx(expected[name]["config"])
    given = {name: value for name, value in OPTIONS[kind].items() if name not in PENALTIES}
    plain = getattr(layers, kind)(**given).get_config()
    assert [plain[name] for name in OPTIONS[kind] if name in PENALTIES] == [None] * 4


def test_a_layer_of_ones_own_says_so_in_add_weight():
    class Scale(layers.Layer):
        def build(self, input_shape):
            self.factor = self.add_weight((3,), "ones", regularizer="l2", constraint=np.abs)

    layer = Scale()
    layer.build((None, 3))
    assert type(layer.factor.regularizer) is regularizers.L2
    np.testing.assert_array_equal(layer.factor.constraint(np.float32([-1, 2])), [1, 2])


def test_parameters_take_them_at_any_time_and_copies_have_them():
    parameter = Parameter("w", np.ones(3), regularizer="l1")
    parameter.constraint = constraints.MaxNorm(3)
    parameter.regularizer = regularizers.L2(0.5)
    for one in (copy.copy(parameter), pickle.loads(pickle.dumps(parameter))):
        assert one.regularizer.get_config() == {"l2": 0.5}
        assert one.constraint.get_config() == {"max_value": 3.0, "axis": 0}
    with pytest.raises(ValueError, match="Parameter 'w': regularizer: unknown regularizer 'l3'"):
        parameter.regularizer = "l3"
    assert parameter.regularizer.get_config() == {"l2": 0.5}


def test_penalties_of_outputs_are_refused():
    with pytest.raises(ValueError, match="Dense 'd': activity_regularizer is 'l2'; it must be No"):
        layers.Dense(2, activity_regularizer="l2", name="d")
    assert layers.Dense(2, activity_regularizer=None)
