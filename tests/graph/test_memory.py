"""Memory that is used again: nobody reads what was given back, whatever happens between passes."""

from __future__ import annotations

import contextlib
import math
import threading

import numpy as np
import pytest
from branching_models import branching_model, regression_data, weight_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import batch_of, drawn_model, packed, recipes

import fastconv
from fastconv import layers, models
from fastconv._core import lending
from fastconv.graph import memory
from fastconv.layers import workspace


@contextlib.contextmanager
def poison():
    """Fill memory with NaN when it is handed out and when it is given back."""
    with pytest.MonkeyPatch.context() as patch:
        buffer, give_back = workspace.Workspace.buffer, lending._Lease.__del__
        finish, over = memory.Recording.finish, []

        def poisoned(self, key, shape, dtype):
            out = buffer(self, key, shape, dtype)
            if key in workspace.RESULTS - {"sum"} and out.dtype == np.float32:
                out.fill(np.nan)  # a sum goes on where it was
            return out

        def poisoned_lease(self):
            free = getattr(self._give_back, "__self__", None)
            if not any(free is one for one in over):
                self._block._memory.view(np.float32)[...] = np.nan
            give_back(self)

        def noted(self):
            over.append(self._free)  # what is let go of from now on, later passes have taken
            return finish(self)

        patch.setattr(workspace.Workspace, "buffer", poisoned)
        patch.setattr(memory.Recording, "finish", noted)
        patch.setattr(lending._Lease, "__del__", poisoned_lease)
        yield


@pytest.fixture
def alone(monkeypatch):
    """Return a call of a function while every result has memory of its own."""

    def call(function, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr(memory.Recording, "lend", lambda *_: None)
            return function(*arguments)

    return call


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
        return [one.tobytes() for one in found] + weight_bits(model), found

    with poison():
        bits, found = results()
    assert all(np.isfinite(one).all() for one in found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory.Recording, "lend", lambda *_: None)
        assert results()[0] == bits


def _list(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


def test_memory_is_used_again():
    model = branching_model()
    model.predict_on_batch(regression_data(8)[0])
    tensors = [tensor for node in model.graph.nodes for tensor in node.outputs]
    together = sum(8 * 4 * math.prod(tensor.shape[1:]) for tensor in tensors)
    assert 0 < model._executor()._arena.nbytes < 0.7 * together


def test_batches_of_many_sizes_and_predictions_between_steps(alone):
    def run():
        model = branching_model()
        found = []
        for rows in (4, 7, 1, 4, 9, 2, 3, 5, 6, 8, 4, 10, 11, 4):
            x, y = regression_data(rows)
            found.append(model.predict_on_batch(x).tobytes())
            found.append(model.train_on_batch(x, y))
            found.append(model.test_on_batch(x, y))
            found.append(model(x, training=True).tobytes())  # no backward pass follows
            found.append(model.train_on_batch(x, y))
        return found, weight_bits(model)

    assert run() == alone(run)


def test_memory_of_sizes_that_are_no_longer_seen_is_let_go_of():
    model = branching_model()
    for rows in range(1, 100):
        model.predict_on_batch(regression_data(rows)[0])
    grown = model._executor()._arena.nbytes
    single = branching_model()
    single.predict_on_batch(regression_data(99)[0])
    assert grown < 9 * single._executor()._arena.nbytes


class Predicts(fastconv.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.predict(regression_data(3)[0], verbose=0)

    def on_epoch_end(self, epoch, logs=None):
        self.model.evaluate(*regression_data(6), batch_size=4, verbose=0)


def test_callbacks_that_predict_change_no_bit_of_the_training():
    found = []
    for callbacks in ([], [Predicts()]):
        model = branching_model()
        model.fit(*regression_data(10), batch_size=4, epochs=3, verbose=0, callbacks=callbacks)
        found.append(weight_bits(model))
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
        model, found = branching_model(changed), []
        for value in (values[0], values[1], values[0], values[1]):
            setattr(changed, option, value)
            found.append(model.train_on_batch(*regression_data(4)))
            found.append(model.train_on_batch(*regression_data(4)))
        return found, weight_bits(model)

    assert run() == alone(run)


def test_models_that_share_layers_in_two_threads():
    fastconv.utils.set_random_seed(0)
    shared = branching_model()
    features = models.Model(shared.input, shared.get_layer("first").output)
    longer = models.Model(shared.input, layers.Dense(2)(shared.output))
    inputs = [regression_data(rows, seed=5)[0] for rows in (3, 6)]
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


def test_two_trainings_at_once_over_shared_layers_that_are_frozen():
    def heads():
        base = branching_model()
        base.trainable = False
        made = []
        for units in (2, 3):
            x = layers.Input((12, 12, 3))
            y = layers.Dense(16, activation="relu")(base(x))
            model = models.Model(x, layers.Dense(units)(y))
            model.compile("adam", "mse")
            made.append(model)
        return made

    def train(model):
        x, y = regression_data(11, seed=model.output_shape[1])
        y = y[:, : model.output_shape[1]]
        model.fit(x, y, batch_size=4, epochs=6, verbose=0, shuffle=False)

    together, apart = heads(), heads()
    threads = [threading.Thread(target=train, args=(model,)) for model in together]
    for thread in threads:
        thread.start()
    for model in apart:
        train(model)
    for thread in threads:
        thread.join()
    assert [weight_bits(model) for model in together] == [weight_bits(model) for model in apart]
