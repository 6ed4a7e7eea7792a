"""Drawn graphs: what they give, learn and log is Keras's, and does not depend on how they run.

FASTCONV_GRAPHS=500 draws as many of each, anew in every run.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, reject, settings
from hypothesis import strategies as st
from keras_reference import import_keras, keras_test
from random_graphs import batch_of, drawn_model, packed, recipes

import fastconv
from fastconv import models, optimizers

#: Some of the drawn graphs have no weights.
pytestmark = pytest.mark.filterwarnings("ignore:.*no weights are trained")

_MORE = int(os.environ.get("FASTCONV_GRAPHS", "0"))


def drawn(examples):
    """Return the settings of a test: few examples, always the same, or as many as asked for."""
    return settings(
        max_examples=_MORE or examples,
        deadline=None,
        derandomize=not _MORE,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],  # to find a smaller one takes minutes
        report_multiple_bugs=False,
    )


SEEDS = st.integers(0, 2**16)


def close(mine, theirs, tolerance, largest=None):
    scale = np.abs(theirs).max() if largest is None else largest
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=tolerance * max(scale, 1e-30))


@pytest.fixture(scope="module")
def keras():
    """Keras in float64: what differs then is fastconv's rounding alone."""
    keras = import_keras()
    keras.config.set_floatx("float64")
    yield keras
    keras.config.set_floatx("float32")


def twin(recipe, model, keras):
    """Return Keras's model of a recipe, with the weights of fastconv's, which are in its order."""

    class Fixed(keras.layers.Layer):
        """Keras 3 lets fit overrule the `training` that a call was given."""

        def __init__(self, layer, training):
            super().__init__(name=layer.name)
            self.layer, self.training = layer, training

        def call(self, x):
            return self.layer(x, training=self.training)

    theirs = recipe.build(keras.layers, keras.Model, Fixed)
    mine = model.get_weights()
    shapes = [weight.shape for weight in theirs.get_weights()]
    assert [weight.shape for weight in mine] == shapes
    assert [one.shape for one in model.outputs] == [tuple(one.shape) for one in theirs.outputs]
    theirs.set_weights(mine)
    return theirs


def gradients(model, x, dy):
    """Return the outputs in training, and the gradient of every trained weight."""
    executor = model._executor()
    outputs = [one.copy() for one in executor.forward(x, training=True, step=True)]
    executor.backward(dy)
    return outputs, [parameter.gradient.copy() for parameter in model.trainable_weights]


def keras_gradients(model, x, dy):
    import torch

    outputs = model(packed([torch.from_numpy(one.astype(np.float64)) for one in x]), training=True)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    total = sum(
        (one * torch.from_numpy(part.astype(np.float64))).sum()
        for one, part in zip(outputs, dy, strict=True)
    )
    found = (
        torch.autograd.grad(total, [v.value for v in model.trainable_variables], allow_unused=True)
        if model.trainable_variables
        else []
    )
    arrays = [
        np.zeros(v.shape) if g is None else g.numpy()
        for v, g in zip(model.trainable_variables, found, strict=True)
    ]
    return [one.detach().numpy() for one in outputs], arrays


@contextlib.contextmanager
def rejecting_strides():
    """Draw another graph where PyTorch cannot go back through a transposed convolution."""
    try:
        yield
    except RuntimeError as error:
        assert "contiguous" in str(error)
        reject()


def largest_by_layer(model, arrays):
    """Return for each trained weight the largest number of its layer's.

    The gradient of a bias before a normalization is a sum that is 0 but for rounding.
    """
    sizes = {id(p): np.abs(a).max() for p, a in zip(model.trainable_weights, arrays, strict=True)}
    most, least = dict(sizes), 0.05 * max(sizes.values(), default=0)

    def look(layer):
        if hasattr(layer, "layers"):
            for inner in layer.layers:
                look(inner)
            return
        own = [id(p) for p in layer.trainable_weights]
        for key in own:
            most[key] = max(least, *(sizes[one] for one in own))

    look(model)
    return [most[id(p)] for p in model.trainable_weights]


@keras_test
@drawn(60)
@given(recipe=recipes(), seed=SEEDS)
def test_outputs_and_gradients_are_those_of_keras(keras, recipe, seed):
    model = drawn_model(recipe, seed)
    theirs = twin(recipe, model, keras)
    rng = np.random.default_rng(seed)
    x, dy = batch_of(model, rng)
    expected = theirs.predict_on_batch(packed(x))
    mine = model.predict_on_batch(packed(x))
    for one, other in zip(*(v if len(dy) > 1 else [v] for v in (mine, expected)), strict=True):
        close(one, other, 1e-5)
    outputs, found = gradients(model, x, dy)
    with rejecting_strides():
        expected_outputs, expected = keras_gradients(theirs, x, dy)
    for one, other in zip(outputs, expected_outputs, strict=True):
        close(one, other, 1e-5)
    scales = largest_by_layer(model, expected)
    for parameter, one, other, scale in zip(
        model.trainable_weights, found, expected, scales, strict=True
    ):
        assert one.shape == other.shape, parameter
        close(one, other, 1e-5, scale)


def optimizer_of(kind, name):
    if name == "SGD":
        return kind.SGD(0.01, momentum=0.9)
    # A larger epsilon: where a gradient is rounding alone, its size must not decide the step.
    return kind.Adam(0.01, epsilon=1e-2)


def as_arrays(result):
    return result if isinstance(result, list) else [result]


