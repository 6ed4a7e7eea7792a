"""What batches by hand and single predictions cost beside the step itself, and what they give."""

from __future__ import annotations

import gc
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from small_models import convnet, photos

import fastconv
from fastconv import layers, metrics
from fastconv._core.registry import custom_object_scope
from fastconv.callbacks import LambdaCallback
from fastconv.layers.workspace import Workspace
from fastconv.models import Model
from fastconv.training import train_step

X, Y = photos(12)


def python_calls(function, *but):
    """Return how many of Python's functions are called, without those within `but`."""
    count, inside = 0, 0

    def look(frame, event, _):
        nonlocal count, inside
        if event == "call":
            inside += frame.f_code.co_name in but
            count += not inside
        elif event == "return":
            inside -= frame.f_code.co_name in but

    sys.setprofile(look)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.fixture
def made(monkeypatch):
    """The averages that steps have made."""
    found = []

    class Counted(train_step.Meters):
        def __init__(self, outputs):
            super().__init__(outputs)
            found.append(self)

    monkeypatch.setattr(train_step, "Meters", Counted)
    return found


# Batches by hand


def test_a_step_by_hand_adds_little_to_the_step():
    """After two milliseconds of kernels each call finds its code and data in no near cache."""
    model = convnet(metrics=["accuracy"])
    model.train_on_batch(X, Y)
    # About 155; before averages were kept, and checks prepared, there were 240.
    assert python_calls(lambda: model.train_on_batch(X, Y), "train_step") < 185
    assert python_calls(lambda: model.test_on_batch(X, Y), "test_step") < 185


def test_averages_of_names_are_made_once_and_are_of_one_batch_each(made):
    model = convnet(metrics=["accuracy", "mse"], weighted_metrics=["auc"])
    made.clear()
    parts = [(X[:5], Y[:5]), (X[5:], Y[5:]), (X[:1], Y[:1])]
    alone = [model.test_on_batch(*part) for part in parts]
    together = len(made)
    for part, found in zip(parts, alone, strict=True):
        assert model.evaluate(*part, verbose=0) == pytest.approx(found, rel=1e-5)
    assert together == 2  # and those that tried whether metrics fit


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.metrics.append("mse"),
        lambda model: setattr(model, "metrics", ["mse"]),
        lambda model: setattr(model, "loss", "mse"),
        lambda model: model.compile("sgd", "mse", metrics=["mse"]),
    ],
)
def test_a_change_of_what_is_asked_has_other_averages(change, made):
    model = convnet(metrics=["accuracy"])
    model.test_on_batch(X, Y)
    change(model)
    made.clear()
    logs = model.test_on_batch(X, Y, return_dict=True)
    assert made and logs == pytest.approx(model.evaluate(X, Y, verbose=0, return_dict=True))


def test_an_object_counts_as_it_is_now():
    accuracy = metrics.BinaryAccuracy()
    model = convnet(metrics=[accuracy])
    model.test_on_batch(X, Y)
    accuracy.threshold = 2.0  # above all predictions
    assert model.test_on_batch(X, Y)[1] == np.mean(Y == 0)


def test_a_name_means_what_it_means_now():
    class Mine(metrics.MeanMetric):
        def values(self, y_true, y_pred):
            return np.full(len(y_true), 7.0)

    model = convnet(metrics=["mse"])
    model.test_on_batch(X, Y)
    with custom_object_scope({"mse": Mine}):
        assert model.test_on_batch(X, Y)[1] == 7
    assert model.test_on_batch(X, Y)[1] != 7


def test_a_step_that_failed_leaves_nothing_in_the_averages():
    model = convnet(metrics=["accuracy"])
    expected = model.test_on_batch(X, Y)

    def fails(batch):
        raise ZeroDivisionError

    model.test_step = fails
    with pytest.raises(ZeroDivisionError):
        model.test_on_batch(X, Y)
    del model.test_step
    assert model.test_on_batch(X, Y) == expected


# Single predictions


def test_predicting_one_image_adds_little_to_the_step():
    model = convnet()
    model.predict(X[:1], verbose=0)
    by_hand = python_calls(lambda: model.predict_on_batch(X[:1]), "predict_step")
    assert by_hand < 25  # it is 17
    assert python_calls(lambda: model.predict(X[:1], verbose=0), "predict_step") <= by_hand + 8


