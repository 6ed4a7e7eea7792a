"""The commands, as functions and as processes: results, one-line errors, exit codes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time

import pytest
from command_runs import start, write_squares
from PIL import Image

from fastconv.cli import evaluate, train
from fastconv.cli.main import main as cli
from fastconv.models import load_model
from fastconv.saving import npz as archive

SIZE = 20


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_squares(tmp_path_factory.mktemp("data"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _arguments(data, *more):
    return ["--arch", "model1", "--data", str(data), "--image-size", str(SIZE), "--batch-size", "8",
            "--seed", "3", *more]  # fmt: skip


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("trained") / "m.npz"
    arguments = _arguments(data, "--epochs", "3", "--checkpoint", str(path), "--patience", "0")
    assert train.main([*arguments, "--quiet"]) == 0
    return path


def test_training_tells_what_it_does(data, here, capsys):
    assert train.main(_arguments(data, "--epochs", "2", "--history", "h.csv")) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert f"Data: {data}\nFound 24 images belonging to 2 classes." in out
    assert re.search(r"^Epoch 2/2 - 3/3 \[=+\] - .* - val_accuracy: \d\.\d{4}$", out, re.M)
    assert re.search(
        r"^Best epoch: [12] of 2, val_loss \d\.\d{4}, val_accuracy \d\.\d{4}", out, re.M
    )
    assert "\nWrote model1.npz, h.csv\nNext: python -m fastconv.evaluate model1.npz" in out
    assert (here / "h.csv").read_text().startswith("epoch,accuracy,loss,val_accuracy,val_loss\n0,")
    model = load_model("model1.npz")
    assert model.class_names == ["cat", "dog"] and model.input_shape == (None, SIZE, SIZE, 3)


def test_quiet_training_prints_nothing(data, here, capsys):
    assert train.main(_arguments(data, "--epochs", "1", "--quiet")) == 0
    assert capsys.readouterr() == ("", "")


def test_the_recipe_and_its_changes(data, here):
    def settings(*arguments):
        assert train.main([*_arguments(data, "--epochs", "1", "--quiet"), *arguments]) == 0
        model = load_model(arguments[-1])
        return model.metadata["training"], model.optimizer

    said, optimizer = settings("--checkpoint", "a.npz")
    assert (said["optimizer"], said["augment"], said["patience"]) == ("adam", False, 5)
    assert optimizer.learning_rate == 0.001
    said, optimizer = settings("--optimizer", "sgd", "--augment", "--checkpoint", "b.npz")
    assert type(optimizer).__name__ == "SGD" and optimizer.learning_rate == 0.01
    assert said["augment"] is True
    _, optimizer = settings("--learning-rate", "0.5", "--checkpoint", "c.npz")
    assert optimizer.learning_rate == 0.5


def test_a_patience_that_is_not_the_chapters_is_said(data, here, capsys):
    def said(*arguments):
        assert train.main([*_arguments(data, "--epochs", "1"), *arguments]) == 0
        lines = capsys.readouterr().out.splitlines()
        return [line for line in lines if line.startswith("Patience:")]

    usual = said("--checkpoint", "a.npz")
    assert usual == ["Patience: 5 epochs, where the chapter has 2 (--patience 2)"]
    assert not said("--patience", "2", "--checkpoint", "b.npz")


@pytest.mark.filterwarnings("ignore:n_jobs")
@pytest.mark.parametrize("arch", ["model1", "model3"])
def test_resuming_reaches_the_same_weights(data, here, arch, capsys):
    options = ["--arch", arch, "--data", str(data), "--image-size", "20", "--batch-size", "8"]
    # A rate so small that every epoch is better than the one before.
    options += ["--seed", "5", "--optimizer", "sgd", "--learning-rate", "0.001", "--patience", "0"]
    whole, parts = ["--checkpoint", "w{epoch}.npz"], ["--checkpoint", "p{epoch}.npz"]
    assert train.main([*options, *whole, "--epochs", "4", "--history", "w.csv"]) == 0
    assert train.main([*options, *parts, "--epochs", "2", "--history", "p.csv"]) == 0
    assert train.main(["--resume", "p2.npz", "--epochs", "4"]) == 0
    # In order: automatic names of layers differ within one process.
    first, second = (
        [a.tobytes() for name, a in archive.read(path).items() if name.startswith(("w", "o"))]
        for path in ("w4.npz", "p4.npz")
    )
    assert len(first) > 3 and first == second
    assert (here / "w.csv").read_text() == (here / "p.csv").read_text()
    capsys.readouterr()
    assert train.main(["--resume", "p4.npz"]) == 0
    assert "Nothing to do: p4.npz is of a run that ended with epoch 4" in capsys.readouterr().out


def test_what_a_resumed_run_cannot_change(trained, here, capsys):
    assert train.main(["--resume", str(trained), "--optimizer", "sgd"]) == 2
    assert "--optimizer: the run in" in capsys.readouterr().err
    from small_models import convnet

    convnet().save("other.npz")
    assert train.main(["--resume", "other.npz"]) == 2
    assert "resume_from" in capsys.readouterr().err


def test_the_plot_is_a_picture(data, here, capsys):
    pytest.importorskip("matplotlib", reason="the extra is not installed")
    assert train.main(_arguments(data, "--epochs", "2", "--quiet", "--plot", "new/p.png")) == 0
    with Image.open("new/p.png") as picture:
        assert picture.size[0] > 2 * picture.size[1] > 600
    assert train.main(_arguments(data, "--plot", "p.xyz")) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:pkg_resources")
def test_logs_for_tensorboard(data, here):
    pytest.importorskip("tensorboard", reason="the extra is not installed")
    assert train.main(_arguments(data, "--epochs", "1", "--quiet", "--log-dir", "log")) == 0
    assert sorted(os.listdir("log")) == ["train", "validation"]


def test_missing_extras_are_named_before_training(data, here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.summary", None)
    assert train.main(_arguments(data, "--log-dir", "log")) == 2
    assert "pip install 'fastconv[tensorboard]'" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    assert train.main(_arguments(data, "--plot", "p.png")) == 2
    assert "pip install 'fastconv[plot]'" in capsys.readouterr().err


def test_without_photos_the_drawn_set_is_announced(data, here, capsys, monkeypatch):
    from fastconv import datasets

    def nothing(path=None):
        raise FileNotFoundError("no photos found")

    monkeypatch.setattr(datasets, "dog_vs_cat", nothing)
    monkeypatch.setattr(datasets, "synthetic", lambda: data)
    arguments = _arguments(data, "--epochs", "1")
    del arguments[2:4]
    assert train.main(arguments) == 0
    out = capsys.readouterr().out
    assert "Data: no photos found\nData: training on the built-in synthetic set instead" in out
    assert load_model("model1.npz").metadata["training"]["data"] == "synthetic"


def test_evaluate(trained, data, capsys):
    assert evaluate.main([str(trained), str(data)]) == 0
    out = capsys.readouterr().out
    assert "Found 12 images" in out
    last = re.fullmatch(r"loss: (\S+) - accuracy: (\S+)", out.splitlines()[-1])
    assert evaluate.main([str(trained), str(data / "validation"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["images"] == 12 and result["loss"] == pytest.approx(float(last[1]), abs=1e-4)


@pytest.mark.parametrize("command", ["evaluate", "check"])
def test_a_zip_stands_for_its_folder(trained, data, tmp_path, capsys, monkeypatch, command):
    monkeypatch.setenv("FASTCONV_DATA", str(tmp_path / "cache"))
    zipped = shutil.make_archive(str(tmp_path / "photos"), "zip", data)
    model = [str(trained)] if command == "evaluate" else []
    assert cli([command, *model, str(data), "--json"]) == 0
    expected = capsys.readouterr().out
    assert cli([command, *model, zipped, "--json"]) == 0
    (unpacked,) = (tmp_path / "cache").iterdir()
    assert capsys.readouterr().out.replace(str(unpacked), str(data)) == expected


def test_errors_speak_the_commands_language(data, here, trained, capsys):
    """Names of Python functions are no help in a shell."""
    os.makedirs("one/train/cat")
    for arguments in (
        ["train", "--arch", "model1", "--data", "nowhere"],
        ["train", "--arch", "model1", "--data", "one"],
        ["evaluate", str(trained), "one"],
        ["evaluate", str(trained), str(here)],
        ["train", "--arch", "model1", "--data", str(data), "--threads", "5000"],
    ):
        assert cli(arguments) == 2
        err = capsys.readouterr().err
        assert not re.search(r"flow_from|dog_vs_cat: |class_mode|set_num", err), err
        assert err.count("\n") == 1


MISTAKES = [
    (["train"], "give --arch, one of model1"),
    (["train", "--arch", "model9"], "invalid choice: 'model9'"),
    (["train", "--arch", "model1", "--epochs", "0"], "'0' is not a whole number of at least 1"),
    (["train", "--arch", "model1", "--learning-rate", "nan"], "'nan' is not a number above 0"),
    (["train", "--arch", "model1", "--seed", "-1"], "is not a whole number from 0"),
    (["train", "--arch", "model1", "--data", "nowhere"], "there is no 'nowhere'"),
    (["train", "--arch", "model1", "--image-size", "20000"], "at least 1, at most 1024"),
    (["train", "--arch", "model1", "--threads", "5000"], "--threads is 5000; it must be at most"),
    (["train", "--arch", "model1", "--image-size", "2"], "--image-size 2 is too small for model1"),
    (["train", "--arch", "model1", "--checkpoint", "m.hdf5"], "must end in .npz"),
    (["train", "--arch", "model1", "--history", "h.txt"], "must end in .csv"),
    (["train", "--resume", "none.npz"], "'none.npz' does not exist"),
    (["evaluate", "none.npz", "."], "'none.npz' does not exist"),
    (["evaluate", "none.npz", "nowhere"], "there is no folder 'nowhere'"),
    (["evaluate", "none.npz", __file__], "or no zip"),
    (["check", __file__], "or no zip"),
    (["predict", "none.npz", "none.png"], "there is no image file 'none.png'"),
    (["predict", "none.npz"], "required: IMAGE"),
    (["filter", "none.png", "--kernel", "blur", "-o", "o.png"], "no image file 'none.png'"),
    (["filter", "none.png", "--kernel", "1 2; 3", "-o", "o.png"], "rows of numbers"),
    (["filter", "none.png", "--kernel", "blur", "-o", "o.xyz"], "ends in .png"),
    (["filter", "none.png", "--kernel", "blur", "-o", "o.psd"], "ends in .png"),
    (["filter", "none.png", "--kernel", "blur", "-o", "no/o.png"], "no folder 'no'"),
    (["train", "--arch", "model1", "--data", ""], "--data is ''; it must be"),
    (["nonsense"], "invalid choice"),
]


@pytest.mark.parametrize(("arguments", "text"), MISTAKES, ids=lambda value: str(value)[:50])
def test_a_mistake_is_one_line_and_exit_code_2(arguments, text, here, capsys):
    try:
        code = cli(arguments)
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2 and out == "" and text in err
    assert len(err.splitlines()) == 1


def test_a_failure_is_one_line_and_exit_code_1(here, data, capsys):
    (here / "m.npz").write_bytes(b"PK\x03\x04 and then nothing")
    image = str(data / "validation/cat/cat.0.jpg")
    for arguments in (["predict", "m.npz", image], ["evaluate", "m.npz", str(data)]):
        assert cli(arguments) == 1
        err = capsys.readouterr().err
        assert "m.npz: the file is damaged" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "filter"])
def test_help_shows_every_option_and_its_default(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli([command, "--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0 and "usage: fastconv " + command in out
    if command == "train":
        for option in ("--arch", "--data", "--epochs", "--batch-size", "--image-size",
                       "--optimizer", "--learning-rate", "--augment", "--no-augment", "--patience",
                       "--checkpoint", "--resume", "--overwrite", "--log-dir", "--history",
                       "--plot", "--threads", "--seed", "--quiet"):  # fmt: skip
            assert option in out
        assert out.count("default:") >= 15


def test_the_script_by_itself(capsys):
    assert cli([]) == 2
    assert "train" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli(["--version"])
    assert capsys.readouterr().out.startswith("fastconv 0")
    assert cli(["config"]) == 0
    assert capsys.readouterr().out


def test_ctrl_c_leaves_a_whole_checkpoint(data, here):
    arguments = _arguments(data, "--epochs", "100000", "--patience", "0")
    process = start(["fastconv.train", *arguments], here)
    try:
        deadline = time.monotonic() + 60
        while not (here / "model1.npz").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert err.endswith(
        "interrupted; the last checkpoint is model1.npz, go on with --resume model1.last.npz\n"
    )
    assert load_model(here / "model1.last.npz").epochs_done > 0
    assert [name for name in os.listdir(here) if name.endswith(".tmp")] == []


def test_the_package_runs_as_a_module(here):
    process = start(["fastconv", "--version"], here)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and out.startswith("fastconv ") and err == ""


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--checkpoint", "a-{epch}.npz", "cannot be filled in ('epch'); it may hold {epoch}"),
        ("--checkpoint", "taken/a.npz", "taken' is no folder"),
        ("--history", "taken/new/h.csv", "taken' is no folder"),
        ("--log-dir", "taken", "taken' is no folder"),
    ],
)
def test_what_cannot_be_written_is_told_before_training(data, here, option, value, message, capsys):
    (here / "taken").write_text("a file")
    assert train.main(_arguments(data, "--epochs", "1", option, value)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert f"error: {option} {value!r}" in err and message in err
