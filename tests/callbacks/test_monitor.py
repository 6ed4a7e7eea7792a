"""Watching a metric: its direction, values that are missing or no numbers, what is better."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
from small_models import convnet, photos

from fastconv import metrics, optimizers
from fastconv.callbacks import (
    Callback,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from fastconv.callbacks.monitor import MonitorCallback
from fastconv.callbacks.names import LogNames, Logs

NAN, INF = math.nan, math.inf
X, Y = photos(12)


class Model:
    """As much of a model as these callbacks touch; its weights are the epoch's number."""

    def __init__(self):
        self.stop_training = False
        self.optimizer = optimizers.SGD(1.0)
        self.weights = None
        self.saved = []

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights

    def check_saving(self, path=".npz", weights_only=False):
        pass

    def save(self, path):
        self.saved.append(path)


def play(callback, values, name="val_loss", names=None):
    """Play epochs in which `name` has the given values, None being none; return the model."""
    model = Model()
    callback.set_model(model)
    callback.set_params({"epochs": len(values), "logs": names or LogNames(("loss",), (name,))})
    callback.on_train_begin({})
    for epoch, value in enumerate(values):
        model.weights = epoch
        callback.on_epoch_begin(epoch, {})
        logs = Logs(loss=1.0) if value is None else Logs({"loss": 1.0, name: value})
        callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    callback.on_train_end({})
    model.epochs = epoch + 1
    return model


# The direction


class Iou(metrics.Metric):
    """A metric that says which way it gets better."""

    larger_is_better = True

    def update(self, y_true, y_pred, sample_weight=None):
        pass

    def result(self):
        return 0.5

    def reset(self):
        pass


class Distance(Iou):
    larger_is_better = False


class Silent(Iou):
    larger_is_better = None


@pytest.mark.parametrize(
    ("monitor", "chosen", "larger"),
    [
        ("loss", [], False),
        ("val_loss", [], False),
        ("acc", ["accuracy"], True),
        ("val_accuracy", ["acc"], True),
        ("val_auc", ["auc"], True),
        ("val_area", [metrics.AUC(name="area")], True),
        ("val_iou", [Iou()], True),
        ("val_distance", [Distance()], False),
        ("val_loss_iou", [Iou(name="loss_iou")], True),
        ("val_accuracy_distance", [Distance(name="accuracy_distance")], False),
        ("val_auc_1", [metrics.AUC(), metrics.AUC()], True),
    ],
)
def test_a_known_metric_knows_its_direction(monitor, chosen, larger):
    model = convnet(metrics=chosen)
    for callback in (EarlyStopping(monitor), ReduceLROnPlateau(monitor), ModelCheckpoint(
        "m.npz", monitor, save_best_only=True
    )):  # fmt: skip
        callback.set_model(model)
        assert callback.is_improvement(0.6, 0.5) is larger
        assert callback.is_improvement(0.4, 0.5) is not larger