@pytest.mark.parametrize("rows", [1, 12])
def test_predict_of_one_batch_is_that_of_many(rows):
    model = convnet()
    x = X[:rows]
    expected = model.predict(x.tolist(), verbose=0)
    for options in ({}, {"batch_size": rows}, {"batch_size": 32}, {"batch_size": 1}):
        found = model.predict(x, verbose=0, **options)
        assert found.tobytes() == expected.tobytes() and found.dtype == np.float32
    assert found.base is None  # new memory


def test_predict_of_one_batch_refuses_what_is_wrong():
    model = convnet()
    model.predict(X[:1], verbose=0)
    for batch_size, error in ((1.0, TypeError), (True, TypeError), (0, ValueError)):
        with pytest.raises(error, match="batch_size"):
            model.predict(X[:1], batch_size=batch_size, verbose=0)
    with pytest.raises(ValueError, match="verbose"):
        model.predict(X[:1], verbose=3)
    with pytest.raises(ValueError, match="has shape"):
        model.predict(X[0], verbose=0)


def test_predict_of_one_batch_has_callbacks_lines_and_the_users_step(capsys):
    model, seen = convnet(), []
    model.predict(X[:1], verbose=0)
    model.stop_predicting = True
    assert len(model.predict(X[:1], verbose=0)) == 1 and not model.stop_predicting
    model.predict(X[:1], verbose=0, callbacks=LambdaCallback(on_predict_end=seen.append))
    assert len(seen) == 1 and not capsys.readouterr().out
    model.predict(X[:1])
    assert "1/1" in capsys.readouterr().out
    model.predict_step = lambda x: np.full((len(x), 1), 5.0)
    assert model.predict(X[:1], verbose=0) == 5


def test_predict_of_one_batch_gives_outputs_as_the_model_has_them():
    inputs = layers.Input((3,))
    outputs = {"a": layers.Dense(2)(inputs), "b": layers.Dense(1)(inputs)}
    x = np.ones((1, 3), np.float32)
    for wanted in (outputs, list(outputs.values()), {"a": outputs["a"]}):
        model = Model(inputs, wanted)
        first, second = (model.predict(x, verbose=0) for _ in range(2))
        assert type(first) is type(second) is type(wanted)
        for one, two in zip(*map(arrays_of, (first, second)), strict=True):
            np.testing.assert_array_equal(one, two)


def arrays_of(outputs):
    return list(outputs.values()) if isinstance(outputs, dict) else outputs


# Threads of a server


def in_threads(count, function):
    threads = [threading.Thread(target=function, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def test_threads_share_what_a_model_runs_in_and_get_the_same_bits():
    model = convnet()
    expected = model.predict(X[:1], verbose=0).tobytes()
    executor = model._executor()
    gc.collect()
    before = sum(type(one) is Workspace for one in gc.get_objects())
    found = []

    def client(number):
        for _ in range(10):
            found.append(model.predict(X[:1], verbose=0).tobytes())
            found.append(model.predict_on_batch(X[:1]).tobytes())

    in_threads(8, client)
    gc.collect()
    assert set(found) == {expected} and len(found) == 160
    assert model._executor() is executor
    assert sum(type(one) is Workspace for one in gc.get_objects()) == before


def test_thousands_of_predictions_take_no_memory():
    model = convnet()

    def client(number):
        for _ in range(250):
            model.predict(X[:1], verbose=0)

    in_threads(4, client)
    tracemalloc.start()
    try:
        in_threads(4, client)
        first = tracemalloc.get_traced_memory()[0]
        in_threads(4, client)
        in_threads(4, client)
        assert tracemalloc.get_traced_memory()[0] - first < 20_000
    finally:
        tracemalloc.stop()


def test_predictions_go_on_while_another_thread_trains():
    """Whole steps alone are seen: each answer is that of weights between two of them."""
    model = convnet(dropout=0.0, optimizer=fastconv.optimizers.SGD(0.1))
    states, answers = [model.predict(X[:1], verbose=0)], []
    done = threading.Event()

    def client(number):
        while not done.is_set():
            answers.append(model.predict(X[:1], verbose=0))

    thread = threading.Thread(target=client, args=(0,))
    thread.start()
    for _ in range(20):
        model.train_on_batch(X, Y)
        states.append(model.predict(X[:1], verbose=0))
    done.set()
    thread.join(60)
    known = {state.tobytes() for state in states}
    assert {answer.tobytes() for answer in answers} <= known
