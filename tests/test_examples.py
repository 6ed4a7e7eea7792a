"""The examples run, on few pictures, and say what they learnt."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_runs import write_squares

EXAMPLES = Path(__file__).parents[1] / "examples"
HELPERS = {"command_line", "folders", "pictures", "shapes"}
NAMES = sorted({path.stem for path in EXAMPLES.glob("*.py")} - HELPERS)
#: What is said at the end of each, but for the numbers.
SAID = {
    "autoencoder": "squared error on new pictures: N; of the mean picture N",
    "mobilenet_v2": "accuracy on new pictures: N; by chance N",
    "own_folders": "accuracy on new pictures: N; by chance N",
    "resnet20": "accuracy on new pictures: N; by chance N",
    "siamese": "accuracy on pairs of new pictures: N; by chance N",
    "small_xception": "accuracy on new pictures: N; by chance N",
    "unet": "masks found and wanted have N of their pixels in common",
}


def run(name: str, folder: Path, *arguments: str) -> str:
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def last_line(output: str) -> str:
    return re.sub(r"\d+\.\d+", "N", output.splitlines()[-1])


@pytest.mark.parametrize("name", NAMES)
def test_examples_run_on_drawn_pictures(name, tmp_path):
    output = run(name, tmp_path, "--images", "16", "--epochs", "1")
    assert last_line(output) == SAID[name] and "loss" in output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["resnet20", "unet"])
def test_examples_run_on_photos(name, tmp_path):
    photos = write_squares(tmp_path / "photos")
    output = run(name, tmp_path, "--images", "16", "--epochs", "1", "--data", str(photos))
    assert "Found 24 images belonging to 2 classes." in output
    assert last_line(output) == SAID[name]


def test_an_example_learns():
    """The one that takes a second: its mistakes are fewer than those of the mean picture."""
    output = run("autoencoder", EXAMPLES, "--images", "400", "--epochs", "20")
    error, plain = map(float, re.findall(r"\d+\.\d+", output.splitlines()[-1]))
    assert error < 0.9 * plain


@pytest.mark.parametrize("name", [*NAMES, *sorted(HELPERS)])
def test_examples_are_short(name):
    lines = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) < (60 if name in NAMES else 100)


def test_folders_of_ones_own_with_more_than_two_classes(tmp_path):
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    more = ["--set", "digits", "--images", "300", "--epochs", "12"]
    output = run("own_folders", tmp_path, *more)
    assert "belonging to 10 classes" in output
    accuracy = float(re.findall(r"\d+\.\d+", output.splitlines()[-1])[0])
    assert accuracy > 0.4  # by chance 0.1


def test_the_command_trains_on_folders_of_ones_own(tmp_path, monkeypatch, capsys):
    from skimage.data import lfw_subset

    from fastconv.cli import evaluate, train
    from fastconv.preprocessing.image import save_img

    monkeypatch.chdir(tmp_path)
    for number, picture in enumerate(lfw_subset()[60:140]):
        folder = tmp_path / "photos" / ("face" if number < 40 else "other")
        folder.mkdir(parents=True, exist_ok=True)
        save_img(folder / f"{number}.png", picture[..., None] * 255, scale=False)
    options = ["--image-size", "32", "--epochs", "80", "--seed", "1", "--no-augment", "--quiet"]
    assert train.main(["--arch", "pawnet", "--data", "photos", *options]) == 0
    assert evaluate.main(["pawnet.npz", "photos"]) == 0
    accuracy = float(capsys.readouterr().out.split("accuracy: ")[1])
    assert accuracy > 0.7
