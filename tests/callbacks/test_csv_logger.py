"""The table of a run: columns known beforehand, nothing dropped, nothing foreign overwritten."""

from __future__ import annotations

import csv
import os
import stat

import pytest
from small_models import convnet, photos

from fastconv.callbacks import Callback, CSVLogger, LambdaCallback, ModelCheckpoint

X, Y = photos(12)
NAMES = ["accuracy", "loss", "val_accuracy", "val_loss"]


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def fit(path, epochs=2, model=None, callbacks=(), append=False, **arguments):
    """Train with a CSVLogger, which comes behind `callbacks`."""
    logger = CSVLogger(path, append=append)
    return (model or convnet()).fit(
        X, Y, epochs=epochs, callbacks=[*callbacks, logger], verbose=0, **arguments
    )


def test_rare_validations_have_their_columns_from_the_beginning(tmp_path):
    path = tmp_path / "log.csv"
    history = fit(path, epochs=4, validation_split=0.5, validation_freq=2).history
    table = rows(path)
    assert list(table[0]) == ["epoch", *NAMES]
    assert [row["val_loss"] for row in table] == [
        "NA", str(history["val_loss"][0]), "NA", str(history["val_loss"][1]),
    ]  # fmt: skip


def test_a_metric_that_turns_up_later_is_a_column_more(tmp_path):
    class Late(Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                logs["extra"] = 0.5
            if epoch == 3:
                logs["another"] = 0.25

    path = tmp_path / "log.csv"
    fit(path, epochs=4, callbacks=[Late()])
    table = rows(path)
    assert list(table[0]) == ["epoch", "accuracy", "loss", "extra", "another"]
    assert [row["extra"] for row in table] == ["NA", "0.5", "NA", "NA"]
    assert [row["another"] for row in table] == ["NA", "NA", "NA", "0.25"]
    assert all(float(row["loss"]) > 0 for row in table) and os.listdir(tmp_path) == ["log.csv"]


def test_appending_keeps_every_column_of_both_runs(tmp_path):
    path = tmp_path / "log.csv"
    fit(path)
    first = rows(path)
    fit(path, append=True, validation_split=0.5)
    model = convnet(metrics=["auc"])
    fit(path, append=True, model=model)
    table = rows(path)
    assert list(table[0]) == ["epoch", *NAMES, "auc"] and len(table) == 6
    assert [{name: row[name] for name in first[0]} for row in table[:2]] == first
    assert [row["val_loss"] == "NA" for row in table] == [True, True, False, False, True, True]
    assert [row["auc"] == "NA" for row in table] == [True] * 4 + [False] * 2


def test_acc_goes_into_the_column_of_accuracy(tmp_path):
    path = tmp_path / "log.csv"
    fit(path)
    fit(path, append=True, model=convnet(metrics=["acc"]))
    assert list(rows(path)[0]) == ["epoch", "accuracy", "loss"]
    assert all(0 <= float(row["accuracy"]) <= 1 for row in rows(path))


@pytest.mark.parametrize(
    "content",
    [b"name,size\ncat,3\n", b"epoch;loss\n0;1\n", b"\xff\xfe\x00", b"epoch,loss\n1,2,3\n"],
)
def test_a_file_that_is_no_such_table_is_refused_before_training(content, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    model = convnet()
    with pytest.raises(ValueError, match=r"CSVLogger: filename is '.*mine.csv'; it must be a"):
        fit(path, model=model, append=True)
    assert path.read_bytes() == content and model.optimizer.iterations == 0


def test_a_resumed_run_does_not_overwrite_what_is_no_table(tmp_path):
    path, saved = tmp_path / "log.csv", tmp_path / "m.npz"
    fit(path, epochs=1, callbacks=[ModelCheckpoint(saved)])
    path.write_text("something else\n")
    with pytest.raises(ValueError, match="must be a table of epochs"):
        fit(path, epochs=2, resume_from=saved)
    assert path.read_text() == "something else\n"


def test_a_resumed_run_goes_on_with_its_rows(tmp_path):
    path, saved = tmp_path / "log.csv", tmp_path / "m.npz"
    rare = {"validation_split": 0.5, "validation_freq": 2}
    fit(path, epochs=1, callbacks=[ModelCheckpoint(saved)], **rare)
    first = rows(path)
    with open(path, "a") as file:
        file.write("1,0.1,0.1\n")  # of an epoch that is done again
    fit(path, epochs=2, resume_from=saved, **rare)
    table = rows(path)
    assert [row["epoch"] for row in table] == ["0", "1"] and table[0].items() > first[0].items()
    assert table[0]["val_loss"] == "NA" != table[1]["val_loss"]


def test_a_run_without_an_epoch_leaves_the_old_rows(tmp_path):
    path = tmp_path / "log.csv"
    fit(path)
    before = path.read_text()
    stop = LambdaCallback(on_epoch_begin=lambda epoch, logs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(path, callbacks=[stop])
    assert path.read_text() == before


def test_rewriting_keeps_the_files_rights_and_links(tmp_path):
    path, link = tmp_path / "log.csv", tmp_path / "link.csv"
    fit(path)
    path.chmod(0o660)
    link.symlink_to(path)
    fit(link, append=True, validation_split=0.5)
    assert link.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o660
    assert len(rows(path)) == 4


def test_what_cannot_be_written_is_found_before_training(tmp_path):
    (tmp_path / "file").touch()
    model = convnet()
    for path in (tmp_path / "file" / "log.csv", tmp_path):
        with pytest.raises(OSError):
            fit(path, model=model)
    assert model.optimizer.iterations == 0
    with pytest.raises(ValueError, match="separator is 'ab'; it must be one character"):
        CSVLogger("log.csv", separator="ab")


def test_a_device_takes_the_rows_and_stays_one():
    fit(os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_a_full_disk_is_told_with_the_files_name():
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"):
        fit("/dev/full")


def test_a_row_that_was_cut_short_keeps_what_it_has(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss,acc\n0,1,1\n1,2\n")
    fit(path, append=True)
    assert [(row["loss"], row["acc"]) for row in rows(path)[:2]] == [("1", "1"), ("2", "NA")]


def test_a_table_that_cannot_be_replaced_stays_alone(tmp_path, monkeypatch):
    path = tmp_path / "log.csv"
    fit(path)
    before = path.read_text()

    def full(source, target):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        fit(path, append=True)
    assert os.listdir(tmp_path) == ["log.csv"] and path.read_text() == before
