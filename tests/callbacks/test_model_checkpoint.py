"""Checkpoints while training: what is refused beforehand, periods, names of files."""

from __future__ import annotations

import os
import sys

import pytest
from small_models import convnet, photos, same_weights

from fastconv import optimizers
from fastconv.callbacks import ModelCheckpoint
from fastconv.models import load_model

X, Y = photos(12)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"filepath": "m-{auc:.2f}.npz"}, r"can fill in, with loss, accuracy, epoch \('auc'\)"),
        ({"filepath": "m-{val_loss:.2f}.npz"}, r"can fill in, .* \('val_loss'\)"),
        ({"filepath": "m-{batch}.npz"}, r"can fill in, .* \('batch'\)"),
        ({"filepath": "m-{epoch:.2q}.npz"}, "can fill in"),
        ({"filepath": "m-{}.npz"}, "can fill in"),
        ({"filepath": "m-{epoch[0]}.npz"}, "can fill in"),
        ({"filepath": "m-{loss.x}.npz"}, "can fill in"),
        ({"filepath": "m.npz", "save_freq": 2, "save_best_only": True}, "'val_loss', which is not"),
    ],
)
def test_a_file_that_could_not_be_named_or_chosen_is_refused_before_training(arguments, text):
    model = convnet()
    with pytest.raises(ValueError, match=f"ModelCheckpoint: .*{text}"):
        model.fit(X, Y, callbacks=[ModelCheckpoint(**arguments)], verbose=0)
    assert model.optimizer.iterations == 0


def test_names_of_files_and_rare_validations(tmp_path):
    rare = {"epochs": 2, "validation_split": 0.5, "validation_freq": 2, "verbose": 0}
    pattern = str(tmp_path / "{epoch}-{val_loss:.1f}.npz")
    with pytest.raises(ValueError, match="it must be without val_loss"):
        convnet().fit(X, Y, callbacks=[ModelCheckpoint(pattern)], **rare)
    convnet().fit(X, Y, callbacks=[ModelCheckpoint(pattern, save_best_only=True)], **rare)
    assert [name[:2] for name in os.listdir(tmp_path)] == ["2-"]


def test_the_best_batch_may_be_watched(tmp_path):
    saver = ModelCheckpoint(tmp_path / "{epoch}-{batch}.npz", "loss", save_best_only=True,
                            save_freq=1)  # fmt: skip
    convnet(optimizer=optimizers.SGD(0.0)).fit(
        X, Y, batch_size=6, callbacks=[saver], validation_split=0.1, verbose=0
    )
    assert saver.saved_paths and saver.saved_paths[0].endswith("1-1.npz")


def test_a_period_of_epochs(tmp_path):
    saver = ModelCheckpoint(tmp_path / "{epoch}.npz", period=2)
    convnet().fit(X, Y, epochs=5, callbacks=[saver], verbose=0)
    assert sorted(os.listdir(tmp_path)) == ["2.npz", "4.npz"]
    assert saver.get_state()["epochs_since_save"] == 1
    again = ModelCheckpoint(tmp_path / "m.npz", period=2)
    again.set_state({"best": None, "batches_since_save": 0, "saved_paths": []})
    for period in (0, 1.5, True):
        with pytest.raises((TypeError, ValueError), match=f"period is {period}; it must be"):
            ModelCheckpoint("m.npz", period=period)
    with pytest.raises(ValueError, match="it must be left out with save_freq"):
        ModelCheckpoint("m.npz", period=2, save_freq=3)


def test_a_resumed_run_with_a_period_is_the_run_that_was_not_stopped(tmp_path):
    def run(folder, epochs, resume_from=None):
        model = convnet(dropout=0.0)
        model.set_weights(first)
        model.fit(X, Y, epochs=epochs, shuffle=False, verbose=0, resume_from=resume_from,
                  callbacks=[ModelCheckpoint(folder / "{epoch}.npz", period=3),
                             ModelCheckpoint(folder / "last-{epoch}.npz")])  # fmt: skip
        return model

    first = convnet().get_weights()
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = run(whole, 4)
    run(parts, 2)
    assert same_weights(run(parts, 4, resume_from=parts / "last-2.npz"), expected)
    assert sorted(os.listdir(whole)) == sorted(os.listdir(parts))
    assert load_model(parts / "3.npz").epochs_done == 3


def test_the_logs_of_a_batch_have_nothing_of_the_validation():
    model = convnet()
    checkpoint = ModelCheckpoint("m-{val_loss:.2f}.npz", save_freq=2)
    with pytest.raises(ValueError, match=r"can fill in, .* \('val_loss'\)"):
        model.fit(X, Y, validation_data=(X, Y), callbacks=checkpoint, verbose=0)
    assert model.optimizer.iterations == 0


def test_the_chapters_hdf5_names_work_as_printed(tmp_path):
    pytest.importorskip("h5py", reason="Keras's files are HDF5")
    (x, y), model = photos(8), convnet()
    checkpoint = ModelCheckpoint(str(tmp_path / "model4-{epoch:02d}.hdf5"), save_best_only=True)
    model.fit(x, y, validation_data=(x, y), callbacks=[checkpoint], verbose=0)
    with pytest.warns(UserWarning, match="optimizer begins anew"):
        loaded = load_model(tmp_path / "model4-01.hdf5")
    assert same_weights(loaded, model) and loaded.compiled


def test_a_missing_h5py_is_said_before_the_first_epoch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (x, y), model = photos(8), convnet()
    before = model.get_weights()
    with pytest.raises(ImportError, match=r"pip install 'fastconv\[hdf5\]'"):
        model.fit(x, y, callbacks=[ModelCheckpoint(str(tmp_path / "m.hdf5"))], verbose=0)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
