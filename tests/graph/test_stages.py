"""What layers are asked for at their place: gradients left out, or written over inputs."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import layers
from fastconv.graph import fusion, stages
from fastconv.graph.executor import Executor
from fastconv.graph.graph import chain
from fastconv.layers import Dense, MaxPooling2D
from fastconv.models import Sequential

pytestmark = pytest.mark.usefixtures("algorithms")

RELU = {"activation": "relu"}


def conv(**options):
    return layers.Conv2D(4, 3, **RELU, **options)


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class OwnDense(Dense):
    """May compute something else."""


def flagged(executor, attribute):
    """Return the layers of which the executor asks something."""
    flags = [flag for stage in executor.stages for flag in stage.flags]
    return [layer for layer, name, value in flags if name == attribute and value]


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("before", ["pool", "dropout", "dense", "activation"])
def test_what_is_left_out_changes_no_gradient(before, fuse, monkeypatch):
    def gradients():
        fastconv.utils.set_random_seed(4)
        middle = {
            "pool": [MaxPooling2D()],
            "dropout": [MaxPooling2D(), layers.Dropout(0.5)],
            "dense": [layers.Flatten(), layers.Dense(90, **RELU), layers.Dropout(0.3)],
            "activation": [layers.Activation("tanh"), layers.ReLU()],
        }[before]
        first = layers.Conv2D(8, 3, input_shape=(14, 14, 3), **RELU)
        members = [first, *middle, layers.Flatten(), layers.Dense(40)]
        model = Sequential(members)
        executor = Executor(chain(model.layers), fuse)
        (y,) = executor.forward([normal((9, 14, 14, 3))], training=True, step=True)
        executor.backward([normal(y.shape, 1)])
        at_zeros = flagged(executor, "needs_gradient_at_zeros")
        return model.layers[-1] in at_zeros, [
            p.gradient for layer in model.layers for p in layer.weights
        ]

    needed, ours = gradients()
    monkeypatch.setattr(fusion, "passes_gradient_at_zeros", lambda layer, at_zeros: True)
    always, theirs = gradients()
    assert always and not needed
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def overwriting():
    """Return a model in which every input's gradient but the first may lie over the input."""
    fastconv.utils.set_random_seed(5)
    members = [
        conv(input_shape=(14, 14, 3)),
        MaxPooling2D(),
        conv(),
        MaxPooling2D(),
        layers.Flatten(),
        Dense(1),
    ]
    return Sequential(members)


@pytest.mark.parametrize("fuse", [True, False])
def test_an_input_gradient_over_the_input_changes_no_gradient(fuse, monkeypatch):
    def gradients():
        model = overwriting()
        executor = Executor(chain(model.layers), fuse)
        (y,) = executor.forward([normal((9, 14, 14, 3))], training=True, step=True)
        executor.backward([normal(y.shape, 1)])
        overwrites = [layer in flagged(executor, "may_overwrite_input") for layer in model.layers]
        assert not any(layer.may_overwrite_input for layer in model.layers)
        return overwrites, [p.gradient for layer in model.layers for p in layer.weights]

    within, ours = gradients()
    assert within == [False, False, fuse, False, False, True]
    monkeypatch.setattr(stages, "_plan_overwriting", lambda *_: None)
    apart, theirs = gradients()
    assert not any(apart)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_input_that_is_read_again_or_is_the_callers_is_not_overwritten():
    flatten, dense = layers.Flatten(), Dense(2)
    for members in (
        [flatten, dense],
        [Dense(3), Dense(2)],
        [MaxPooling2D(), layers.Activation("tanh"), flatten, dense],
        [MaxPooling2D(), flatten, OwnDense(2)],
    ):
        made = [type(layer).from_config(layer.get_config()) for layer in members]
        inner = Sequential([layers.Input((14, 14, 3)), *made])
        assert not flagged(Executor(chain(inner.layers)), "may_overwrite_input")
    model = overwriting()
    executor = Executor(chain(model.layers))
    executor.backward(executor.forward([normal((2, 14, 14, 3))], training=True, step=True))
    head = model.layers[-1]
    x = normal(head.input_shape[1:])[None]
    kept = x.copy()
    head.backward(head(x, training=True))
    head.backward(head.call(x, training=True))
    np.testing.assert_array_equal(x, kept)


def test_a_trained_layer_inside_a_layer_of_ones_own_leaves_its_input():
    class Wrapped(layers.Layer):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def call(self, x, training=False):
            return self.inner.call(x, training)

        def backward(self, dy):
            return self.inner.backward(dy)

    model = overwriting()
    model.compile("sgd", "mse")
    model.train_on_batch(normal((4, 14, 14, 3)), normal((4, 1)))
    head = model.layers[-1]
    other = Sequential([layers.Input(head.input_shape[1:]), Wrapped(head)])
    other.compile("sgd", "mse")
    x = normal((4, *head.input_shape[1:]))
    kept = x.copy()
    other.train_on_batch(x, normal((4, 1)))
    np.testing.assert_array_equal(x, kept)
