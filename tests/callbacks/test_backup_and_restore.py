"""BackupAndRestore: runs that are killed, interrupted and called again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from command_runs import wait_for
from small_models import convnet, photos, same_weights

import fastconv
from fastconv.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from fastconv.preprocessing.image import ImageDataGenerator
from fastconv.saving.npz import CheckpointError

PROGRAM = """
import sys
import time
import fastconv
from fastconv import layers, models
from fastconv.callbacks import BackupAndRestore, Callback, CSVLogger
from small_models import photos

class Tell(Callback):
    runs_last = 3
    def on_epoch_end(self, epoch, logs=None):
        print(epoch, flush=True)
        time.sleep(0.1)  # who reads it has the time to kill this before all epochs are done

fastconv.utils.set_random_seed(5)
model = models.Sequential([
    layers.RandomRotation(0.1, input_shape=(12, 12, 3)),
    layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dropout(0.3),
    layers.Dense(1, activation="sigmoid"),
])
model.compile("adam", "binary_crossentropy")
x, y = photos(40)
backup = BackupAndRestore("backup", save_freq=SAVE_FREQ, double_checkpoint=True)
history = model.fit(x, y, batch_size=8, epochs=EPOCHS, verbose=0, validation_split=0.2,
                    callbacks=[backup, CSVLogger("log.csv"), Tell()])
model.save("end.npz")
print("done", len(history.epoch), flush=True)
"""


def program(folder, epochs, save_freq="epoch"):
    text = PROGRAM.replace("EPOCHS", str(epochs)).replace("SAVE_FREQ", repr(save_freq))
    (folder / "program.py").write_text(text)
    path = os.pathsep.join([os.path.dirname(os.path.dirname(__file__)), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "program.py"], cwd=folder, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def weights(path):
    with np.load(path, allow_pickle=False) as file:
        return [file[n].tobytes() for n in file.files if n.startswith(("weights/", "optimizer/"))]


def test_a_run_that_is_killed_again_and_again_ends_as_if_it_had_not_been(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    assert program(whole, 6).communicate(timeout=120)[0].endswith("done 6\n")
    for stop_behind in (1, 3):
        process = program(killed, 6)
        try:
            for line in process.stdout:
                if line.strip() == str(stop_behind):
                    break
            os.kill(process.pid, signal.SIGKILL)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        assert os.path.exists(killed / "backup/latest.npz")
    process = program(killed, 6)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    # Killed at any moment: an epoch whose end was told may be the last that was kept, or one more.
    assert out.splitlines()[0] in ("4", "5") and out.splitlines()[-1] == "done 6"
    assert weights(killed / "end.npz") == weights(whole / "end.npz")
    assert (killed / "log.csv").read_text() == (whole / "log.csv").read_text()
    assert not os.path.exists(killed / "backup")


def test_within_an_epoch_what_was_learnt_is_kept(tmp_path):
    process = program(tmp_path, 10**6, save_freq=2)
    try:
        wait_for(lambda: os.path.exists(tmp_path / "backup/latest.npz"), process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    out, _ = program(tmp_path, 3, save_freq=2).communicate(timeout=120)
    assert out.splitlines()[-1] == "done 3"


class Interrupt(Callback):
    """Ends the training with an error: behind a batch of an epoch."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise KeyboardInterrupt


def callbacks(folder, *more, **options):
    return [
        BackupAndRestore(folder / "backup", **options),
        ReduceLROnPlateau(monitor="loss", patience=1, factor=0.5, min_delta=0.05),
        ModelCheckpoint(folder / "best.npz", save_best_only=True),
        EarlyStopping(patience=4, restore_best_weights=True),
        CSVLogger(folder / "log.csv"),
        *more,
    ]


def fit(folder, *more, seed=1, kind="arrays", **options):
    fastconv.utils.set_random_seed(seed)
    model, (x, y) = convnet(), photos(30)
    data = {"x": x, "y": y, "batch_size": 8}
    if kind == "augmented":
        generator = ImageDataGenerator(rotation_range=30, horizontal_flip=True)
        data = {"x": generator.flow(255 * x, y, batch_size=8)}
    given = (one for one in callbacks(folder, *more, **options))
    history = model.fit(**data, epochs=6, validation_data=(x, y), callbacks=given, verbose=0)
    return model, history


