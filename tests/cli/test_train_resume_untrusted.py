"""Checkpoints from elsewhere: nothing in them decides where is written, or what."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_runs import write_squares

from fastconv.cli import train
from fastconv.models import load_model


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_squares(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("trained") / "m.npz"
    assert train.main(["--arch", "model1", "--data", str(data), "--image-size", "20", "--seed", "3",
                       "--epochs", "1", "--checkpoint", str(path), "--quiet"]) == 0  # fmt: skip
    return path


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with a file that a shell runs, a working folder in it, and a folder beside it."""
    home = tmp_path / "home"
    work = home / "work"
    work.mkdir(parents=True)
    (home / ".bashrc").write_text("true\n")
    (home / "results.csv").write_text("mine,yours\n1,2\n")
    (work / "notes.csv").write_text("a,b\n1,2\n")
    (work / "link").symlink_to(home)
    (work / "link.csv").symlink_to(home / "results.csv")
    (work / "full").mkdir()
    (work / "full" / "letter.txt").write_text("dear")
    (work / "logs").mkdir()
    (work / "logs" / "train").symlink_to(home)
    (work / "arrays.npz").write_bytes(b"PK\x03\x04 of somebody else")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(work)
    return home


def _craft(trained, folder, settings, **changes):
    """Write a checkpoint with other settings, as a stranger could."""
    model = load_model(trained)
    saved = {**model.metadata["training"], "checkpoint": "m.npz", "epochs": 2}
    model.metadata["training"] = changes.get("training", {**saved, **settings})
    model.save(folder / "foreign.npz")
    return str(folder / "foreign.npz")


