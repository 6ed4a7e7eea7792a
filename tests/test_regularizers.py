"""Penalties of weights and their gradients, beside Keras and finite differences."""

from __future__ import annotations

import json

import numpy as np
import pytest
from finite_differences import assert_close, numeric_gradient
from keras_reference import import_keras, keras_test

import fastconv
from fastconv import regularizers
from fastconv.regularizers import L1, L1L2, L2, Regularizer
from fastconv.utils import custom_object_scope

CASES = [L1(), L1(0.3), L2(), L2(0.2), L1L2(), L1L2(0.1, 0.2), L1L2(l2=0.5)]


def weight(shape=(3, 4, 5)):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    # Away from the corner of |w|, where differences say nothing.
    return np.where(np.abs(values) < 0.05, 0.1, values).astype(np.float32)


@keras_test
@pytest.mark.parametrize("regularizer", CASES, ids=str)
def test_penalties_are_those_of_keras(regularizer):
    keras = import_keras()
    theirs = getattr(keras.regularizers, type(regularizer).__name__)(**regularizer.get_config())
    expected = float(theirs(keras.ops.convert_to_tensor(weight())))
    assert regularizer(weight()) == pytest.approx(expected, rel=1e-6)
    assert type(regularizer(weight())) is float


@pytest.mark.parametrize("regularizer", CASES, ids=str)
def test_gradients_are_the_derivatives(regularizer):
    w = weight()
    expected = numeric_gradient(lambda: regularizer(w), w)
    assert_close(regularizer.gradient(w), expected, "gradient")
    total = np.full_like(w, 2)
    regularizer.add_gradient(w, total)
    np.testing.assert_allclose(total, 2 + regularizer.gradient(w), rtol=1e-6)


def test_the_gradient_of_an_absolute_value_is_0_at_0():
    np.testing.assert_array_equal(L1(0.5).gradient(np.float32([0, -0.0, 1, -1])), [0, 0, 0.5, -0.5])
    assert np.isnan(L1(0.5).gradient(np.float32([np.nan]))).all()


@pytest.mark.parametrize("regularizer", CASES, ids=str)
def test_config_fits_json(regularizer):
    saved = json.loads(json.dumps(regularizers.serialize(regularizer)))
    made = regularizers.get(saved)
    assert type(made) is type(regularizer)
    assert made.get_config() == regularizer.get_config()


def test_none_is_none():
    assert regularizers.get(None) is None
    assert regularizers.serialize(None) is None


def test_factors_are_checked():
    with pytest.raises(ValueError, match="L2: l2 is -1; it must be at least 0"):
        L2(-1)
    with pytest.raises(TypeError, match="L1: l1 is 'much'"):
        L1("much")
    with pytest.raises(ValueError, match="L1L2: l2 is inf; it must be a finite number"):
        L1L2(l2=float("inf"))
    regularizer = L2(0.5)
    with pytest.raises(ValueError, match="l2 is -1"):
        regularizer.l2 = -1
    assert L1L2(None, None).get_config() == {"l1": 0.0, "l2": 0.0}


def cubes(w):
    return np.sum(np.abs(w) ** 3)


cubes.gradient = lambda w: 3 * w * np.abs(w)


def test_a_function_with_a_gradient_is_one_and_is_saved_by_its_name():
    made = regularizers.get(cubes)
    w = weight()
    assert made(w) == pytest.approx(cubes(w))
    assert_close(made.gradient(w), numeric_gradient(lambda: made(w), w), "gradient")
    saved = json.loads(json.dumps(regularizers.serialize(made)))
    with pytest.raises(ValueError, match="unknown regularizer 'cubes'"):
        regularizers.get(saved)
    with custom_object_scope({"cubes": cubes}):
        again = regularizers.get(saved)
        assert type(regularizers.get("cubes")) is type(again)
    assert again(w) == made(w)


def test_a_function_without_a_gradient_is_refused():
    with pytest.raises(TypeError, match="'<lambda>' is a function without a gradient; set its"):
        regularizers.get(lambda w: 0.0)


def test_a_class_of_ones_own():
    class Cubes(Regularizer):
        def __call__(self, w):
            return cubes(w)

        def gradient(self, w):
            return cubes.gradient(w)

    w, total = weight(), np.ones_like(weight())
    Cubes().add_gradient(w, total)
    np.testing.assert_allclose(total, 1 + cubes.gradient(w), rtol=1e-6)
    with custom_object_scope({"Cubes": Cubes}):
        assert type(regularizers.get(regularizers.serialize(Cubes()))) is Cubes


def test_mistakes_of_a_class_of_ones_own_are_told():
    class Half(Regularizer):
        def __call__(self, w):
            return 0.0

    with pytest.raises(NotImplementedError, match=r"Half does not define gradient\(w\)"):
        Half().add_gradient(weight(), weight())
    Half.gradient = lambda self, w: np.zeros(3)
    with pytest.raises(ValueError, match=r"returned the shape \(3,\); it must be the weight's"):
        Half().add_gradient(weight(), weight())


def test_keras_names():
    assert fastconv.regularizers.l1 is L1
    assert fastconv.regularizers.l2 is L2
    assert fastconv.regularizers.l1_l2 is L1L2
    with pytest.raises(TypeError, match="here: 3 is no regularizer"):
        regularizers.get(3, owner="here")
