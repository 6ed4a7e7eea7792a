"""Going on with a run: as if it had never been stopped, or all is as it was before."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from small_models import convnet, photos, same_weights

import fastconv
from fastconv import optimizers
from fastconv.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from fastconv.preprocessing.image import ImageDataGenerator
from fastconv.saving import npz as archive
from fastconv.saving.npz import CheckpointError


class Stop(Exception):
    pass


class StopAfter(Callback):
    """Break off at an epoch's end, after the checkpoint was written."""

    runs_last = True

    def __init__(self, epoch):
        super().__init__()
        self.at = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.at:
            raise Stop


def _endless(x, y):
    while True:
        yield x[:8], y[:8]


def _data(kind):
    x, y = photos(30)
    if kind == "arrays":
        return {"x": x, "y": y, "batch_size": 8, "validation_split": 0.2}
    if kind == "generator":
        return {"x": _endless(x, y), "steps_per_epoch": 3, "validation_data": (x, y)}
    if kind == "steps":
        return {"x": x, "y": y, "batch_size": 8, "steps_per_epoch": 3, "validation_split": 0.2}
    augmented = ImageDataGenerator(rotation_range=30, horizontal_flip=True)
    plain = ImageDataGenerator()
    return {
        "x": augmented.flow(255 * x, y, batch_size=8),
        "validation_data": plain.flow(255 * x, y, batch_size=8, shuffle=False),
    }


def _callbacks(folder, *more):
    return [
        CSVLogger(folder / "log.csv"),
        ReduceLROnPlateau(monitor="loss", patience=1, factor=0.5, min_delta=0.05),
        ModelCheckpoint(folder / "m-{epoch:02d}.npz"),
        EarlyStopping(patience=4, restore_best_weights=True),
        *more,
    ]


@pytest.mark.parametrize("kind", ["arrays", "steps", "augmented"])
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
@pytest.mark.filterwarnings("ignore:n_jobs")
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, kind, optimizer):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    fastconv.utils.set_random_seed(21)
    whole = convnet(optimizer=optimizer)
    history = whole.fit(
        **_data(kind), epochs=7, callbacks=_callbacks(tmp_path / "whole"), verbose=0
    )

    fastconv.utils.set_random_seed(21)
    parts = convnet(optimizer=optimizer)
    with pytest.raises(Stop):
        parts.fit(
            **_data(kind),
            epochs=7,
            callbacks=_callbacks(tmp_path / "parts", StopAfter(4)),
            verbose=0,
        )
    # Another process would have other random numbers, a fresh model and fresh data.
    fastconv.utils.set_random_seed(99)
    resumed = convnet(optimizer=optimizer)
    again = resumed.fit(
        **_data(kind),
        epochs=7,
        callbacks=_callbacks(tmp_path / "parts"),
        resume_from=tmp_path / "parts" / "m-03.npz",
        verbose=0,
    )
    assert same_weights(whole, resumed)
    assert again.history == history.history and again.epoch == history.epoch
    assert (tmp_path / "parts/log.csv").read_text() == (tmp_path / "whole/log.csv").read_text()
    assert fastconv._core.random.next_seed() == _next_seed_after(tmp_path / "whole")
    last = f"m-{len(history.epoch):02d}.npz"
    first, second = (archive.read(tmp_path / part / last) for part in ("whole", "parts"))
    weights = [name for name in first if name.startswith(("weights/", "optimizer/"))]
    assert all(first[a].tobytes() == second[b].tobytes() for a, b in zip(
        weights, [n for n in second if n.startswith(("weights/", "optimizer/"))], strict=True
    ))  # fmt: skip


def _next_seed_after(folder):
    """Return the seed that the run which was never stopped would have drawn next."""
    last = sorted(os.listdir(folder))[-1]
    state = json.loads(str(archive.read(folder / last)["state"]))["random"]
    fastconv._core.random.set_state(state)
    return fastconv._core.random.next_seed()


