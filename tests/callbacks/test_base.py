"""The list of callbacks: stops as in Keras, and what happens when callbacks fail."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from keras_reference import import_keras, keras_test
from small_models import convnet, photos

from fastconv.callbacks import (
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    ModelCheckpoint,
    ProgressLine,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from fastconv.callbacks.base import note
from fastconv.callbacks.names import LogNames

X, Y = photos(12)
MOMENTS = (
    "on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end",
    "on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end",
    "on_epoch_end", "on_train_end",
)  # fmt: skip


def watcher(base, stop_in, stop_at=0, attribute="stop_training"):
    """Return a callback of `base`'s kind that notes every moment and stops in one of them."""
    seen = []

    def method(moment):
        def note_and_stop(self, *arguments):
            logs = arguments[-1] or {}
            seen.append((moment, arguments[:-1], sorted(logs)))
            if moment == stop_in and sum(m == moment for m, *_ in seen) == stop_at + 1:
                setattr(self.model, attribute, True)

        def of_epoch(self, number, logs=None):
            note_and_stop(self, number, logs)

        def alone(self, logs=None):
            note_and_stop(self, logs)

        return of_epoch if "batch" in moment or "epoch" in moment else alone

    return type("Watcher", (base,), {m: method(m) for m in MOMENTS})(), seen


@keras_test
@pytest.mark.parametrize("stop_at", [0, 1])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_stop_counts_when_it_counts_in_keras(moment, stop_at):
    keras = import_keras()
    theirs = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    from fastconv import layers
    from fastconv.models import Sequential

    ours = Sequential([layers.Dense(1, input_shape=(2,))])
    x, y = np.zeros((6, 2), np.float32), np.zeros((6, 1), np.float32)
    histories, moments = [], []
    for model, base in ((ours, Callback), (theirs, keras.callbacks.Callback)):
        callback, seen = watcher(base, moment, stop_at)
        model.compile("sgd", "mse")
        history = model.fit(x, y, batch_size=2, epochs=3, shuffle=False, verbose=0,
                            validation_data=(x, y), callbacks=[callback])  # fmt: skip
        histories.append((history.epoch, sorted(history.history)))
        # Keras's logs of a batch differ between its backends; the rest is to be the same.
        moments.append([(m, a, logs if "batch" not in m else None) for m, a, logs in seen])
    assert histories[0] == histories[1] and moments[0] == moments[1]


@pytest.mark.parametrize(
    ("method", "attribute"), [("evaluate", "stop_evaluating"), ("predict", "stop_predicting")]
)
def test_evaluation_and_prediction_can_be_stopped(method, attribute):
    done = []

    class Stop(Callback):
        def on_test_batch_end(self, batch, logs=None):
            done.append(batch)
            setattr(self.model, attribute, batch == 1)

        on_predict_batch_end = on_test_batch_end

    model = convnet()
    data = (X, Y) if method == "evaluate" else (X,)
    getattr(model, method)(*data, batch_size=2, callbacks=[Stop()], verbose=0)
    assert done == [0, 1]
    getattr(model, method)(*data, batch_size=2, verbose=0)


def test_on_train_end_is_told_the_last_epochs_logs():
    told = []

    class Last(Callback):
        def on_train_end(self, logs=None):
            told.append(dict(logs))

    model = convnet()
    history = model.fit(X, Y, epochs=2, validation_split=0.5, callbacks=[Last()], verbose=0)
    assert told == [{name: values[-1] for name, values in history.history.items()}]
    model.fit(X, Y, epochs=0, callbacks=[Last()], verbose=0)
    assert told[1] == {}


class Noted(Callback):
    """Notes that it was closed, and fails where it is told to."""

    def __init__(self, log, *failing):
        super().__init__()
        self.log, self.failing = log, failing

    def _maybe_fail(self, moment):
        if moment in self.failing:
            raise OSError(f"{moment} failed")

    def on_epoch_end(self, epoch, logs=None):
        self._maybe_fail("on_epoch_end")

    def get_state(self):
        self._maybe_fail("get_state")
        return {}

    def close(self):
        self.log.append(self)
        self._maybe_fail("close")


def notes(error):
    return getattr(error, "__notes__", [])


