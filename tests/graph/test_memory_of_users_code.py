"""Memory that is used again, beside layers, losses and steps that users write."""

from __future__ import annotations

import numpy as np
import pytest
from branching_models import branching_model, regression_data, weight_bits

import fastconv
from fastconv import layers, losses, models


class PredictsWithin(losses.Loss):
    """A loss that asks its model about other data before the backward pass."""

    model = None

    def value_and_gradient(self, y_true, y_pred, sample_weight=None, logits=False):
        if self.model is not None:
            for rows in (5, 3):
                self.model.predict_on_batch(regression_data(rows, seed=1)[0])
        return losses.get("mse").value_and_gradient(y_true, y_pred, sample_weight)


def test_a_loss_that_predicts_leaves_the_step_its_memory():
    found = []
    for asks in (False, True):
        model, loss = branching_model(), PredictsWithin()
        model.compile(fastconv.optimizers.SGD(0.01, momentum=0.9), loss)
        loss.model = model if asks else None
        for rows in (5, 3, 5, 5):
            model.train_on_batch(*regression_data(rows))
        found.append(weight_bits(model))
    assert found[0] == found[1]


class Failing(layers.Layer):
    """Hands on what it is given, and fails where it is told to."""

    where = None

    def call(self, x, training=False):
        if self.where == "call":
            raise MemoryError("here")
        return x

    def backward(self, dy):
        if self.where == "backward":
            raise MemoryError("here")
        return dy

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("where", ["call", "backward"])
@pytest.mark.parametrize("recorded", [False, True])
def test_a_layer_that_fails_in_a_step_spoils_no_later_one(where, recorded):
    found = []
    for fails in (False, True):
        failing = Failing()
        model = branching_model(failing)
        if recorded:
            model.train_on_batch(*regression_data(4))
        if fails:
            failing.where = where
            moving = model.get_weights()
            with pytest.raises(MemoryError):
                model.train_on_batch(*regression_data(4))
            failing.where = None
            model.set_weights(moving)  # the averages of a normalization have moved
        model.train_on_batch(*regression_data(4))
        model.predict_on_batch(regression_data(4)[0])
        model.train_on_batch(*regression_data(4))
        found.append(weight_bits(model))
    assert found[0] == found[1]


def test_a_loss_that_fails_spoils_no_later_step():
    def fails(y_true, y_pred):
        raise MemoryError("here")

    model, other = branching_model(), branching_model()
    for one in (model, other):
        one.train_on_batch(*regression_data(4))
    before = model.get_weights()
    model.loss = fails
    with pytest.raises(MemoryError):
        model.train_on_batch(*regression_data(4))
    assert model._executor()._running is None
    model.set_weights(before)
    model.loss = "mse"
    for one in (model, other):
        one.train_on_batch(*regression_data(4))
        one.train_on_batch(*regression_data(4))
    assert weight_bits(model) == weight_bits(other)


class Keeps(layers.Layer):
    """Keeps its input of each step, from the second on, and returns it or a copy in turns."""

    def __init__(self, **options):
        super().__init__(**options)
        self.count, self.kept = 0, []

    def call(self, x, training=False):
        self.count += 1
        if self.count > 2:
            self.kept.append(x)
        return x if self.count % 2 else x.copy()

    def backward(self, dy):
        if self.kept:
            assert np.array_equal(self.kept[-1], self.kept[-1])  # no NaN of memory given back
            self.kept.append(dy)
        return dy if self.count % 2 else dy.copy()

    def compute_output_shape(self, input_shape):
        return input_shape


class Copies(Keeps):
    def call(self, x, training=False):
        return x.copy()

    def backward(self, dy):
        return dy.copy()


@pytest.mark.parametrize("first", [0, 1])
def test_a_layer_that_returns_its_input_now_and_then(first):
    found = []
    for kind in (Copies, Keeps):
        layer = kind()
        model = branching_model(layer)
        layer.count = first
        for _ in range(6):
            model.train_on_batch(*regression_data(4))
            model.predict_on_batch(regression_data(4)[0])
        found.append(weight_bits(model))
    assert found[0] == found[1]


class Buffers(layers.Layer):
    """Asks for other buffers in each call, some twice, and relies on what it has written there."""

    steps = 0

    def call(self, x, training=False):
        self.steps += 1
        keys = [["output"], ["output", "dx", "output"], ["dz", "output"], ["own"]][self.steps % 4]
        for key in keys:
            self.buffer(key, x.shape)[...] = x
        if self.steps % 3 == 0:
            self.buffer("sum", (2, *x.shape)).fill(7)
        out = self.buffer(keys[0], x.shape)
        assert np.array_equal(out, x)
        return out

    def backward(self, dy):
        out = self.buffer("dx" if self.steps % 2 else "output", dy.shape)
        out[...] = dy
        return out

    def compute_output_shape(self, input_shape):
        return input_shape


def test_a_layer_that_changes_what_it_asks_for():
    found = []
    for kind in (Copies, Buffers):
        model = branching_model(kind(), kind())
        for rows in (4, 4, 2, 4, 4, 2, 4):
            model.train_on_batch(*regression_data(rows))
            model.predict_on_batch(regression_data(rows)[0])
        found.append(weight_bits(model))
    assert found[0] == found[1]


def test_a_train_step_of_ones_own():
    class Twice(models.Model):
        def train_step(self, batch):
            before = self.predict_on_batch(batch.x)
            super().train_step(batch)
            self.predict_on_batch(batch.x[:1])
            loss, outputs = super().train_step(batch)
            assert outputs.shape == before.shape
            return loss, outputs

    plain = branching_model()
    twice = Twice(plain.input, plain.output)
    start = plain.get_weights()
    twice.compile(fastconv.optimizers.SGD(0.01, momentum=0.9), "mse")
    for _ in range(3):
        twice.train_on_batch(*regression_data(4))
    found = weight_bits(twice)
    plain.set_weights(start)
    plain.compile(fastconv.optimizers.SGD(0.01, momentum=0.9), "mse")
    for _ in range(6):
        plain.train_on_batch(*regression_data(4))
    assert weight_bits(plain) == found


def test_a_function_in_a_lambda_may_keep_what_it_sees():
    kept = []

    def doubled(x):
        kept.append(x)
        return x * 2 if len(kept) % 2 else np.multiply(x, 2, out=np.empty_like(x))

    found = []
    for function in (lambda x: x * 2, doubled):
        layer = layers.Lambda(function, gradient=lambda dy, x: dy * 2)
        model = branching_model(layer)
        for _ in range(4):
            model.train_on_batch(*regression_data(4))
        found.append(weight_bits(model))
    assert found[0] == found[1]