def test_an_early_stopped_run_stays_stopped(tmp_path):
    x, y = photos()
    arguments = {"optimizer": optimizers.SGD(0.0), "dropout": 0.0}
    path = tmp_path / "m.npz"
    model = convnet(**arguments)
    history = model.fit(
        x, y, epochs=9, validation_data=(x, y), verbose=0,
        callbacks=[EarlyStopping(patience=2), ModelCheckpoint(path)],
    )  # fmt: skip
    assert history.epoch == [0, 1, 2]
    resumed = convnet(optimizer=optimizers.SGD(0.0), dropout=0.0)
    with pytest.warns(UserWarning, match=r"was stopped after epoch 3; to train on .*=3, epochs=9"):
        again = resumed.fit(
            x, y, epochs=9, validation_data=(x, y), verbose=0, resume_from=path,
            callbacks=[EarlyStopping(patience=2)],
        )  # fmt: skip
    assert again.history == history.history and same_weights(model, resumed)


def test_files_a_run_cannot_go_on_from(tmp_path):
    x, y = photos()
    model = convnet()
    model.save(tmp_path / "never.npz")
    model.fit(x, y, batch_size=8, verbose=0,
              callbacks=[ModelCheckpoint(tmp_path / "b{batch}.npz", save_freq=2)])  # fmt: skip
    assert sorted(os.listdir(tmp_path)) == ["b2.npz", "b4.npz", "never.npz"]
    with pytest.raises(CheckpointError, match="after 2 batches of epoch 1"):
        model.fit(x, y, resume_from=tmp_path / "b2.npz", verbose=0)
    with pytest.raises(CheckpointError, match="no state of a training run"):
        model.fit(x, y, resume_from=tmp_path / "never.npz", verbose=0)


def test_a_scheduler_and_new_callbacks_on_resuming(tmp_path):
    x, y = photos()
    path = tmp_path / "m.npz"
    convnet().fit(x, y, epochs=2, callbacks=[ModelCheckpoint(path)], verbose=0)
    scheduler = LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    history = convnet().fit(x, y, epochs=4, callbacks=[scheduler], resume_from=path, verbose=0)
    assert history.epoch == [0, 1, 2, 3]
    assert history.history["learning_rate"] == pytest.approx([0.1 / 3, 0.1 / 4])


# All or nothing


class Counting(Callback):
    """A user's callback that keeps a number, and can refuse to take it up again."""

    refuses = None

    def __init__(self):
        super().__init__()
        self.count = 0

    def on_train_begin(self, logs=None):
        self.count = 100

    def get_state(self):
        return {"count": self.count}

    def set_state(self, state):
        self.count = state["count"]
        if self.refuses is not None:
            raise self.refuses


def _written(folder, kind="arrays", optimizer="adam"):
    """Train, write a file at the end, and return its path."""
    path = folder / "m.npz"
    model = convnet(optimizer=optimizer)
    model.fit(
        **_data(kind), epochs=2, verbose=0, callbacks=[*_callbacks(folder), Counting(),
                                                       ModelCheckpoint(path)],
    )  # fmt: skip
    return path


def _changed_state(path, change):
    arrays = archive.read(path)
    state = json.loads(str(arrays["state"]))
    change(state)
    arrays["state"] = np.array(json.dumps(state))
    archive.write(path, arrays)


def _everything(model, callbacks, data):
    optimizer = model.optimizer.get_state()
    return (
        [weight.tobytes() for weight in model.get_weights()],
        [layer.get_state() for layer in model.layers],
        {name: np.asarray(value).tobytes() for name, value in optimizer.items()},
        (model.history, model._run, model.epochs_done, model.stop_training, model.class_names),
        repr([callback.get_state() for callback in callbacks]),
        [{**vars(callback), "model": None, "params": None} for callback in callbacks],
        [one.get_state() for one in data.values() if hasattr(one, "get_state")],
        fastconv._core.random.get_state(),
    )


