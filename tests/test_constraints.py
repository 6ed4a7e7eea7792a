"""What weights become after a step, beside Keras."""

from __future__ import annotations

import json

import numpy as np
import pytest
from keras_reference import import_keras, keras_test

import fastconv
from fastconv import constraints
from fastconv.constraints import Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from fastconv.utils import custom_object_scope

CASES = [
    MaxNorm(),
    MaxNorm(0.5),
    MaxNorm(1.0, axis=[0, 1, 2]),
    MinMaxNorm(),
    MinMaxNorm(0.5, 0.7, rate=0.3, axis=-1),
    NonNeg(),
    UnitNorm(),
    UnitNorm(axis=(0, 1, 2)),
]


def weight():
    values = np.random.default_rng(0).normal(size=(3, 2, 4, 5)).astype(np.float32)
    values[:, 0] *= 0.1
    values[:, :, :, 0] = 0
    return values


@keras_test
@pytest.mark.parametrize("constraint", CASES, ids=str)
def test_results_are_those_of_keras(constraint):
    keras = import_keras()
    config = constraint.get_config()
    theirs = getattr(keras.constraints, type(constraint).__name__)(**config)
    w = weight()
    expected = theirs(keras.ops.convert_to_tensor(w)).numpy()
    actual = constraint(w)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7)
    assert actual.dtype == np.float32
    np.testing.assert_array_equal(w, weight())


@pytest.mark.parametrize("constraint", CASES, ids=str)
def test_config_fits_json(constraint):
    saved = json.loads(json.dumps(constraints.serialize(constraint)))
    made = constraints.get(saved)
    assert type(made) is type(constraint)
    np.testing.assert_array_equal(made(weight()), constraint(weight()))


def half(w):
    return w / 2


def test_a_function_is_one_and_is_saved_by_its_name():
    made = constraints.get(half)
    np.testing.assert_array_equal(made(weight()), weight() / 2)
    saved = json.loads(json.dumps(constraints.serialize(made)))
    with pytest.raises(ValueError, match="unknown constraint 'half'"):
        constraints.get(saved)
    with custom_object_scope({"half": half}):
        np.testing.assert_array_equal(constraints.get(saved)(weight()), weight() / 2)


def test_a_class_of_ones_own():
    class Rounded(Constraint):
        def __call__(self, w):
            return np.round(w)

    with custom_object_scope({"Rounded": Rounded}):
        assert type(constraints.get(constraints.serialize(Rounded()))) is Rounded
    assert Constraint()(3) == 3


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="MaxNorm: max_value is -1"):
        MaxNorm(-1)
    with pytest.raises(TypeError, match=r"UnitNorm: axis is 0\.5; it must be a whole number"):
        UnitNorm([0, 0.5])
    with pytest.raises(TypeError, match="UnitNorm: axis is 'rows'"):
        UnitNorm("rows")
    with pytest.raises(ValueError, match="MinMaxNorm: rate is 2"):
        MinMaxNorm(rate=2)


def test_keras_names():
    assert fastconv.constraints.max_norm is MaxNorm
    assert fastconv.constraints.non_neg is NonNeg
    assert fastconv.constraints.unit_norm is UnitNorm
    assert fastconv.constraints.min_max_norm is MinMaxNorm
    assert constraints.get(None) is None and constraints.serialize(None) is None
    with pytest.raises(TypeError, match="here: 3 is no constraint"):
        constraints.get(3, owner="here")
