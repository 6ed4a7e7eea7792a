"""Callbacks: what they do at which moment, on a model that is really trained or on given logs."""

from __future__ import annotations

import csv
import io
import os
import re

import numpy as np
import pytest
from small_models import convnet, photos

from fastconv import callbacks as callbacks_module
from fastconv import optimizers
from fastconv.callbacks import (
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgressLine,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from fastconv.callbacks.names import Logs
from fastconv.models import load_model


class Model:
    """As much of a model as callbacks touch."""

    def __init__(self):
        self.stop_training = False
        self.optimizer = optimizers.SGD(1.0)
        self.weights = 0
        self.saved = []

    def check_saving(self, path=".npz", weights_only=False):
        pass

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights

    def save(self, path):
        self.saved.append(path)

    save_weights = save


def _epochs(callback, values, name="val_loss"):
    """Play epochs with the given values of a metric; return how many there were."""
    model = Model()
    callback.set_model(model)
    callback.on_train_begin({})
    for epoch, value in enumerate(values):
        model.weights = epoch
        callback.on_epoch_begin(epoch, {})
        callback.on_epoch_end(epoch, Logs({name: value}))
        if model.stop_training:
            break
    callback.on_train_end({})
    return model, epoch + 1


def test_acc_and_accuracy_find_each_other():
    logs = Logs(loss=1.0, accuracy=0.5, val_acc=0.25)
    assert logs["acc"] == 0.5 and logs["val_accuracy"] == 0.25
    assert "acc" in logs and "val_accuracy" in logs and "auc" not in logs
    assert logs.get("val_accuracy") == 0.25 and logs.get("auc") is None
    assert list(logs) == ["loss", "accuracy", "val_acc"]
    with pytest.raises(KeyError):
        logs["f1"]


@pytest.mark.parametrize(
    ("arguments", "values", "stopped_after"),
    [
        ({"patience": 2}, [3, 2, 2.5, 2.5, 1], 4),
        ({"patience": 2}, [3, 2, 2.5, 1, 1.5, 1.5], 6),
        ({}, [3, 3, 1], 2),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.8, 1], 2),
        ({"patience": 3, "baseline": 1.0}, [3, 2, 2.5, 1.5], 3),
        ({"patience": 1, "start_from_epoch": 2}, [1, 2, 3, 4, 5], 4),
        ({"patience": 1, "mode": "max"}, [1, 2, 1, 9], 3),
        ({"patience": 1, "monitor": "val_acc"}, [0.1, 0.2, 0.15, 1], 3),
    ],
)
def test_early_stopping_stops_when_keras_does(arguments, values, stopped_after):
    monitor = arguments.get("monitor", "val_loss")
    assert _epochs(EarlyStopping(**arguments), values, monitor)[1] == stopped_after


@pytest.mark.parametrize("values", [[3, 1, 2, 2, 2], [3, 1, 2]])
def test_the_best_weights_come_back_stopped_or_not(values, capsys):
    callback = EarlyStopping(patience=2, restore_best_weights=True, verbose=1)
    model, _ = _epochs(callback, values)
    assert model.weights == 1 and callback.best_epoch == 1
    assert "best epoch: 2" in capsys.readouterr().out


def test_monitor_mistakes():
    for arguments in ({"mode": "best"}, {"patience": -1}, {"patience": "two"}):
        with pytest.raises((TypeError, ValueError), match=r"EarlyStopping: .*; it must be"):
            EarlyStopping(**arguments)


def test_plateaus_reduce_the_rate():
    callback = ReduceLROnPlateau(patience=2, factor=0.5, min_lr=0.2, cooldown=1)
    model, _ = _epochs(callback, [3, 3, 3])
    assert model.optimizer.learning_rate == 0.5
    assert _epochs(callback, [3, 3, 3, 3, 3])[0].optimizer.learning_rate == 0.25
    assert _epochs(callback, [3] * 20)[0].optimizer.learning_rate == 0.2
    assert _epochs(callback, [3, 2, 1, 0.5])[0].optimizer.learning_rate == 1
    for factor in (1, 0, float("nan"), "half"):
        with pytest.raises((TypeError, ValueError), match=f"factor is {factor!r}; it must be"):
            ReduceLROnPlateau(factor=factor)


