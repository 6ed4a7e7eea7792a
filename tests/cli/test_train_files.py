"""Whose files are whose: two runs in one folder, one after the other and at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_runs import start, wait_for, write_squares

from fastconv.cli import train
from fastconv.models import load_model


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_squares(tmp_path_factory.mktemp("data"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _arguments(data, *more):
    return ["--arch", "model1", "--data", str(data), "--image-size", "20", "--batch-size", "8",
            "--patience", "0", *more]  # fmt: skip


def test_another_runs_files_are_kept_and_the_names_are_said(data, here, capsys):
    options = ["--epochs", "1", "--history", "h.csv"]
    assert train.main(_arguments(data, "--seed", "1", *options, "--quiet")) == 0
    before = {name: Path(name).read_bytes() for name in ("model1.npz", "h.csv")}
    capsys.readouterr()
    assert train.main(_arguments(data, "--seed", "2", *options)) == 0
    out, err = capsys.readouterr()
    assert "Wrote model1-2.npz, h-2.csv" in out and "model1-2.npz" in err and "h-2.csv" in err
    assert {name: Path(name).read_bytes() for name in before} == before
    assert train.main(_arguments(data, "--seed", "2", *options, "--quiet", "--overwrite")) == 0
    assert capsys.readouterr() == ("", "")
    after = {name: Path(name).read_bytes() for name in before}
    assert all(after[name] != before[name] for name in before)
    assert sorted(os.listdir(here)) == ["h-2.csv", "h.csv", "model1-2.npz", "model1.npz"]


def test_a_pattern_is_taken_when_one_of_its_files_is_there(data, here, capsys):
    options = ["--epochs", "1", "--checkpoint", "runs/m-{epoch:02d}.npz", "--quiet"]
    for _ in range(3):
        assert train.main(_arguments(data, *options)) == 0
    assert sorted(os.listdir("runs")) == ["m-01.npz", "m-2-01.npz", "m-3-01.npz"]


@pytest.mark.parametrize("name", ["checkpoint", "history"])
def test_what_no_training_wrote_is_not_even_overwritten(data, here, name, capsys):
    file = {"checkpoint": "arrays.npz", "history": "table.csv"}[name]
    if name == "checkpoint":
        np.savez(file, x=np.zeros(3))
    else:
        Path(file).write_text("name,mark\nKim,A\n")
    before = Path(file).read_bytes()
    arguments = _arguments(data, "--epochs", "1", f"--{name}", file)
    assert train.main([*arguments, "--overwrite"]) == 2
    assert f"{file!r} was not written by a training" in capsys.readouterr().err
    assert train.main([*arguments, "--quiet"]) == 0
    assert Path(file).read_bytes() == before and Path(file.replace(".", "-2.")).exists()


def test_a_plot_does_not_replace_a_picture(data, here):
    pytest.importorskip("matplotlib", reason="the extra is not installed")
    Path("p.png").write_bytes(b"a picture")
    assert train.main(_arguments(data, "--epochs", "1", "--quiet", "--plot", "p.png")) == 0
    assert Path("p.png").read_bytes() == b"a picture" and Path("p-2.png").stat().st_size > 1000


def test_two_trainings_at_once_in_one_folder_keep_apart(data, here):
    arguments = [*_arguments(data, "--epochs", "100000", "--history", "h.csv"), "--threads", "1"]
    processes = [start(["fastconv.train", *arguments], here) for _ in range(2)]
    names = ["model1", "model1-2"]
    try:
        for process in processes:
            wait_for(lambda: all((here / f"{n}.npz").exists() for n in names), process)
        assert (here / ".model1.last.npz.lock").exists()
        # Nor is a run that goes on resumed once more.
        resumed = start(["fastconv.train", "--resume", "model1.last.npz"], here)
        _, err = resumed.communicate(timeout=60)
        assert resumed.returncode == 2 and "another training is writing to 'model1.npz' now" in err
        for process in processes:
            process.terminate()
        errors = [process.communicate(timeout=60)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [143, 143]
    assert sum("another training is writing there now" in error for error in errors) == 1
    for name, table in zip(names, ("h.csv", "h-2.csv"), strict=True):
        rows = (here / table).read_text().splitlines()
        assert rows[0] == "epoch,accuracy,loss,val_accuracy,val_loss"
        assert [row.split(",")[0] for row in rows[1:]] == [str(i) for i in range(len(rows) - 1)]
        assert load_model(here / f"{name}.last.npz").epochs_done == len(rows) - 1
    assert not [name for name in os.listdir(here) if name.startswith(".")]


def test_a_killed_run_leaves_no_lock_in_the_way(data, here):
    arguments = _arguments(data, "--epochs", "100000", "--threads", "1")
    process = start(["fastconv.train", *arguments], here)
    wait_for((here / "model1.last.npz").exists, process)
    process.kill()
    process.communicate()
    done = load_model("model1.last.npz").epochs_done
    assert train.main(["--resume", "auto", "--epochs", str(done + 1), "--quiet"]) == 0
    assert os.listdir(here) == ["model1.npz"]


def test_a_run_that_was_stopped_in_its_first_epoch_gives_its_name_away(data, here, monkeypatch):
    from fastconv.cli import last_state

    with monkeypatch.context() as patch:
        patch.setattr(last_state.LastState, "on_epoch_end", _interrupt)
        assert train.main(_arguments(data, "--epochs", "1", "--quiet")) == 130
    os.remove("model1.npz")
    assert load_model("model1.last.npz").epochs_done == 0
    assert train.main(_arguments(data, "--epochs", "1", "--quiet")) == 0
    assert os.listdir(here) == ["model1.npz"]


def _interrupt(*arguments):
    import signal

    from fastconv.cli.interruption import Interrupted

    raise Interrupted(signal.SIGINT)


def test_a_refused_run_leaves_no_folder(here, data, capsys):
    missing = ["--data", "nowhere", "--checkpoint", "new/folder/m.npz"]
    assert train.main(["--arch", "model1", *missing]) == 2
    assert os.listdir(here) == []


@pytest.mark.parametrize(
    ("pattern", "last", "second"),
    [
        ("model1.npz", "model1.last.npz", "model1-2.npz"),
        ("model4-{epoch:02d}.npz", "model4.last.npz", "model4-2-{epoch:02d}.npz"),
        ("a/b-{epoch}-{val_loss:.2f}.npz", "a/b.last.npz", "a/b-2-{epoch}-{val_loss:.2f}.npz"),
        ("a/{epoch:02d}/m.npz", "a/m.last.npz", "a/{epoch:02d}/m-2.npz"),
        ("{epoch:02d}.npz", "model.last.npz", "2{epoch:02d}.npz"),
        ("{epoch:02d}-best.npz", "best.last.npz", "2{epoch:02d}-best.npz"),
        ("m{epoch}.npz", "m.last.npz", "m-2{epoch}.npz"),
        (f"{'x' * 250}.npz", f"{'x' * 200}.last.npz", f"{'x' * 250}-2.npz"),
    ],
)
def test_names_of_the_last_state_and_of_the_second_run(pattern, last, second):
    from fastconv.cli.run_files import last_path, numbered

    assert last_path(pattern) == last
    assert numbered(pattern, 2, is_pattern=True) == second
    if "x" not in pattern and "{epoch:02d}" not in pattern[:13]:
        assert last_path(second) == last.replace(".last", "-2.last")


def test_a_loss_that_is_no_number_is_a_failure_and_no_best_model(data, here, capsys):
    arguments = _arguments(data, "--epochs", "3", "--history", "h.csv", "--optimizer", "sgd")
    assert train.main([*arguments, "--learning-rate", "1e38"]) == 1
    err = capsys.readouterr().err
    assert "failed: the loss is nan in epoch 1, batch " in err and "--learning-rate" in err
    assert err.count("\n") == 1 and not [n for n in os.listdir(here) if n.endswith(".npz")]


def test_the_best_model_before_a_loss_that_is_no_number_is_kept(data, here, capsys, monkeypatch):
    from fastconv.training.trainer import Trainer

    step = Trainer.train_step

    def breaks(self, batch):
        loss, output = step(self, batch)
        return (float("nan") if self.optimizer.iterations > 6 else loss), output

    monkeypatch.setattr(Trainer, "train_step", breaks)
    assert train.main(_arguments(data, "--epochs", "9", "--quiet")) == 1
    err = capsys.readouterr().err
    assert "the loss is nan in epoch 3, batch 1; model1.npz, the best model before it" in err
    assert load_model("model1.npz").epochs_done <= 2 and os.listdir(here) == ["model1.npz"]


@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-", "<&- >&- 2>&-", "> /dev/full"])
def test_output_that_cannot_be_written(data, here, redirection):
    command = [sys.executable, "-m", "fastconv.train", *_arguments(data, "--epochs", "1")]
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
    done = subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", *command],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        cwd=here,
    )
    if "full" in redirection:
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        assert "No space left" in done.stderr
    else:
        assert (done.returncode, done.stderr) == (0, "")
        assert load_model("model1.npz").epochs_done == 1  # nothing was printed into it


def test_lines_come_through_a_pipe_one_by_one(data, here):
    process = start(["fastconv.train", *_arguments(data, "--epochs", "100000")], here)
    try:
        lines = [process.stdout.readline() for _ in range(6)]
    finally:
        process.kill()
        process.communicate()
    assert lines[0].startswith("Data: ") and lines[5].startswith("Epoch 1/100000")
    assert lines[4] == "Decoding 36 images, once for all epochs\n"


def test_a_lock_that_was_cleared_away_ends_no_run_and_no_other_lock(here):
    from fastconv.cli.run_files import locked

    with locked("m.last.npz") as free:
        assert free
        [lock] = os.listdir(here)
        os.unlink(lock)
        Path(lock).touch()  # another run's by now
    assert os.listdir(here) == [lock]
    with locked("m.last.npz"):
        os.unlink(lock)
    assert os.listdir(here) == []