def _refused(folder, path, text, kind="arrays", counting=None, optimizer="adam"):
    """Try to resume; the error is CheckpointError and says `text`, and all is as it was."""
    model = convnet(optimizer=optimizer)
    x, y = photos()
    model.fit(x, y, verbose=0)
    callbacks = [*_callbacks(folder), Counting() if counting is None else counting]
    data = _data(kind)
    if kind == "augmented":
        next(data["x"])
    before = _everything(model, callbacks, data)
    with pytest.raises(CheckpointError, match=text) as caught:
        model.fit(**data, epochs=9, callbacks=callbacks, resume_from=path, verbose=0)
    assert str(path) in str(caught.value)
    assert _everything(model, callbacks, data) == before
    model.fit(x, y, verbose=0)


@pytest.mark.parametrize("written", ["arrays", "augmented", "generator"])
@pytest.mark.parametrize("resumed", ["arrays", "augmented", "generator"])
@pytest.mark.filterwarnings("ignore:n_jobs")
def test_other_data_than_the_runs_are_refused(tmp_path, written, resumed):
    if written != resumed:
        text = "the saved run took its batches from .*; give data as that run had"
        _refused(tmp_path, _written(tmp_path, written), text, resumed)


@pytest.mark.parametrize(
    "error", [TypeError("no"), KeyError("no"), ValueError("no"), MemoryError(), StopIteration()]
)
def test_a_callback_that_refuses_its_state(tmp_path, error):
    path = _written(tmp_path)
    counting = Counting()
    counting.refuses = error
    _refused(tmp_path, path, "Counting refuses its state", counting=counting)


def test_an_error_of_the_trainings_begin_is_its_own(tmp_path):
    class Broken(Callback):
        closed = False

        def on_train_begin(self, logs=None):
            raise ZeroDivisionError

        def close(self):
            Broken.closed = True

    path = _written(tmp_path)
    model, callbacks, data = convnet(), [*_callbacks(tmp_path), Broken()], _data("arrays")
    before = _everything(model, callbacks, data)
    with pytest.raises(ZeroDivisionError):
        model.fit(**data, epochs=9, callbacks=callbacks, resume_from=path, verbose=0)
    assert Broken.closed and _everything(model, callbacks, data) == before