@pytest.mark.parametrize("kind", ["arrays", "augmented"])
@pytest.mark.filterwarnings("ignore:n_jobs")
def test_it_goes_on_with_the_same_bits(tmp_path, kind):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, history = fit(tmp_path / "a", kind=kind)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "b", Interrupt(3, 1), kind=kind)
    resumed, again = fit(tmp_path / "b", seed=99, kind=kind)
    assert same_weights(whole, resumed)
    assert again.history == history.history and again.epoch == history.epoch
    assert weights(tmp_path / "a/best.npz") == weights(tmp_path / "b/best.npz")
    assert (tmp_path / "a/log.csv").read_text() == (tmp_path / "b/log.csv").read_text()
    assert not (tmp_path / "a/backup").exists() and not (tmp_path / "b/backup").exists()


def test_an_epoch_that_was_saved_within_is_begun_again(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, Interrupt(2, 2), save_freq=1)
    kept = fastconv.models.load_model(tmp_path / "backup/latest.npz")
    assert kept.optimizer.iterations == 2 * 4 + 3

    class First(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.seen = getattr(self, "seen", (batch, self.model.optimizer.iterations))

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = getattr(self, "epoch", epoch)

    first = First()
    model, history = fit(tmp_path, first, save_freq=1)
    assert (first.epoch, first.seen) == (2, (0, 11))
    assert history.epoch == list(range(6)) and model.optimizer.iterations == 11 + 4 * 4


def test_files_are_kept_on_demand_and_strangers_always(tmp_path):
    fit(tmp_path, delete_checkpoint=False, double_checkpoint=True)
    assert sorted(os.listdir(tmp_path / "backup")) == ["latest.npz", "previous.npz"]
    with pytest.warns(UserWarning, match="has 6 epochs behind it"):
        _, history = fit(tmp_path, delete_checkpoint=False)
    assert history.epoch == list(range(6))
    os.remove(tmp_path / "backup/latest.npz")
    (tmp_path / "backup/notes.txt").write_text("mine")
    _, history = fit(tmp_path)  # from the file before the last
    assert history.epoch == list(range(6))
    assert os.listdir(tmp_path / "backup") == ["notes.txt"]


def test_a_file_of_another_model_changes_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, Interrupt(1, 0))
    x, y = photos(30, size=16)
    model = convnet(size=16)
    before = model.get_weights()
    with pytest.raises(CheckpointError, match=r"latest\.npz: the file does not fit"):
        model.fit(x, y, callbacks=BackupAndRestore(tmp_path / "backup"), verbose=0)
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    assert (tmp_path / "backup/latest.npz").exists()


def test_its_file_counts_before_resume_from(tmp_path):
    x, y = photos(30)

    def run(*more, **options):
        backup = BackupAndRestore(tmp_path / "backup")
        fastconv.utils.set_random_seed(1)
        return convnet().fit(x, y, epochs=5, callbacks=[backup, *more], verbose=0, **options).epoch

    fastconv.utils.set_random_seed(1)
    convnet().fit(x, y, epochs=1, callbacks=ModelCheckpoint(tmp_path / "first.npz"), verbose=0)
    with pytest.raises(KeyboardInterrupt):
        run(Interrupt(3, 0), resume_from=tmp_path / "first.npz")
    begun = []

    class Note(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            begun.append(epoch)

    run(Note(), resume_from=tmp_path / "first.npz")
    assert begun == [3, 4]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("",), "backup_dir is ''"),
        (("b", 0), "save_freq is 0"),
        (("b", "batch"), "save_freq is 'batch'"),
        (("b", "epoch", "yes"), "double_checkpoint is 'yes'"),
    ],
)
def test_mistakes_are_named(arguments, text):
    with pytest.raises((TypeError, ValueError), match=f"BackupAndRestore: {text}"):
        BackupAndRestore(*arguments)