def test_schedules_of_one_and_two_arguments(capsys):
    assert _epochs(LearningRateScheduler(lambda e: 0.5**e), [0] * 4)[0].optimizer.learning_rate == (
        0.125
    )
    halve = LearningRateScheduler(lambda epoch, rate: rate / 2, verbose=1)
    assert _epochs(halve, [0] * 2)[0].optimizer.learning_rate == 0.25
    assert "Epoch 2: setting the learning rate to 0.25" in capsys.readouterr().out
    with pytest.raises(TypeError, match="returned None"):
        _epochs(LearningRateScheduler(lambda epoch: None), [0])
    for rate in (float("nan"), float("inf"), -0.1):
        with pytest.raises(ValueError, match=f"returned {rate} for epoch 0; it must be a finite"):
            _epochs(LearningRateScheduler(lambda e, _, rate=rate: rate), [0])
    with pytest.raises(TypeError, match="it must be a function"):
        LearningRateScheduler(0.1)


def test_the_learning_rate_is_in_the_history():
    x, y = photos(8)
    model = convnet(optimizer=optimizers.SGD(0.5))
    scheduler = LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = model.fit(x, y, epochs=2, callbacks=[scheduler], verbose=0).history
    assert history["learning_rate"] == [0.25, 0.125]


def test_checkpoints_are_named_by_epoch_and_metrics(tmp_path):
    pattern = str(tmp_path / "deep" / "m-{epoch:02d}-{val_loss:.2f}-{val_acc:.1f}.npz")
    x, y = photos(8)
    model = convnet()
    callback = ModelCheckpoint(pattern)
    logs = model.fit(
        x, y, epochs=2, validation_data=(x, y), callbacks=[callback], verbose=0
    ).history
    expected = [
        f"m-{e + 1:02d}-{logs['val_loss'][e]:.2f}-{logs['val_accuracy'][e]:.1f}.npz" for e in (0, 1)
    ]
    assert sorted(os.listdir(tmp_path / "deep")) == sorted(expected)
    assert [os.path.basename(path) for path in callback.saved_paths] == expected
    assert load_model(callback.saved_paths[-1]).epochs_done == 2


def test_only_the_best_is_kept(capsys):
    callback = ModelCheckpoint("m-{epoch:02d}.npz", save_best_only=True, verbose=1)
    assert _epochs(callback, [3, 2, 2.5, 1])[0].saved == ["m-01.npz", "m-02.npz", "m-04.npz"]
    assert "did not improve from 2.0" in capsys.readouterr().out
    callback = ModelCheckpoint("m.npz", save_best_only=True, initial_value_threshold=1.5)
    assert _epochs(callback, [3, 2, 1])[0].saved == ["m.npz"]


def test_checkpoint_mistakes():
    with pytest.raises(ValueError, match=r"end in '\.npz'"):
        ModelCheckpoint("m-{epoch:02d}.txt")
    with pytest.raises(ValueError, match="save_freq is 0"):
        ModelCheckpoint("m.npz", save_freq=0)
    with pytest.raises(ValueError, match=r"can fill in, with val_loss, epoch"):
        _epochs(ModelCheckpoint("m-{auc}.npz"), [1])


def test_a_checkpoint_sees_what_the_others_made_of_the_epoch(tmp_path):
    x, y = photos(8)
    model = convnet(optimizer=optimizers.SGD(0.0), dropout=0.0)
    path = tmp_path / "m.npz"
    model.fit(x, y, epochs=5, validation_data=(x, y), verbose=0,
              callbacks=[ModelCheckpoint(path), EarlyStopping(patience=1)])  # fmt: skip
    assert load_model(path).fit_state["stopped"] is True


def test_csv_rows(tmp_path):
    path = tmp_path / "new" / "log.csv"
    x, y = photos(8)
    model = convnet()
    history = model.fit(x, y, epochs=2, callbacks=[CSVLogger(path)], verbose=0).history
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert [float(row["loss"]) for row in rows] == history["loss"]
    model.fit(x, y, epochs=1, callbacks=[CSVLogger(path, append=True)], verbose=0)
    assert len(path.read_text().splitlines()) == 4
    model.fit(x, y, epochs=1, callbacks=[CSVLogger(path, separator=";")], verbose=0)
    assert path.read_text().splitlines()[0] == "epoch;accuracy;loss"


def test_training_ends_with_the_first_nan(capsys):
    x, y = photos(20)
    x[:] = np.nan
    model = convnet()
    model.fit(x, y, batch_size=5, epochs=3, callbacks=[TerminateOnNaN()], verbose=0)
    assert model.optimizer.iterations == 1 and "the loss is nan" in capsys.readouterr().out