@pytest.mark.parametrize("name", ["iou", "dice", "accumulated_loss", "race", "recall_time", "f1s"])
@pytest.mark.parametrize(
    "make",
    [
        EarlyStopping,
        ReduceLROnPlateau,
        lambda monitor: ModelCheckpoint("best.npz", monitor, save_best_only=True),
    ],
)
def test_an_unknown_direction_is_asked_for(name, make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = convnet(metrics=[Silent(name=name)])
    weights = model.get_weights()
    with pytest.raises(ValueError, match=f"monitor is 'val_{name}'.*give mode='max' or mode='min'"):
        model.fit(X, Y, validation_split=0.5, callbacks=[make(f"val_{name}")], verbose=0)
    assert all(map(np.array_equal, weights, model.get_weights())) and not os.listdir(tmp_path)


def test_a_mode_that_is_given_decides():
    for mode, better in (("max", 2.0), ("min", 0.5)):
        callback = EarlyStopping("val_iou", mode=mode)
        assert callback.is_improvement(better, 1.0) and not callback.is_improvement(1.0, better)
    with pytest.raises(TypeError, match="EarlyStopping: monitor is None; it must be a metric's"):
        EarlyStopping(None)


def test_a_checkpoint_of_every_epoch_needs_no_monitor(tmp_path):
    callback = ModelCheckpoint(tmp_path / "m.npz")
    convnet().fit(X, Y, callbacks=[callback], verbose=0)
    assert len(callback.saved_paths) == 1


# Names


@pytest.mark.parametrize("monitor", ["val_loss", "val_acuracy", "los", "lr"])
@pytest.mark.parametrize(
    "make",
    [
        EarlyStopping,
        ReduceLROnPlateau,
        lambda monitor: ModelCheckpoint("best.npz", monitor, save_best_only=True),
    ],
)
def test_a_name_that_is_never_logged_is_an_error_before_training(monitor, make):
    model = convnet()
    with pytest.raises(ValueError, match=rf"monitor is '{monitor}', .* \(loss, accuracy"):
        model.fit(X, Y, callbacks=[make(monitor)], verbose=0)
    assert model.optimizer.iterations == 0


def test_the_error_says_what_to_do():
    with pytest.raises(ValueError, match=r"EarlyStopping: .*give fit\(validation_data=\.\.\.\)"):
        convnet().fit(X, Y, callbacks=[EarlyStopping()], verbose=0)
    with pytest.raises(ValueError, match="monitor one of these"):
        convnet().fit(X, Y, callbacks=[EarlyStopping("time")], verbose=0)


def test_a_validation_that_never_comes_logs_nothing():
    with pytest.raises(ValueError, match="'val_loss', which is not among"):
        convnet().fit(X, Y, epochs=2, validation_split=0.5, validation_freq=3,
                      callbacks=[EarlyStopping()], verbose=0)  # fmt: skip


def test_the_learning_rate_is_among_the_names_where_it_is_logged():
    stop = EarlyStopping("learning_rate", mode="max")
    halve = LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = convnet().fit(X, Y, epochs=5, callbacks=[halve, stop], verbose=0)
    assert history.epoch == [0, 1]
    with pytest.raises(ValueError, match="'learning_rate', which is not among"):
        convnet().fit(X, Y, callbacks=[stop], verbose=0)


class Dice(Callback):
    """Adds a metric of its own to the logs, in epochs that are validated."""

    def on_epoch_end(self, epoch, logs=None):
        if "val_loss" in logs:
            logs["val_dice"] = -float(epoch)


def test_what_callbacks_log_can_be_watched():
    stop = EarlyStopping("val_dice", mode="max", patience=1)
    history = convnet().fit(X, Y, epochs=9, validation_split=0.5, validation_freq=2,
                            callbacks=[Dice(), stop], verbose=0)  # fmt: skip
    assert history.epoch == [0, 1, 2, 3] and stop.best == -1
    log = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(iou=float(epoch)))
    stop = EarlyStopping("iou", mode="min")
    assert convnet().fit(X, Y, epochs=5, callbacks=[log, stop], verbose=0).epoch == [0, 1]
    with pytest.raises(ValueError, match=r"'iou'; .* of which more is known to be better"):
        convnet().fit(X, Y, callbacks=[log, EarlyStopping("iou")], verbose=0)


def test_what_callbacks_do_not_log_is_an_error_at_the_epochs_end():
    model = convnet()
    nothing = LambdaCallback(on_epoch_end=lambda epoch, logs: None)
    with pytest.raises(ValueError, match=r"'iou', which is not among .* before this one"):
        model.fit(X, Y, epochs=9, callbacks=[nothing, EarlyStopping("iou", mode="max")], verbose=0)
    assert model.optimizer.iterations == 1
    # The one that logs it stands behind the one that watches.
    with pytest.raises(ValueError, match="must stand before this one"):
        model.fit(X, Y, epochs=9, validation_split=0.5, verbose=0,
                  callbacks=[EarlyStopping("val_dice", mode="max"), Dice()])  # fmt: skip


