"""Predictions that are replayed: the bits of the stages one by one, whatever happens in between."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest

import fastconv
from fastconv import architectures, layers
from fastconv.graph.executor import Executor
from fastconv.models import Model


def images(count, shape, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def replays(model):
    """Return the replays that a model has now, by pass."""
    return [one.replay for one in model._executor()._passes.values() if one.replay is not None]


def stage_by_stage(model, *inputs):
    """Return the outputs of a new executor, whose first pass is never a replay."""
    executor = Executor(model._executor().program)
    executor._together = model._executor()._together
    return [result.copy() for result in executor.forward(inputs)]


def small_network(middle=None):
    x = inputs = layers.Input((13, 11, 3))
    x = layers.Conv2D(12, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    if middle is not None:
        x = middle(x)
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    y = layers.BatchNormalization()(layers.Conv2D(12, 1)(y))
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.MaxPooling2D()(layers.Concatenate()([x, y]))
    x = layers.SeparableConv2D(20, 3)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2DTranspose(9, 2, strides=2)(x)
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    return Model(inputs, layers.Dense(3, activation="softmax")(x))


@pytest.mark.parametrize(
    ("make", "size", "batches"),
    [
        (architectures.resnet20, 32, (1, 5, 40)),
        (architectures.mobilenet_v2_like, 40, (1, 6, 70)),
        (architectures.small_xception, 40, (1, 3, 30)),
        (architectures.unet, 32, (1, 2, 30)),
        (architectures.model1, 30, (1, 4)),
        (architectures.model4, 40, (1, 4)),
    ],
    ids=lambda value: getattr(value, "__name__", getattr(value, "name", None)),
)
def test_the_bits_are_those_of_the_stages(make, size, batches):
    model = make((size, size, 3))
    for batch in batches:
        for seed in range(5):
            x = images(batch, (size, size, 3), seed)
            (expected,) = stage_by_stage(model, x)
            np.testing.assert_array_equal(model.predict_on_batch(x), expected)
        assert replays(model), batch


def test_a_network_of_all_operations_is_replayed():
    model = small_network()
    for seed in range(5):
        x = images(4, (13, 11, 3), seed)
        np.testing.assert_array_equal(model.predict_on_batch(x), stage_by_stage(model, x)[0])
    (replay,) = replays(model)
    assert [type(step) for step in replay._steps] == [fastconv._core.runtime.kernels.replay.Program]


def test_what_is_no_kernel_runs_in_between():
    model = small_network(layers.Activation("tanh"))
    for seed in range(5):
        x = images(4, (13, 11, 3), seed)
        np.testing.assert_array_equal(model.predict_on_batch(x), stage_by_stage(model, x)[0])
    assert len(replays(model)[0]._steps) == 3


def test_a_users_code_is_called_once_a_pass_and_keeps_what_it_gave():
    given = []

    def tanh(x):
        given.append(np.tanh(x))
        return given[-1]

    model, x = small_network(layers.Lambda(tanh)), images(4, (13, 11, 3))
    given.clear()
    for seed in range(5):
        model.predict_on_batch(images(4, (13, 11, 3), seed))
    assert len(given) == 5 and not replays(model)
    kept = [array.copy() for array in given]
    model.predict_on_batch(x)
    for array, copied in zip(given, kept, strict=False):
        np.testing.assert_array_equal(array, copied)


def test_a_users_layer_may_ask_another_model():
    inner = small_network()
    inputs = layers.Input((13, 11, 3))
    asked = layers.Lambda(lambda x: inner.predict_on_batch(x), output_shape=(3,))(inputs)
    outer, x = Model(inputs, layers.Dense(2)(asked)), images(2, (13, 11, 3))
    found = [outer.predict_on_batch(x) for _ in range(5)]
    np.testing.assert_array_equal(found[0], found[-1])
    assert replays(inner)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.set_weights([w * 1.25 for w in model.get_weights()]),
        lambda model: model.layers[1].kernel.assign(model.layers[1].kernel.numpy() * 2),
        lambda model: np.multiply(
            model.layers[1].kernel.value, 2, out=model.layers[1].kernel.value
        ),
        lambda model: model.layers[2].moving_mean.value.fill(0.5),
        lambda model: setattr(model.layers[2], "epsilon", 0.5),
        lambda model: np.asarray(model.layers[1].kernel).fill(0.25),
    ],
)
def test_a_changed_weight_counts_at_once(change):
    model, x = small_network(), images(4, (13, 11, 3))
    for _ in range(4):
        before = model.predict_on_batch(x)
    assert replays(model)
    change(model)
    for _ in range(4):
        after = model.predict_on_batch(x)
        np.testing.assert_array_equal(after, stage_by_stage(model, x)[0])
        assert not np.array_equal(after, before)


@pytest.mark.parametrize("part", [lambda w: w, lambda w: w[0], memoryview, lambda w: w.T])
def test_who_holds_a_weight_may_write_to_it_at_any_time(part):
    model, x = small_network(), images(4, (13, 11, 3))
    held = part(model.layers[1].kernel.value)
    for number in range(6):
        np.asarray(held)[...] = number
        np.testing.assert_array_equal(model.predict_on_batch(x), stage_by_stage(model, x)[0])
    del held
    for _ in range(3):
        model.predict_on_batch(x)
    assert replays(model)


def test_training_in_between():
    model, x = small_network(), images(6, (13, 11, 3))
    model.compile("sgd", "sparse_categorical_crossentropy")
    for _ in range(4):
        for _ in range(3):
            found = model.predict_on_batch(x)
        np.testing.assert_array_equal(found, stage_by_stage(model, x)[0])
        model.train_on_batch(x, np.arange(6) % 3)
    assert model.evaluate(x, np.arange(6) % 3, verbose=0) == pytest.approx(
        model.test_on_batch(x, np.arange(6) % 3)
    )


def test_another_number_of_threads():
    model, x, before = small_network(), images(4, (13, 11, 3)), fastconv.get_num_threads()
    (expected,) = stage_by_stage(model, x)
    try:
        for threads in (1, 3, 2, 1, 7):
            fastconv.set_num_threads(threads)
            for _ in range(3):
                np.testing.assert_array_equal(model.predict_on_batch(x), expected)
            assert replays(model)
    finally:
        fastconv.set_num_threads(before)


def test_an_output_that_is_the_input_follows_it():
    inputs = layers.Input((6,))
    model = Model(inputs, [layers.Reshape((2, 3))(inputs), layers.Dense(2)(inputs)])
    for seed in range(5):
        x = images(3, (6,), seed)
        np.testing.assert_array_equal(model.predict_on_batch(x)[0], x.reshape(3, 2, 3))


def test_a_view_of_the_input_is_read_anew():
    model = fastconv.Sequential([layers.Flatten(input_shape=(4, 3, 2)), layers.Dense(5)])
    for seed in range(5):
        x = images(3, (4, 3, 2), seed)
        np.testing.assert_array_equal(model.predict_on_batch(x), stage_by_stage(model, x)[0])


def test_arrays_that_are_no_plain_memory():
    model, x = small_network(), images(4, (13, 11, 3))
    expected = [model.predict_on_batch(x) for _ in range(4)][-1]
    backwards = x[::-1].copy()[::-1]
    np.testing.assert_array_equal(model.predict_on_batch(backwards), expected)
    np.testing.assert_array_equal(model.predict_on_batch(x.astype(np.float64)), expected)


def test_a_picture_of_nans_leaves_nothing_behind():
    model, x = small_network(), images(4, (13, 11, 3))
    expected = [model.predict_on_batch(x) for _ in range(4)][-1]
    assert np.isnan(model.predict_on_batch(np.full_like(x, np.nan))).all()
    np.testing.assert_array_equal(model.predict_on_batch(x), expected)


def test_batches_in_parts(monkeypatch):
    model, x = architectures.resnet20((16, 16, 3)), images(23, (16, 16, 3))
    monkeypatch.setattr(model._executor(), "_together", 7)
    for _ in range(4):
        found = model.predict_on_batch(x)
    monkeypatch.setattr(model._executor(), "_together", 0)
    np.testing.assert_allclose(found, model.predict_on_batch(x), atol=1e-6)
    assert {one[3][0] for one in model._executor()._passes} == {6, 5, 23}


def test_many_threads_ask_one_model():
    model = small_network()
    x = [images(2, (13, 11, 3), seed) for seed in range(4)]
    expected = [stage_by_stage(model, one)[0] for one in x]
    wrong = []

    def ask(number):
        for _ in range(30):
            if not np.array_equal(model.predict_on_batch(x[number]), expected[number]):
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_have_replays_of_their_own(copied):
    model, x = small_network(), images(4, (13, 11, 3))
    expected = [model.predict_on_batch(x) for _ in range(4)][-1]
    other = copied(model)
    other.layers[1].kernel.value[...] = 0
    for _ in range(4):
        assert not np.array_equal(other.predict_on_batch(x), expected)
    np.testing.assert_array_equal(model.predict_on_batch(x), expected)


def test_other_shapes_do_not_move_the_memory_of_a_replay():
    model = small_network()
    small = images(1, (13, 11, 3))
    expected = [model.predict_on_batch(small) for _ in range(4)][-1]
    for batch in (9, 40, 3):
        for _ in range(4):
            model.predict_on_batch(images(batch, (13, 11, 3)))
    np.testing.assert_array_equal(model.predict_on_batch(small), expected)