def test_functions_as_callbacks():
    seen = []
    callback = LambdaCallback(
        on_train_begin=lambda logs: seen.append("begin"),
        on_epoch_end=lambda epoch, logs: seen.append((epoch, sorted(logs))),
        on_test_end=lambda logs: seen.append(sorted(logs)),
    )
    x, y = photos(4)
    convnet().fit(x, y, validation_data=(x, y), callbacks=[callback], verbose=0)
    both = ["accuracy", "loss"]
    assert seen == ["begin", both, (0, [*both, "val_accuracy", "val_loss"])]
    with pytest.raises(TypeError, match="'on_lunch'; it must be a moment's name"):
        LambdaCallback(on_lunch=print)
    with pytest.raises(TypeError, match="on_epoch_end is 3; it must be a function"):
        LambdaCallback(on_epoch_end=3)


def test_moments_come_in_keras_order():
    moments = [name for name in dir(Callback) if name.startswith("on_")]
    seen = []

    class Watch(Callback):
        pass

    for moment in moments:
        if moment not in ("on_batch_begin", "on_batch_end"):
            setattr(Watch, moment, lambda self, *a, moment=moment: seen.append(moment[3:]))
    x, y = photos(4)
    model = convnet()
    model.fit(x, y, validation_data=(x, y), callbacks=Watch(), verbose=0)
    assert seen == [
        "train_begin", "epoch_begin", "train_batch_begin", "train_batch_end", "test_begin",
        "test_batch_begin", "test_batch_end", "test_end", "epoch_end", "train_end",
    ]  # fmt: skip
    seen.clear()
    model.predict(x, callbacks=[Watch()], verbose=0)
    assert seen == ["predict_begin", "predict_batch_begin", "predict_batch_end", "predict_end"]


def test_states_go_back_to_callbacks_of_their_class():
    first, second = EarlyStopping(), EarlyStopping()
    first.best, second.best = 1.0, 2.0
    saved = CallbackList([first, History(), second], None).get_state()
    fresh = [History(), EarlyStopping(), EarlyStopping(), TerminateOnNaN()]
    CallbackList(fresh, None).set_state(saved)
    assert (fresh[1].best, fresh[2].best) == (1.0, 2.0)


# The progress line


class Terminal(io.StringIO):
    def isatty(self):
        return True


LINE = r"3/3 \[=+\] - \d+s \d+[mu]s/step - loss: 0\.5000 - acc: 0\.2500"


def _play(stream, live=True):
    line = ProgressLine(live=live, stream=stream)
    line.set_params({"epochs": 2, "steps": 3})
    line.on_train_begin()
    line.on_epoch_begin(0)
    for batch in range(3):
        line.on_train_batch_begin(batch)
        line.on_train_batch_end(batch, {"loss": 0.5, "acc": 0.25})
    line.on_epoch_end(0, {"loss": 0.5, "acc": 0.25, "val_loss": 1e-5})
    line.on_train_end()
    line.close()
    return stream.getvalue()


@pytest.mark.parametrize(("stream", "live"), [(io.StringIO(), True), (Terminal(), False)])
def test_one_line_an_epoch_where_no_bar_can_be(stream, live):
    text = _play(stream, live)
    assert re.fullmatch(rf"Epoch 1/2 - {LINE} - val_loss: 1\.0000e-05\n", text)


def test_a_bar_on_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    text = _play(Terminal())
    assert text.startswith("Epoch 1/2\n") and "0/3 [....." in text and "ETA: " in text
    assert re.search(rf"\r{LINE} - val_loss: 1\.0000e-05\n$", text)


def test_evaluate_and_predict_have_lines_of_their_own(capsys):
    x, y = photos(8)
    model = convnet()
    model.fit(x, y, epochs=2, validation_data=(x, y), verbose=2)
    assert len(capsys.readouterr().out.splitlines()) == 2
    model.evaluate(x, y)
    assert re.fullmatch(
        r"1/1 \[=+\] - .*/step - loss: .* - accuracy: .*\n", capsys.readouterr().out
    )
    model.predict(x)
    assert re.fullmatch(r"1/1 \[=+\] - .*/step\n", capsys.readouterr().out)
    model.fit(x, y, verbose=0)
    assert capsys.readouterr().out == ""


def test_everything_named_is_there():
    for name in callbacks_module.__all__:
        assert getattr(callbacks_module, name).__doc__