def test_a_failing_state_hides_no_error_and_leaves_nobody_open():
    log = []

    class Wrong(Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyError("the first error")

    callbacks = [Noted(log, "get_state", "close"), Wrong(), Noted(log)]
    model = convnet()
    with pytest.raises(KeyError, match="the first error") as caught:
        model.fit(X, Y, callbacks=callbacks, verbose=0)
    assert len(log) == 2 and model._run is None
    if sys.version_info >= (3, 11):
        said = " ".join(notes(caught.value))
        assert "state of the run could not be kept: OSError('get_state failed')" in said
        assert "Noted.close() failed as well: OSError('close failed')" in said
    # The model is as usable as before.
    model.fit(X, Y, verbose=0)


def test_a_failing_state_alone_is_raised_once_all_are_closed():
    log = []
    with pytest.raises(OSError, match="get_state failed"):
        convnet().fit(X, Y, callbacks=[Noted(log, "get_state"), Noted(log)], verbose=0)
    assert len(log) == 2


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_whoever_fails_to_close_the_others_are_closed(error):
    log = []

    class Stuck(Noted):
        def close(self):
            log.append(self)
            raise error("stuck")

    for method in ("fit", "evaluate"):
        log.clear()
        with pytest.raises(error, match="stuck"):
            getattr(convnet(), method)(X, Y, callbacks=[Stuck(log), Noted(log)], verbose=0)
        assert len(log) == 2


def test_an_interruption_stays_one():
    log = []

    class Interrupted(Callback):
        def on_predict_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convnet().predict(X, callbacks=[Noted(log, "close"), Interrupted()], verbose=0)
    assert len(log) == 1


def test_without_notes_it_is_a_warning():
    class Old(Exception):
        add_note = property()  # as in Python 3.10: there is none

    with pytest.warns(UserWarning, match="also this"):
        note(Old(), "also this")


def test_a_history_of_ones_own_is_the_one():
    history = History()
    assert convnet().fit(X, Y, callbacks=[history], verbose=0) is history
    assert history.epoch == [0]


def test_callbacks_of_a_run_know_what_it_will_log():
    told = {}

    class Told(Callback):
        adds_to_logs = ("extra",)

        def set_params(self, params):
            told.update(params)

    arguments = {"epochs": 3, "validation_split": 0.5, "callbacks": [Told()], "verbose": 0}
    convnet().fit(X, Y, **arguments)
    names = LogNames(("loss", "accuracy", "val_loss", "val_accuracy", "extra"), ())
    assert told["logs"] == names and str(names).startswith("loss, accuracy")
    convnet().fit(X, Y, validation_freq=2, **arguments)
    assert told["logs"].sometimes == ("val_loss", "val_accuracy")
    assert told["logs"].holds("val_acc") and not told["logs"].in_every_epoch("val_acc")
    told.clear()
    convnet().evaluate(X, Y, callbacks=[Told()], verbose=0)
    assert "logs" not in told


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (EarlyStopping, r"fit: callbacks has <class .*EarlyStopping'>; .* add parentheses"),
        ([EarlyStopping], "add parentheses"),
        (5, r"fit: callbacks has 5; it must be a fastconv\.callbacks\.Callback"),
        ([None], "callbacks has None; it"),
    ],
)
def test_what_is_no_callback_is_named(given, text):
    with pytest.raises(TypeError, match=text):
        convnet().fit(X, Y, callbacks=given, verbose=0)
    with pytest.raises(TypeError, match="must be a fastconv"):
        CallbackList([None], None)


def test_callbacks_may_stand_in_lists():
    first, second = History(), EarlyStopping("loss")
    convnet().fit(X, Y, callbacks=[[first], (second,)], verbose=0)
    assert second.model is first.model is not None


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (lambda: EarlyStopping(patience=2), "EarlyStopping(patience=2)"),
        (lambda: EarlyStopping(), "EarlyStopping()"),
        (
            lambda: EarlyStopping("val_acc", mode="max"),
            "EarlyStopping(monitor='val_acc', mode='max')",
        ),
        (lambda: ModelCheckpoint("m.npz"), "ModelCheckpoint(filepath='m.npz')"),
        (lambda: CSVLogger("a.csv", append=True), "CSVLogger(filename='a.csv', append=True)"),
        (lambda: ReduceLROnPlateau(factor=0.5), "ReduceLROnPlateau(factor=0.5)"),
        (lambda: LambdaCallback(on_epoch_end=print), "LambdaCallback(on_epoch_end=...)"),
        (lambda: TerminateOnNaN(), "TerminateOnNaN()"),
        (lambda: ProgressLine(live=False), "ProgressLine(live=False)"),
        (lambda: Noted([]), "Noted(log=[])"),
        (lambda: History(), "<History of 0 epochs>"),
    ],
)
def test_reprs_say_what_a_callback_is(made, text):
    assert repr(made()) == text


def test_the_repr_of_a_history_says_how_it_ended():
    history = convnet().fit(X, Y, epochs=2, verbose=0)
    loss, accuracy = (history.history[name][-1] for name in ("loss", "accuracy"))
    assert repr(history) == (
        f"<History of 2 epochs: loss {loss:.4g}, accuracy {accuracy:.4g} at last>"
    )
    history.history["note"] = ["odd", None]
    assert "note None at last" in repr(history)
