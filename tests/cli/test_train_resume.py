"""Runs that are stopped, killed and gone on with, as processes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import time

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


def _arguments(data, *more, arch="model1", size="20"):
    return ["--arch", arch, "--data", str(data), "--image-size", size, "--batch-size", "8",
            "--seed", "3", "--patience", "0", "--threads", "1", *more]  # fmt: skip


def _numbers(path):
    """Weights, optimizer and history of a checkpoint, to be compared bit for bit."""
    with np.load(path, allow_pickle=False) as file:
        arrays = [
            file[name].tobytes()
            for name in file.files
            if name.startswith(("weights/", "optimizer/"))
        ]
        state = json.loads(str(file["state"]))
    return arrays, state["epoch"], state["history"], state["random"]


def _stop(data, here, number, *more, last="model1.last.npz"):
    """Start an endless run, send a signal behind the second epoch; return code and stderr."""
    process = start(["fastconv.train", *_arguments(data, "--epochs", "100000", *more)], here)
    try:
        wait_for(lambda: _epochs(here / last) >= 2, process)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, err


def _epochs(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            return json.loads(str(file["state"]))["epoch"]
    except FileNotFoundError:
        return -1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_every_epoch_and_tells_how_to_go_on(data, here, number, code):
    returned, err = _stop(data, here, number, "--history", "h.csv")
    assert returned == code
    assert re.fullmatch(r".*: interrupted; .*go on with --resume model1\.last\.npz\n", err)
    kept = load_model("model1.last.npz").epochs_done
    assert len((here / "h.csv").read_text().splitlines()) == kept + 1
    hidden = [name for name in os.listdir(here) if name.startswith(".") or name.endswith(".tmp")]
    assert not hidden
    assert train.main(["--resume", "model1.npz", "--epochs", str(kept + 1), "--quiet"]) == 0
    assert len((here / "h.csv").read_text().splitlines()) == kept + 2
    assert not (here / "model1.last.npz").exists()


def test_twenty_kills_end_with_the_bits_of_an_unbroken_run(tmp_path):
    data = write_squares(tmp_path / "data", train=32, validation=8, size=44)
    options = ["--epochs", str(_EPOCHS), "--checkpoint", "m.npz"]
    arguments = ["fastconv.train", *_arguments(data, *options, arch="model4", size="40")]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    unbroken, err = start(arguments, whole).communicate(timeout=300)
    assert "Wrote m.npz" in unbroken, err

    moments = random.Random(0)
    arguments += ["--resume", "auto"]
    kept = -1
    for _ in range(20):
        process = start(arguments, parts)
        try:
            _wait_for_a_moment(moments, process, parts, kept)
        finally:
            process.kill()  # SIGKILL
            process.communicate()
        after = _epochs(parts / "m.last.npz")
        assert after >= kept, "a finished epoch was lost"
        kept = after
    assert 3 < kept < _EPOCHS
    out, err = start(arguments, parts).communicate(timeout=300)
    assert f"Going on with m.last.npz, after epoch {kept}" in out, err
    assert re.search("Best epoch.*", out)[0] == re.search("Best epoch.*", unbroken)[0]
    assert _numbers(parts / "m.npz") == _numbers(whole / "m.npz")
    assert _epochs(parts / "m.npz") > kept
    assert not (parts / "m.last.npz").exists()


_EPOCHS = 60


def _wait_for_a_moment(moments, process, folder, kept):
    """Wait for a write, a finished epoch, or any moment of a life."""
    # Some epochs are left for the last life, however fast the machine is.
    kind = moments.choice(["write", "epoch", "any"] if kept < _EPOCHS // 2 else ["write"])
    if kind == "any":
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moments.uniform(0, 1))
        return
    wait_for(lambda: any(name.endswith(".tmp") for name in os.listdir(folder)), process)
    if kind == "epoch":
        wait_for(lambda: _epochs(folder / "m.last.npz") > kept, process)
        time.sleep(moments.uniform(0, 0.02))


@pytest.fixture
def stopped(data, here):
    """A folder with a run of three epochs that was killed before its fourth."""
    arguments = [*_arguments(data, "--epochs", "100000"), "--checkpoint", "out/m-{epoch}.npz"]
    process = start(["fastconv.train", *arguments], here)
    try:
        wait_for(lambda: _epochs(here / "out/m.last.npz") >= 3, process)
    finally:
        process.kill()
        process.communicate()
    return _epochs(here / "out/m.last.npz")


def _goes_on_after(epoch, capsys, *arguments):
    assert train.main([*arguments, "--epochs", str(epoch + 1)]) == 0
    out, err = capsys.readouterr()
    assert f"Epoch {epoch + 1}/{epoch + 1} " in out and f"Epoch {epoch}/" not in out
    return out, err


@pytest.mark.parametrize("name", ["out/m-{epoch}.npz", "out/m-1.npz", "out/m.last.npz"])
def test_a_run_is_found_by_its_pattern_its_best_model_and_its_last_state(stopped, capsys, name):
    out, err = _goes_on_after(stopped, capsys, "--resume", name)
    assert err == ""
    assert (f"Going on with out/m.last.npz, after epoch {stopped}" in out) == ("last" not in name)
    assert not os.path.exists("out/m.last.npz")


def test_a_last_state_of_another_run_is_not_taken_for_this_one(stopped, data, capsys):
    assert train.main([*_arguments(data, "--seed", "9", "--epochs", "1", "--quiet"),
                       "--checkpoint", "m-{epoch}.npz"]) == 0  # fmt: skip
    os.rename("out/m.last.npz", "m.last.npz")
    out, _ = _goes_on_after(1, capsys, "--resume", "m-1.npz", "--checkpoint", "n.npz")
    assert "Going on with" not in out


def test_auto_takes_the_newest_whole_state(stopped, data, here, capsys):
    os.rename("out", "kept")
    for path in (here / "kept").iterdir():
        path.rename(here / path.name)
    damaged = (here / "m.last.npz").read_bytes()
    (here / "z.last.npz").write_bytes(damaged[: len(damaged) // 2])
    _, err = _goes_on_after(stopped, capsys, "--resume", "auto")
    assert err.startswith("warning: z.last.npz is skipped: ") and err.count("\n") == 1


def test_auto_without_a_state_asks_for_a_model_or_starts_anew(data, here, capsys):
    assert train.main(["--resume", "auto"]) == 2
    assert "--resume auto: the working folder holds no whole state" in capsys.readouterr().err
    assert train.main(_arguments(data, "--epochs", "1", "--resume", "auto")) == 0
    assert "a new run" in capsys.readouterr().out and (here / "model1.npz").exists()


def test_auto_goes_on_with_a_run_of_the_model_that_is_said(stopped, data, here, capsys):
    os.rename("out/m.last.npz", "m.last.npz")
    other = ["--epochs", "1", "--resume", "auto", "--checkpoint", "other.npz"]
    assert train.main([*_arguments(data, *other, arch="model2"), "--quiet"]) == 0
    assert load_model("other.npz").name == "model2" and (here / "m.last.npz").exists()


def test_a_run_that_was_killed_behind_its_last_epoch_has_nothing_to_do(data, here, capsys):
    from fastconv.cli import last_state

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(last_state.LastState, "remove", lambda self: None)
        assert train.main([*_arguments(data, "--epochs", "2"), "--history", "h.csv"]) == 0
    capsys.readouterr()
    assert train.main(["--resume", "auto"]) == 0
    out, err = capsys.readouterr()
    assert "Nothing to do: model1.last.npz is of a run that ended with epoch 2" in out
    assert "Wrote" not in out and "Decoding" not in out and err == ""
    assert not (here / "model1.last.npz").exists()


def test_a_second_signal_ends_at_once():
    """The first waits for the running step; the second does not, wherever it comes."""
    from fastconv.cli.interruption import Interrupted, StopOnSignal

    before = signal.getsignal(signal.SIGTERM)
    with StopOnSignal() as stop:
        stop.on_train_batch_begin(0)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted) as second:
            signal.raise_signal(signal.SIGTERM)
        assert second.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    with StopOnSignal() as stop:
        stop.on_train_batch_begin(0)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted) as first:
            stop.on_train_batch_end(0)
        assert first.value.exit_code == 130


def test_signals_that_are_ignored_stay_so_and_other_threads_take_none():
    import threading

    from fastconv.cli.interruption import StopOnSignal

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopOnSignal():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    seen = []

    def elsewhere():
        with StopOnSignal():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_fewer_epochs_than_a_stopped_run_has_done_are_refused_and_its_state_stays(
    stopped, here, capsys
):
    """Nothing would be trained, and a run with nothing left to do has its last state removed."""
    epochs = str(stopped - 1)
    assert train.main(["--resume", "out/m.last.npz", "--epochs", epochs]) == 2
    err = capsys.readouterr().err
    assert f"has {stopped} of its 100000 epochs behind it; give more than {stopped}" in err
    assert _epochs(here / "out/m.last.npz") == stopped