def _entry(state, name):
    return next(one for one in state["callbacks"] if one["class_name"] == name)["state"]


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(epoch="x"),
        lambda s: s.update(epoch=-1),
        lambda s: s.update(epoch=10**30),
        lambda s: s.update(epoch=1.5),
        lambda s: s.update(callbacks=5),
        lambda s: s.update(callbacks=[5]),
        lambda s: s.update(callbacks=[{"class_name": "Counting"}]),
        lambda s: s.update(random={"seed": "x", "count": 1}),
        lambda s: s.update(random=None),
        lambda s: s.update(random={"seed": -1, "count": 1}),
        lambda s: s.update(layers=[]),
        lambda s: s.update(layers={}),
        lambda s: s["layers"].update({next(iter(s["layers"])): {"x": 1}}),
        lambda s: s["layers"].update({list(s["layers"])[3]: {"generator": {"state": 10**400}}}),
        lambda s: s.update(run=7),
        lambda s: s["run"].pop("data"),
        lambda s: s["run"].update(batch=None),
        lambda s: s["run"].update(data=[]),
        lambda s: s["run"].update(data={}),
        lambda s: s["run"]["data"].update({"pass": "x"}),
        lambda s: s["run"]["data"].update({"pass": -1}),
        lambda s: s["run"]["data"].update(index=10**9),
        lambda s: s["run"]["data"].update(sequence={"seed": [1], "epoch": 0}),
        lambda s: s["run"]["data"].update(sequence={"seed": 1, "epoch": -1}),
        lambda s: s["run"]["data"].update(sequence={"seed": 1}),
        lambda s: s["run"]["data"].update(sequence=3),
        lambda s: s["run"].update(validation_data={"pass": 0}),
        lambda s: s["run"]["history"].update(epoch=["x"]),
        lambda s: s["run"]["history"].update(history=[1]),
        lambda s: s["run"]["history"].update(history={"loss": 5}),
        lambda s: _entry(s, "Counting").pop("count"),
        lambda s: _entry(s, "EarlyStopping").update(best="low"),
        lambda s: _entry(s, "EarlyStopping").update(wait=None),
        lambda s: _entry(s, "EarlyStopping").update(best_weights="x"),
        lambda s: _entry(s, "EarlyStopping").update(best_weights=[1, 2, 3, 4]),
        lambda s: _entry(s, "EarlyStopping")["best_weights"].pop(),
        lambda s: _entry(s, "EarlyStopping")["best_weights"].reverse(),
        lambda s: _entry(s, "ReduceLROnPlateau").update(best=[], wait=0),
        lambda s: _entry(s, "ReduceLROnPlateau").update(cooldown_counter=-1),
        lambda s: _entry(s, "ModelCheckpoint").update(saved_paths=[5]),
        lambda s: _entry(s, "CSVLogger").update(epoch="x"),
        lambda s: _entry(s, "CSVLogger").update(columns=5),
    ],
)
def test_crafted_states_are_refused(tmp_path, change):
    path = _written(tmp_path)
    _changed_state(path, change)
    _refused(tmp_path, path, "the run|damaged|does not fit|its state")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iterations", np.array(-1)),
        ("iterations", np.array(2**60)),
        ("iterations", np.array(1.5)),
        ("iterations", np.array("x")),
        ("iterations", np.zeros(2)),
        ("learning_rate", np.array(np.nan)),
        ("learning_rate", np.array(-1.0)),
        ("0/momentum", np.zeros((3, 3, 3, 4), np.int32)),
        ("0/momentum", np.zeros((3, 3, 3, 5), np.float32)),
        ("0/momentum", np.full((3, 3, 3, 4), 1e300)),
        ("0/momentum", np.array(0.0)),
    ],
)
def test_crafted_optimizers_are_refused(tmp_path, name, value):
    path = _written(tmp_path)
    arrays = archive.read(path)
    arrays[f"optimizer/{name}"] = value
    archive.write(path, arrays)
    _refused(tmp_path, path, "does not fit")


def test_a_file_of_another_optimizer_is_refused(tmp_path):
    _refused(tmp_path, _written(tmp_path, optimizer="sgd"), "its optimizer is SGD, .* is Adam")


def test_columns_come_from_the_table_and_not_from_a_strangers_file(tmp_path):
    path = _written(tmp_path)
    bad = "x\n$(touch pwned)"
    _changed_state(path, lambda s: _entry(s, "CSVLogger").update(columns=["loss", bad]))
    (tmp_path / "log.csv").unlink()
    convnet().fit(
        **_data("arrays"), epochs=3, callbacks=_callbacks(tmp_path), resume_from=path, verbose=0
    )
    assert "touch" not in (tmp_path / "log.csv").read_text()


def test_a_finished_run_says_that_nothing_is_left(tmp_path):
    path, data = _written(tmp_path), _data("arrays")
    with pytest.warns(UserWarning, match="has 2 epochs behind it; .* a number above 2"):
        history = convnet().fit(**data, epochs=2, resume_from=path, verbose=0)
    assert history.epoch == [0, 1]


def test_how_to_train_on_after_an_early_stop(tmp_path):
    """What the warning says is what works."""
    x, y = photos()
    path = tmp_path / "m.npz"
    model = convnet(optimizer=optimizers.SGD(0.0), dropout=0.0)
    stop = [EarlyStopping("loss", patience=1), ModelCheckpoint(path)]
    # In another order the mean loss would round to another, perhaps a lower, number.
    model.fit(x, y, epochs=9, shuffle=False, verbose=0, callbacks=stop)
    with pytest.warns(UserWarning, match="nothing is trained") as caught:
        model.fit(x, y, epochs=4, verbose=0, resume_from=path)
    assert caught[0].filename == __file__
    call = str(caught[0].message).partition("call ")[2].replace("...", "x, y, verbose=0")
    history = eval(call, {"load_model": fastconv.models.load_model, "x": x, "y": y})
    assert history.epoch == [2, 3]
