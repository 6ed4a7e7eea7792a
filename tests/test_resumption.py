"""Going on with a run: as if it had never been stopped, or all is as it was before."""

from __future__ import annotations

import json
import os

import pytest
from small_models import convnet, photos, same_weights

import fastconv
from fastconv import archive, optimizers
from fastconv.archive import CheckpointError
from fastconv.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from fastconv.preprocessing.image import ImageDataGenerator


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


def _data(kind):
    x, y = photos(30)
    if kind == "arrays":
        return {"x": x, "y": y, "batch_size": 8, "validation_split": 0.2}
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
    assert fastconv.random.next_seed() == _next_seed_after(tmp_path / "whole")
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
    fastconv.random.set_state(state)
    return fastconv.random.next_seed()


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
