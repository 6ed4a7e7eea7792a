"""Constraints in training: after the step, also of a gradient that is never written out."""

from __future__ import annotations

import numpy as np
import pytest
from optimizer_runs import new_parameters, run

from fastconv import layers
from fastconv.layers.parameter import Parameter
from fastconv.models import Sequential
from fastconv.optimizers import SGD, Adam


def test_what_a_step_gives_is_constrained():
    parameters, free = new_parameters(), new_parameters()
    parameters[1].constraint = "non_neg"
    run(Adam(0.1), parameters, range(3))
    run(Adam(0.1), free, range(3))
    assert (parameters[1].value >= 0).all() and (free[1].value < 0).any()
    for one, other in zip(parameters[2:], free[2:], strict=True):
        np.testing.assert_array_equal(one.value, other.value)


def test_a_deferred_gradient_is_followed_by_the_constraint():
    model = Sequential(
        [
            layers.Dense(40, activation="tanh", input_shape=(30,)),
            layers.Dense(40, activation="tanh", kernel_constraint="max_norm"),
            layers.Dense(1),
        ]
    )
    model.compile(SGD(10.0), "mse")
    x = np.random.default_rng(0).normal(size=(16, 30)).astype(np.float32)
    kernel = model.layers[1].kernel
    for _ in range(3):
        model.train_on_batch(x, np.ones((16, 1)))
        assert kernel.can_defer
        norms = np.sqrt(np.square(kernel.value).sum(axis=0))
        assert norms.max() <= 2.00001


def test_a_constraint_that_changes_the_shape_is_told():
    parameter = Parameter("w", np.ones((2, 3)), constraint=lambda w: w[0])
    with pytest.raises(ValueError, match=r"'w': its constraint returned the shape \(3,\); it must"):
        SGD().apply([parameter])