def _contents(folder: Path):
    return {
        str(path): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


OUTSIDE = [
    ("history", "~/.bashrc"),
    ("history", "../.bashrc"),
    ("history", "../new.csv"),
    ("history", "../results.csv"),
    ("history", "{home}/new.csv"),
    ("history", "link/new.csv"),
    ("history", "link.csv"),
    ("history", "notes.csv"),
    ("history", "~/new.csv"),
    ("history", "full"),
    ("history", ""),
    ("history", "a\x1b]0;b.csv"),
    ("history", "a\x00.csv"),
    ("history", ["h.csv"]),
    ("history", 7),
    ("checkpoint", "../new.npz"),
    ("checkpoint", "{home}/new-{{epoch}}.npz"),
    ("checkpoint", "link/{{epoch}}.npz"),
    ("checkpoint", "../{{epoch}}/m.npz"),
    ("checkpoint", "arrays.npz"),
    ("checkpoint", "arr{{epoch}}ays.npz"),
    ("checkpoint", "m{{epoch:0999999999d}}.npz"),
    ("checkpoint", "m{{epoch.__class__}}.npz"),
    ("checkpoint", "m{{epoch!r}}.npz"),
    ("checkpoint", "m{{{{.npz"),
    ("checkpoint", ".bashrc"),
    ("checkpoint", None),
    ("log_dir", "../logs"),
    ("log_dir", "link/logs"),
    ("log_dir", "logs"),
    ("log_dir", "full"),
    ("log_dir", "{home}"),
    ("log_dir", True),
    ("data", "dog-vs-cat"),
    ("data", "~/work"),
    ("data", "{home}"),
    ("data", "{home}/.bashrc"),
    ("data", "/dev/zero"),
    ("data", "/no/such\x1bplace"),
    ("data", None),
    ("data", {"array": 1}),
    ("plot", "../p.png"),
]

WRONG = [
    ("epochs", 0),
    ("epochs", "2"),
    ("epochs", 2.5),
    ("epochs", 10**30),
    ("epochs", True),
    ("batch_size", -1),
    ("batch_size", 10**12),
    ("batch_size", None),
    ("image_size", 10**6),
    ("image_size", 21),
    ("learning_rate", float("nan")),
    ("learning_rate", -1.0),
    ("learning_rate", "fast"),
    ("patience", -1),
    ("patience", [2]),
    ("seed", 2**32),
    ("arch", "model9"),
    ("arch", ["model1"]),
    ("optimizer", "__class__"),
    ("augment", "yes"),
    ("run", "../x"),
    ("unheard", 1),
]


@pytest.mark.parametrize(("name", "value"), OUTSIDE + WRONG, ids=lambda value: ascii(value)[:40])
def test_a_foreign_file_is_refused_and_writes_nothing(trained, home, name, value, capsys):
    if isinstance(value, str):
        value = value.format(home=home)
    foreign = _craft(trained, home / "work", {name: value})
    before = _contents(home)
    assert train.main(["--resume", foreign]) == 2
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and "\x1b" not in out + err and "\x00" not in err
    # Photos are looked for, and named, as those of a command line.
    assert f"--resume {foreign}" in err or name == "data"
    assert name in err
    assert _contents(home) == before


@pytest.mark.parametrize("training", ["text", [1], 5, {}, {"arch": "model1"}])
def test_settings_of_another_shape_are_refused(trained, home, training, capsys):
    foreign = _craft(trained, home / "work", {}, training=training)
    before = _contents(home)
    assert train.main(["--resume", foreign]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and _contents(home) == before


def test_what_is_said_on_the_command_line_takes_the_place_of_the_files(trained, home, capsys):
    foreign = _craft(trained, home / "work", {"history": "../.bashrc", "checkpoint": "../m.npz"})
    # The working folder's parent is meant now: it was said.
    said = ["--history", "../said.csv", "--checkpoint", "../said-{epoch}.npz"]
    assert train.main(["--resume", foreign, *said, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert (home / "said.csv").exists() and (home / "said-2.npz").exists()
    assert (home / ".bashrc").read_text() == "true\n" and not (home / "m.npz").exists()


def test_a_link_in_place_of_a_later_epochs_file_is_not_followed(trained, home, capsys):
    (home / "work" / "m-02.npz").symlink_to(home / "elsewhere.npz")
    foreign = _craft(trained, home / "work", {"checkpoint": "m-{epoch:02d}.npz"})
    assert train.main(["--resume", foreign]) == 2
    assert "elsewhere.npz" in capsys.readouterr().err
    assert not (home / "elsewhere.npz").exists()


def test_another_runs_files_are_kept(trained, home, data, capsys):
    """A stranger's file may name what this user has trained; it is not that run's."""
    mine = ["--arch", "model1", "--data", str(data), "--image-size", "20", "--epochs", "1"]
    assert train.main([*mine, "--quiet"]) == 0
    before = Path("model1.npz").read_bytes()
    foreign = _craft(trained, home / "work", {"checkpoint": "model1.npz"})
    assert train.main(["--resume", foreign]) == 2
    assert "its checkpoint is 'model1.npz', which is not this run's" in capsys.readouterr().err
    assert Path("model1.npz").read_bytes() == before


def test_names_of_metrics_are_words(trained, home, capsys):
    from fastconv.metrics import BinaryAccuracy

    model = load_model(trained)
    metric = BinaryAccuracy()
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=[metric])
    metric.name = "$(touch run)"
    before = load_model(trained)
    model.fit_state = before.fit_state
    model.metadata["training"].update(checkpoint="m.npz", history="h.csv", epochs=2)
    foreign = str(home / "work" / "foreign.npz")
    model.save(foreign)
    assert train.main(["--resume", foreign]) in (1, 2)
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert not os.path.exists("h.csv")


def test_the_checkpoints_own_folder_may_be_written(trained, home, tmp_path):
    """As after `--checkpoint /results/m.npz --history /results/h.csv`."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    paths = {"checkpoint": str(elsewhere / "m.npz"), "history": str(elsewhere / "h.csv")}
    foreign = _craft(trained, elsewhere, paths)
    assert train.main(["--resume", foreign, "--quiet"]) == 0
    assert sorted(os.listdir(elsewhere)) == ["foreign.npz", "h.csv", "m.npz"]
