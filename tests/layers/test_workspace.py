"""Layers and models in several threads at once: right numbers, and nobody waits for ever."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from small_models import convnet, photos, same_weights

import fastconv
from fastconv import layers
from fastconv._core import runtime
from fastconv.models import Sequential

THREADS = 8


@pytest.fixture(autouse=True)
def switching_often():
    """Let threads take turns many times in each call."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def in_threads(work, count=THREADS):
    """Return what `work(number)` gives in `count` threads that start together."""
    barrier = threading.Barrier(count)

    def run(number):
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return [future.result(60) for future in [pool.submit(run, n) for n in range(count)]]


def inputs(number, size=9):
    """Return images of a thread's own, as many as no other thread has."""
    shape = (1 + number % 4, size, size, 3)
    return np.random.default_rng(number).normal(size=shape).astype(np.float32)


LAYERS = {
    "convolution": lambda: layers.Conv2D(7, 3, activation="relu"),
    "tanh": lambda: layers.Conv2D(4, 3, padding="same", activation="tanh"),
    "groups": lambda: layers.Conv2D(6, 3, groups=3, strides=2),
    "dense": lambda: layers.Dense(40, activation="softmax"),
    "normalization": lambda: layers.BatchNormalization(),
    "max": lambda: layers.MaxPooling2D(),
    "average": lambda: layers.AveragePooling2D(3, 1, "same"),
    "l2": lambda: layers.L2Pooling2D(),
    "global": lambda: layers.GlobalMaxPooling2D(),
    "activation": lambda: layers.Activation("sigmoid"),
    "relu": lambda: layers.ReLU(1.0, 0.1),
    "flatten": lambda: layers.Flatten(),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_one_layer_is_called_from_many_threads(kind):
    layer = LAYERS[kind]()
    expected = [layer(inputs(number)) for number in range(THREADS)]

    def call(number):
        return [layer(inputs(number)) for _ in range(25)]

    for number, results in enumerate(in_threads(call)):
        assert all(result.tobytes() == expected[number].tobytes() for result in results)


@pytest.mark.parametrize("kind", LAYERS)
def test_call_and_backward_by_hand_in_many_threads(kind):
    layer = LAYERS[kind]()
    layer.build((None, 9, 9, 3))

    def step(number):
        x = inputs(number)
        y = layer.call(x, training=True)
        return y.copy(), layer.backward(np.full_like(y, number + 1)).copy()

    expected = [step(number) for number in range(THREADS)]
    for number, results in enumerate(in_threads(lambda n: [step(n) for _ in range(25)])):
        for y, dx in results:
            assert y.tobytes() == expected[number][0].tobytes()
            assert dx.tobytes() == expected[number][1].tobytes()


class Scale(layers.Layer):
    """A user's layer, which keeps its input in an attribute."""

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones")

    def call(self, x, training=False):
        self.x = x
        return self.x * self.factor.value

    def backward(self, dy):
        self.factor.gradient = (dy * self.x).reshape(-1, dy.shape[-1]).sum(axis=0)
        return dy * self.factor.value


def test_a_users_layer_is_called_from_many_threads():
    layer = Scale()
    for number, results in enumerate(in_threads(lambda n: [layer(inputs(n)) for _ in range(50)])):
        assert all(np.array_equal(result, inputs(number)) for result in results)


def test_a_layer_is_built_once_by_many_threads():
    for _ in range(20):
        layer = layers.Dense(3)
        first, *others = in_threads(lambda n, layer=layer: layer(np.ones((1, 5))))
        assert len(layer.weights) == 2
        assert all(np.array_equal(first, other) for other in others)


def sharing_models():
    """Return models that share layers, in other orders and with layers of their own."""
    one = layers.Conv2D(6, 3, activation="relu", padding="same", input_shape=(12, 12, 6), name="a")
    two = layers.Conv2D(6, 3, activation="relu", padding="same", input_shape=(12, 12, 6), name="b")
    pool, flat = layers.MaxPooling2D(), layers.Flatten()
    models = [
        Sequential([one, two, pool, flat, layers.Dense(1)]),
        Sequential([two, one, pool, flat, layers.Dense(1)]),
        Sequential([two, pool, flat, layers.Dense(1)]),
        Sequential([one, layers.Flatten(), layers.Dense(1)]),
    ]
    for model in models:
        model.compile("adam", "mean_squared_error")
    return models


def test_models_that_share_layers_predict_at_once():
    models = sharing_models()
    x = np.random.default_rng(0).normal(size=(10, 12, 12, 6)).astype(np.float32)
    expected = [model.predict(x, verbose=0) for model in models]

    def predict(number):
        model = models[number % len(models)]
        return [model.predict(x, batch_size=3 + number % 2, verbose=0) for _ in range(12)]

    for number, results in enumerate(in_threads(predict)):
        for result in results:
            np.testing.assert_allclose(result, expected[number % len(models)], rtol=1e-5, atol=1e-6)


def test_models_that_share_layers_train_at_once_and_do_not_stop_each_other():
    models = sharing_models()
    x = np.random.default_rng(0).normal(size=(8, 12, 12, 6)).astype(np.float32)

    def train(number):
        model = models[number]
        return [model.train_on_batch(x, np.ones((8, 1))) for _ in range(20)]

    for losses in in_threads(train, len(models)):
        assert np.isfinite(losses).all()
    assert all(model.optimizer.iterations == 20 for model in models)


def test_predictions_beside_a_training_are_of_whole_steps():
    """With weights that every step moves alike, a mixture of two steps would show."""
    body = layers.Dense(64, use_bias=False, kernel_initializer="zeros", input_shape=(64,))
    trained = Sequential([body])
    trained.compile(fastconv.optimizers.SGD(1.0), "mean_squared_error")
    other = Sequential([body, layers.Activation("linear")])
    x = np.eye(64, dtype=np.float32)
    stop = threading.Event()
    seen = []

    def look(number):
        while not stop.is_set():
            seen.append(np.unique(other(x) if number else trained.predict_on_batch(x)))
            seen.append(np.unique(body.get_weights()[0] if number else trained.get_weights()[0]))

    def work(number):
        if number < 2:
            return look(number)
        try:
            for _ in range(60):
                trained.train_on_batch(x, np.full((64, 64), 1e9))
        finally:
            stop.set()

    in_threads(work, 3)
    assert all(len(values) == 1 for values in seen)


def test_a_training_has_the_same_bits_while_others_predict():
    x, y = photos(24)
    alone, disturbed = convnet(), None
    disturbed = convnet()
    disturbed.set_weights(alone.get_weights())
    for mine, other in zip(disturbed.layers, alone.layers, strict=True):
        mine.set_state(other.get_state())
    feature = Sequential(disturbed.layers[:3])
    stop = threading.Event()

    def work(number):
        if number:
            while not stop.is_set():
                disturbed.predict(x[: 1 + number], verbose=0)
                feature(x[:number])
                disturbed.layers[0](x[:number])
                disturbed.layers[1].call(np.ones((number, 10, 10, 4), np.float32), training=True)
            return
        try:
            disturbed.fit(x, y, epochs=6, batch_size=7, shuffle=False, verbose=0)
        finally:
            stop.set()

    alone.fit(x, y, epochs=6, batch_size=7, shuffle=False, verbose=0)
    in_threads(work, 4)
    assert same_weights(alone, disturbed)


def test_a_model_is_built_once_by_its_first_data_in_many_threads():
    for _ in range(10):
        model = Sequential([layers.Flatten(), layers.Dense(3), layers.Dense(2)])
        x = np.ones((2, 3, 3), np.float32)
        first, *others = in_threads(lambda n, model=model, x=x: model.predict(x, verbose=0))
        assert len(model.weights) == 4
        assert all(np.array_equal(first, other) for other in others)


def test_requests_of_many_threads_do_not_plan_anew(monkeypatch):
    model = convnet()
    x, _ = photos(2)
    model.predict(x, verbose=0)
    made = []
    true = fastconv.graph.fused_ops.ConvPoolPlan
    monkeypatch.setattr(
        fastconv.graph.fused_ops, "ConvPoolPlan", lambda *a, **o: made.append(a) or true(*a, **o)
    )
    for _ in range(5):
        in_threads(lambda n: model.predict(x, verbose=0), 3)
    assert made == []


def test_what_threads_that_ended_had_is_freed():
    import gc
    import weakref

    layer = layers.Dense(3)
    layer.build((None, 4))
    buffers = []

    def work(number):
        buffers.append(weakref.ref(layer.call(np.ones((2, 4), np.float32)).base))

    in_threads(work, 4)
    gc.collect()
    assert [reference() for reference in buffers] == [None] * 4


def test_plans_are_kept_by_shape_and_threads():
    layer = layers.Flatten()
    made = []

    def plan(key):
        return layer.plan((key,), lambda: made.append(key) or object())

    first = plan("a")
    assert plan("a") is first
    threads = runtime.get_num_threads()
    try:
        runtime.set_num_threads(threads + 1)
        assert plan("a") is not first
    finally:
        runtime.set_num_threads(threads)
    fast = runtime.get_fast_math()
    try:
        runtime.set_fast_math(not fast)
        assert plan("a") is not first
    finally:
        runtime.set_fast_math(fast)
    assert plan("a") is first and made == ["a"] * 3


def test_plans_used_last_are_kept():
    layer = layers.Flatten()
    made = []

    def plan(key):
        layer.plan((key,), lambda: made.append(key) or object())

    for key in "abcdefgh" * 3:
        plan(key)
    assert "".join(made) == "abcdefgh"
    plan("a")
    plan("i")  # in the place of b, which was used longest ago
    plan("a")
    plan("b")
    assert "".join(made) == "abcdefghib"


@pytest.mark.parametrize("count", [5, 8])
def test_batch_sizes_that_take_turns_are_planned_once(count, monkeypatch):
    layer = layers.Conv2D(2, 3, activation="relu")
    made = []
    true = layers.Conv2D._plan.__globals__["Conv2DPlan"]
    monkeypatch.setitem(
        layers.Conv2D._plan.__globals__,
        "Conv2DPlan",
        lambda shape, *rest, **options: made.append(shape[0]) or true(shape, *rest, **options),
    )
    for batch in [*range(1, count + 1)] * 3:
        layer(np.ones((batch, 5, 5, 1)))
    assert made == [*range(1, count + 1)]


def test_plans_of_a_thread_are_bounded():
    from fastconv.layers.workspace import PLANS_KEPT

    layer = layers.MaxPooling2D()
    layer.build((None, 4, 4, 1))
    for batch in range(1, 3 * PLANS_KEPT):
        layer.call(np.ones((batch, 4, 4, 1), np.float32))
    assert len(layer._workspace._plans) == PLANS_KEPT


def test_a_step_that_trains_calls_other_models():
    """A pass inside a pass: a teacher whose layers the student has in part."""
    teacher = Sequential([layers.Dense(4, activation="relu", input_shape=(3,)), layers.Dense(1)])

    class Student(Sequential):
        def train_step(self, batch):
            return super().train_step(batch._replace(y=teacher.predict_on_batch(batch.x)))

    student = Student([teacher.layers[0], layers.Dense(1)])
    teacher.compile("sgd", "mean_squared_error")
    student.compile("sgd", "mean_squared_error")
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)

    def work(number):
        for _ in range(30):
            (student if number % 2 else teacher).train_on_batch(x, np.ones((8, 1)))

    in_threads(work, 4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_while_others_predict_does_not_wait_for_them(threads):
    threads(1)
    model = convnet()
    x, _ = photos(4)
    expected = model.predict(x, verbose=0)
    stop = threading.Event()

    def work(number):
        if number:
            while not stop.is_set():
                model.predict(x, verbose=0)
                model.layers[0](x)
                fastconv._core.random.next_seed()
            return None
        try:
            return [_forked(model, x, expected) for _ in range(12)]
        finally:
            stop.set()

    assert in_threads(work, 3)[0] == [0] * 12


def _forked(model, x, expected):
    """Return the exit code of a child that predicts, 14 where it waited for ever."""
    import signal

    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        code = 1
        try:
            fastconv._core.random.next_seed()
            same = np.array_equal(model.predict(x, verbose=0), expected)
            code = 0 if same and layers.Dense(2)(np.ones((1, 2))).shape == (1, 2) else 2
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else os.WTERMSIG(status)
