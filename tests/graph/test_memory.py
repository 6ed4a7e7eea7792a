"""Memory that is used again: nobody reads what was given back, whatever happens between passes."""

from __future__ import annotations

import contextlib
import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import batch_of, drawn_model, packed, recipes

import fastconv
from fastconv import layers, losses, models
from fastconv.graph import memory
from fastconv.layers import workspace


@contextlib.contextmanager
def poison():
    """Fill memory with NaN when it is handed out and when it is given back."""
    with pytest.MonkeyPatch.context() as patch:
        buffer, give_back = workspace.Workspace.buffer, memory._Lease.__del__
        finish, over = memory.Recording.finish, []

        def poisoned(self, key, shape, dtype):
            out = buffer(self, key, shape, dtype)
            if key in workspace.RESULTS - {"sum"} and out.dtype == np.float32:
                out.fill(np.nan)  # a sum goes on where it was
            return out

        def poisoned_lease(self):
            if not any(self._free is one for one in over):
                self._block.view(np.float32)[...] = np.nan
            give_back(self)

        def noted(self):
            over.append(self._free)  # what is let go of from now on, later passes have taken
            return finish(self)

        patch.setattr(workspace.Workspace, "buffer", poisoned)
        patch.setattr(memory.Recording, "finish", noted)
        patch.setattr(memory._Lease, "__del__", poisoned_lease)
        yield