def test_what_is_no_single_number_is_refused():
    log = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(iou=np.zeros(3)))
    with pytest.raises(TypeError, match=r"'iou', whose value has the shape \(3,\); it must be one"):
        convnet().fit(X, Y, callbacks=[log, EarlyStopping("iou", mode="max")], verbose=0)


# Values


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_what_is_not_finite_is_never_better(bad):
    for mode in ("min", "max"):
        callback = MonitorCallback("loss", mode)
        assert not callback.is_improvement(bad, None) and not callback.is_improvement(bad, 1.0)
        assert callback.is_improvement(1.0, None) and callback.is_improvement(1.0, NAN)
    callback = MonitorCallback("loss")
    assert callback.is_improvement(5.0, INF)


@pytest.mark.parametrize(
    ("mode", "value", "better"),
    [
        ("min", 0.79, True), ("min", 0.85, False), ("min", 1.15, False), ("min", 1.3, False),
        ("max", 1.21, True), ("max", 1.15, False), ("max", 0.85, False), ("max", 0.7, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("min_delta", [0.2, -0.2])
def test_a_change_of_less_than_min_delta_is_none(mode, value, better, min_delta):
    assert MonitorCallback("loss", mode, min_delta).is_improvement(value, 1.0) is better


def test_min_delta_counts_in_both_directions():
    for mode, values in (("max", [0.1, 0.15, 0.18, 0.9]), ("min", [0.9, 0.85, 0.82, 0.1])):
        callback = EarlyStopping("val_x", mode=mode, min_delta=0.1, patience=2)
        assert play(callback, values, "val_x").epochs == 3 and callback.best == values[0]
    for wrong in (NAN, INF, "small"):
        with pytest.raises(
            (TypeError, ValueError), match=r"min_delta is .*; it must be a .*number"
        ):
            EarlyStopping(min_delta=wrong)


@pytest.mark.parametrize(
    ("values", "patience", "epochs", "best"),
    [
        ([NAN, 0.5, 0.4], 2, 3, 0.4),
        ([NAN, 2, 1, 3], 1, 4, 1),
        ([NAN, NAN, NAN], 2, 2, None),
        ([3, NAN, NAN, 1], 2, 3, 3),
        ([INF, 3, 2], 2, 3, 2),
        ([3, None, 4, None, 5, 1], 2, 5, 3),
        ([None, None, None, 2, 1], 1, 5, 1),
    ],
)
def test_early_stopping_counts_bad_epochs_and_passes_over_missing_ones(
    values, patience, epochs, best
):
    callback = EarlyStopping(patience=patience)
    assert play(callback, values).epochs == epochs and callback.best == best


@pytest.mark.parametrize(
    ("values", "restored"),
    [([NAN, 0.5, 0.4, 0.6], 2), ([NAN, 0.5, NAN], 1), ([None, 0.5, None, None], 1)],
)
def test_only_weights_of_a_number_are_remembered(values, restored):
    callback = EarlyStopping(patience=9, restore_best_weights=True)
    assert play(callback, values).weights == restored == callback.best_epoch
    callback = EarlyStopping(patience=9, restore_best_weights=True)
    assert play(callback, [NAN, NAN]).weights == 1 and callback.best_weights is None


@pytest.mark.parametrize(
    ("arguments", "values", "saved"),
    [
        ({}, [NAN, 0.5, 0.4, 0.6], [2, 3]),
        ({}, [0.5, NAN, None, 0.4], [1, 4]),
        ({}, [None, 0.5, None, 0.6], [2]),
        ({"mode": "max"}, [INF, 0.5, 0.4], [2]),
        ({"initial_value_threshold": 0.45}, [NAN, 0.5, 0.4], [3]),
        ({"initial_value_threshold": INF}, [NAN, 0.5], [2]),
    ],
)
def test_the_best_file_is_replaced_by_better_ones_alone(arguments, values, saved):
    callback = ModelCheckpoint("{epoch}.npz", save_best_only=True, **arguments)
    assert play(callback, values).saved == [f"{epoch}.npz" for epoch in saved]


def test_a_run_without_a_number_says_that_nothing_was_saved():
    with pytest.warns(UserWarning, match="val_loss was nan, never a number to compare; no model"):
        assert not play(ModelCheckpoint("m.npz", save_best_only=True), [NAN, NAN]).saved
    with pytest.raises(ValueError, match="initial_value_threshold is nan"):
        ModelCheckpoint("m.npz", initial_value_threshold=NAN)
    with pytest.raises(ValueError, match="baseline is nan"):
        EarlyStopping(baseline=NAN)


def test_epochs_without_validation_leave_the_best_file_alone(tmp_path):
    model = convnet()
    path = tmp_path / "best.npz"
    kept = []
    look = LambdaCallback(
        on_epoch_end=lambda epoch, logs: kept.append(path.exists() and path.stat().st_mtime_ns)
    )
    saver = ModelCheckpoint(path, save_best_only=True)
    model.fit(X, Y, epochs=4, validation_split=0.5, validation_freq=2, verbose=0,
              callbacks=[saver, look])  # fmt: skip
    assert kept[0] is False and kept[1] is False  # look comes first: the checkpoint runs last
    assert kept[2] == kept[3] and saver.saved_paths == [str(path)]


def test_plateaus_count_nan_as_no_improvement():
    callback = ReduceLROnPlateau(patience=2, factor=0.5)
    assert play(callback, [NAN, NAN]).optimizer.learning_rate == 0.5
    assert play(callback, [NAN, 3, 2, 1]).optimizer.learning_rate == 1 and callback.best == 1
    assert play(callback, [3, None, None, None]).optimizer.learning_rate == 1


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_training_ends_at_a_loss_that_is_no_number(value, capsys):
    for raise_error in (False, True):
        callback, model = TerminateOnNaN(raise_error), Model()
        callback.set_model(model)
        callback.on_train_batch_end(0, {"loss": 1.0})
        assert not model.stop_training
        if raise_error:
            with pytest.raises(
                RuntimeError, match=f"TerminateOnNaN: the loss of batch 3 is {value}"
            ):
                callback.on_train_batch_end(3, {"loss": value})
        else:
            callback.on_train_batch_end(3, {"loss": value})
            assert model.stop_training and f"the loss is {value}" in capsys.readouterr().out


def test_a_saved_nan_is_no_best():
    callback = EarlyStopping()
    callback.set_state({"best": NAN, "wait": 0, "stopped_epoch": 0, "best_epoch": 0,
                        "best_weights": None})  # fmt: skip
    assert callback.is_improvement(3.0, callback.best)


def test_a_stop_in_the_second_epoch_is_told(capsys):
    stop = EarlyStopping("loss", verbose=1)
    assert play(stop, [1, 2, 3], "loss").epochs == 2
    assert "Epoch 2: early stopping\n" in capsys.readouterr().out


def test_what_the_run_logs_instead_is_told():
    callback = EarlyStopping("loss")
    for logs, names in (({"acc": 1.0}, r"\(acc\)"), ({}, r"\(none\)")):
        with pytest.raises(ValueError, match=f"monitor is 'loss', .* {names}; monitor one"):
            callback.monitored(logs)


@pytest.mark.parametrize("weights", [[1, 2], "ab", (np.ones(2),), 3])
def test_saved_weights_that_are_no_list_of_arrays_are_refused(weights):
    callback = EarlyStopping("loss", restore_best_weights=True)
    callback.set_model(convnet())
    state = callback.get_state() | {"best_weights": weights}
    with pytest.raises(ValueError, match=r"best_weights is a .*; it must be a list of arrays"):
        callback.set_state(state)


def test_a_schedule_whose_signature_is_not_known_gets_both():
    callback = LearningRateScheduler(max)
    model = convnet(optimizer=optimizers.SGD(0.5))
    callback.set_model(model)
    callback.on_epoch_begin(0)
    assert model.optimizer.learning_rate == 0.5


def test_logs_are_asked_for_anything():
    assert Logs(loss=1.0).get(3) is None and None not in Logs(acc=1.0)