@keras_test
@drawn(20)
@given(recipe=recipes(most=12), seed=SEEDS, optimizer=st.sampled_from(["SGD", "Adam"]))
def test_three_steps_are_those_of_keras(keras, recipe, seed, optimizer):
    """Losses, their weights, sample weights and metrics: logs of equal names and numbers."""
    model = drawn_model(recipe, seed)
    assume(model.trainable_weights)  # Keras warns
    theirs = twin(recipe, model, keras)
    assume(len(set(theirs.output_names)) == len(theirs.output_names))  # here they are numbered
    rng = np.random.default_rng(seed)
    count = len(recipe.outputs)
    chosen = [str(rng.choice(["mse", "mae", "huber"])) for _ in range(count)]
    weights = [round(float(rng.uniform(0.2, 2)), 2) for _ in range(count)]
    arguments = {
        "loss": packed(chosen),
        "loss_weights": packed(weights) if count > 1 else None,
        "metrics": packed([["mae", "mse"] for _ in range(count)]),
        "weighted_metrics": packed([["mse"] for _ in range(count)]),
    }
    model.compile(optimizer_of(optimizers, optimizer), **arguments)
    theirs.compile(optimizer_of(keras.optimizers, optimizer), **arguments)
    # Keras on PyTorch cannot weigh the rows of images.
    weighed = all(one.ndim == 2 for one in model.outputs) and bool(rng.integers(2))
    for step in range(3):
        x, y = batch_of(model, rng)
        rows = [rng.uniform(0.5, 2, len(one)) for one in y] if weighed else None
        rows = rows and packed(rows)
        theirs.reset_metrics()
        with rejecting_strides():
            expected = theirs.train_on_batch(packed(x), packed(y), rows, return_dict=True)
        logs = model.train_on_batch(packed(x), packed(y), rows, return_dict=True)
        assert set(logs) == set(expected)
        for name, value in expected.items():
            assert logs[name] == pytest.approx(float(value), rel=1e-4), (name, step)
    for mine, other in zip(model.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-4 * max(1, np.abs(other).max()))


@drawn(40)
@given(recipe=recipes(), seed=SEEDS)
def test_fused_and_unfused_graphs_agree(recipe, seed):
    model = drawn_model(recipe, seed)
    plain = copy.deepcopy(model)
    plain._fuse = False
    x, dy = batch_of(model, np.random.default_rng(seed))
    for _ in range(2):  # recorded, then with memory that is used again
        outputs, found = gradients(model, x, dy)
        expected_outputs, expected = gradients(plain, x, dy)
        for one, other in zip(outputs, expected_outputs, strict=True):
            close(one, other, 1e-5)
        scales = largest_by_layer(plain, expected)
        for one, other, scale in zip(found, expected, scales, strict=True):
            close(one, other, 1e-5, scale)


def trained(model, x, y, epochs=2, **arguments):
    model.fit(packed(x), packed(y), batch_size=3, epochs=epochs, verbose=0, **arguments)
    return model


def bits(model, x):
    return [*map(bytes, model.get_weights()), *map(bytes, as_arrays(model.predict_on_batch(x)))]


@drawn(25)
@given(recipe=recipes(), seed=SEEDS)
def test_threads_change_no_bit(recipe, seed):
    found = []
    before = fastconv.get_num_threads()
    try:
        for threads in (1, 2, 3, 7):
            fastconv.set_num_threads(threads)
            model = drawn_model(recipe, seed)
            model.compile("adam", "mse")
            x, y = batch_of(model, np.random.default_rng(seed), rows=5)
            found.append(bits(trained(model, x, y), packed(x)))
    finally:
        fastconv.set_num_threads(before)
    assert found.count(found[0]) == len(found)


@drawn(25)
@given(recipe=recipes(), seed=SEEDS)
def test_copies_and_files_are_the_same_model(tmp_path_factory, recipe, seed):
    path = str(tmp_path_factory.getbasetemp() / "model.npz")
    model = drawn_model(recipe, seed)
    model.compile("adam", "mse")
    x, y = batch_of(model, np.random.default_rng(seed), rows=5)
    trained(model, x, y, epochs=1)
    model.save(path)
    config = json.loads(json.dumps(model.get_config()))
    clone = models.Model.from_config(config)
    clone.set_weights(model.get_weights())
    clone.compile("adam", "mse")
    assert json.loads(json.dumps(clone.get_config())) == config
    copies = [
        models.load_model(path),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        copy.copy(model),
    ]
    expected = bits(model, packed(x))
    for other in (clone, *copies):
        assert bits(other, packed(x)) == expected
        assert [one.name for one in other.layers] == [one.name for one in model.layers]
    steps = [other.train_on_batch(packed(x), packed(y)) for other in (model, *copies)]
    assert steps.count(steps[0]) == len(steps)
    expected = bits(model, packed(x))
    for other in copies:
        assert bits(other, packed(x)) == expected


@pytest.mark.filterwarnings("ignore:.*no weights are trained")  # there are graphs of none
@drawn(15)
@given(recipe=recipes(most=12), seed=SEEDS)
def test_a_run_goes_on_from_a_file_as_if_never_stopped(tmp_path_factory, recipe, seed):
    path = str(tmp_path_factory.getbasetemp() / "run-{epoch}.npz")

    def run(epochs, **arguments):
        model = drawn_model(recipe, seed)
        model.compile("adam", "mse")
        x, y = batch_of(model, np.random.default_rng(seed), rows=7)
        keep = fastconv.callbacks.ModelCheckpoint(path)
        trained(model, x, y, epochs, callbacks=[keep], **arguments)
        return bits(model, packed(x)), model.history.history

    whole = run(4)
    run(2)
    assert run(4, resume_from=path.format(epoch=2)) == whole