@pytest.fixture
def alone(monkeypatch):
    """Return a call of a function while every result has memory of its own."""

    def call(function, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr(memory.Recording, "lend", lambda *_: None)
            return function(*arguments)

    return call


def graph(*middle, size=12, seed=0):
    """Return a compiled model with branches whose tensors take turns in memory."""
    fastconv.utils.set_random_seed(seed)
    x = layers.Input((size, size, 3))
    y = layers.Conv2D(8, 3, padding="same", activation="relu", name="first")(x)
    for layer in middle:
        y = layer(y)
    z = layers.Conv2D(8, 3, padding="same")(y)
    z = layers.BatchNormalization()(z)
    z = layers.Conv2D(8, 3, padding="same", activation="tanh")(z)
    y = layers.Concatenate()([y, layers.Add()([y, z])])
    y = layers.MaxPooling2D()(y)
    y = layers.Dense(4)(layers.Flatten()(layers.Conv2D(8, 3, activation="relu")(y)))
    model = models.Model(x, y)
    model.compile(fastconv.optimizers.SGD(0.01, momentum=0.9), "mse")
    return model


def data(rows, size=12, seed=0):
    rng = np.random.default_rng([seed, rows])
    x = rng.normal(size=(rows, size, size, 3)).astype(np.float32)
    return x, rng.normal(size=(rows, 4)).astype(np.float32)


def weights(model):
    return [weight.tobytes() for weight in model.get_weights()]


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(recipe=recipes(most=15), seed=st.integers(0, 1000))
def test_no_pass_reads_what_was_given_back(recipe, seed):
    """Beside memory that is never used again, with NaN where nothing was written."""

    def results():
        model = drawn_model(recipe, seed)
        model.compile(fastconv.optimizers.SGD(0.01), "mse")
        found = []
        for rows in (3, 2, 3, 3, 2):
            x, y = batch_of(model, np.random.default_rng(rows), rows)
            found.append(model.predict_on_batch(packed(x)))
            if model.trainable_weights:
                model.train_on_batch(packed(x), packed(y))
        found = [np.asarray(one) for each in found for one in _list(each)]
        return [one.tobytes() for one in found] + weights(model), found

    with poison():
        bits, found = results()
    assert all(np.isfinite(one).all() for one in found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory.Recording, "lend", lambda *_: None)
        assert results()[0] == bits


def _list(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


def test_memory_is_used_again():
    model = graph()
    model.predict_on_batch(data(8)[0])
    tensors = [tensor for node in model.graph.nodes for tensor in node.outputs]
    together = sum(8 * 4 * math.prod(tensor.shape[1:]) for tensor in tensors)
    assert 0 < model._executor()._arena.nbytes < 0.7 * together


def test_batches_of_many_sizes_and_predictions_between_steps(alone):
    def run():
        model = graph()
        found = []
        for rows in (4, 7, 1, 4, 9, 2, 3, 5, 6, 8, 4, 10, 11, 4):
            x, y = data(rows)
            found.append(model.predict_on_batch(x).tobytes())
            found.append(model.train_on_batch(x, y))
            found.append(model.test_on_batch(x, y))
            found.append(model(x, training=True).tobytes())  # no backward pass follows
            found.append(model.train_on_batch(x, y))
        return found, weights(model)

    assert run() == alone(run)


def test_memory_of_sizes_that_are_no_longer_seen_is_let_go_of():
    model = graph()
    for rows in range(1, 100):
        model.predict_on_batch(data(rows)[0])
    grown = model._executor()._arena.nbytes
    single = graph()
    single.predict_on_batch(data(99)[0])
    assert grown < 9 * single._executor()._arena.nbytes


class Predicts(fastconv.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.predict(data(3)[0], verbose=0)

    def on_epoch_end(self, epoch, logs=None):
        self.model.evaluate(*data(6), batch_size=4, verbose=0)


def test_callbacks_that_predict_change_no_bit_of_the_training():
    found = []
    for callbacks in ([], [Predicts()]):
        model = graph()
        model.fit(*data(10), batch_size=4, epochs=3, verbose=0, callbacks=callbacks)
        found.append(weights(model))
    assert found[0] == found[1]


class PredictsWithin(losses.Loss):
    """A loss that asks its model about other data before the backward pass."""

    model = None

    def value_and_gradient(self, y_true, y_pred, sample_weight=None, logits=False):
        if self.model is not None:
            for rows in (5, 3):
                self.model.predict_on_batch(data(rows, seed=1)[0])
        return losses.get("mse").value_and_gradient(y_true, y_pred, sample_weight)


def test_a_loss_that_predicts_leaves_the_step_its_memory():
    found = []
    for asks in (False, True):
        model, loss = graph(), PredictsWithin()
        model.compile(fastconv.optimizers.SGD(0.01, momentum=0.9), loss)
        loss.model = model if asks else None
        for rows in (5, 3, 5, 5):
            model.train_on_batch(*data(rows))
        found.append(weights(model))
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
        model = graph(failing)
        if recorded:
            model.train_on_batch(*data(4))
        if fails:
            failing.where = where
            moving = model.get_weights()
            with pytest.raises(MemoryError):
                model.train_on_batch(*data(4))
            failing.where = None
            model.set_weights(moving)  # the averages of a normalization have moved
        model.train_on_batch(*data(4))
        model.predict_on_batch(data(4)[0])
        model.train_on_batch(*data(4))
        found.append(weights(model))
    assert found[0] == found[1]


def test_a_loss_that_fails_spoils_no_later_step():
    def fails(y_true, y_pred):
        raise MemoryError("here")

    model, other = graph(), graph()
    for one in (model, other):
        one.train_on_batch(*data(4))
    before = model.get_weights()
    model.loss = fails
    with pytest.raises(MemoryError):
        model.train_on_batch(*data(4))
    assert model._executor()._running is None
    model.set_weights(before)
    model.loss = "mse"
    for one in (model, other):
        one.train_on_batch(*data(4))
        one.train_on_batch(*data(4))
    assert weights(model) == weights(other)


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
        model = graph(layer)
        layer.count = first
        for _ in range(6):
            model.train_on_batch(*data(4))
            model.predict_on_batch(data(4)[0])
        found.append(weights(model))
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
        model = graph(kind(), kind())
        for rows in (4, 4, 2, 4, 4, 2, 4):
            model.train_on_batch(*data(rows))
            model.predict_on_batch(data(rows)[0])
        found.append(weights(model))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("layer", "option", "values"),
    [
        (layers.Dropout(0.5, seed=1), "rate", (0.5, 0.0)),
        (layers.GaussianNoise(0.1, seed=1), "stddev", (0.1, 0.0)),
        (layers.GaussianDropout(0.1, seed=1), "rate", (0.1, 0.0)),
        (layers.BatchNormalization(center=False, scale=False), "trainable", (True, False)),
        (layers.Activation("relu"), "activation", ("relu", "softplus")),
    ],
)
def test_an_option_that_is_assigned_between_steps(alone, layer, option, values):
    """An option decides what a layer returns and keeps, and so whose memory is read."""
    config = layer.get_config()

    def run():
        changed = type(layer).from_config(config)
        model, found = graph(changed), []
        for value in (values[0], values[1], values[0], values[1]):
            setattr(changed, option, value)
            found.append(model.train_on_batch(*data(4)))
            found.append(model.train_on_batch(*data(4)))
        return found, weights(model)

    assert run() == alone(run)


def test_models_that_share_layers_in_two_threads():
    fastconv.utils.set_random_seed(0)
    shared = graph()
    features = models.Model(shared.input, shared.get_layer("first").output)
    longer = models.Model(shared.input, layers.Dense(2)(shared.output))
    inputs = [data(rows, seed=5)[0] for rows in (3, 6)]
    expected = [[one.predict_on_batch(x) for x in inputs] for one in (shared, features, longer)]
    failed = []

    def ask(model, answers):
        for turn in range(40):
            if not np.array_equal(model.predict_on_batch(inputs[turn % 2]), answers[turn % 2]):
                failed.append(model)

    threads = [
        threading.Thread(target=ask, args=(one, answers))
        for one, answers in zip((shared, features, longer), expected, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_a_train_step_of_ones_own():
    class Twice(models.Model):
        def train_step(self, batch):
            before = self.predict_on_batch(batch.x)
            super().train_step(batch)
            self.predict_on_batch(batch.x[:1])
            loss, outputs = super().train_step(batch)
            assert outputs.shape == before.shape
            return loss, outputs

    plain = graph()
    twice = Twice(plain.input, plain.output)
    start = plain.get_weights()
    twice.compile(fastconv.optimizers.SGD(0.01, momentum=0.9), "mse")
    for _ in range(3):
        twice.train_on_batch(*data(4))
    found = weights(twice)
    plain.set_weights(start)
    plain.compile(fastconv.optimizers.SGD(0.01, momentum=0.9), "mse")
    for _ in range(6):
        plain.train_on_batch(*data(4))
    assert weights(plain) == found


def test_a_function_in_a_lambda_may_keep_what_it_sees():
    kept = []

    def doubled(x):
        kept.append(x)
        return x * 2 if len(kept) % 2 else np.multiply(x, 2, out=np.empty_like(x))

    found = []
    for function in (lambda x: x * 2, doubled):
        layer = layers.Lambda(function, gradient=lambda dy, x: dy * 2)
        model = graph(layer)
        for _ in range(4):
            model.train_on_batch(*data(4))
        found.append(weights(model))
    assert found[0] == found[1]
