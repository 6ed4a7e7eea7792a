"""Training `pawnet`: its recipe is said, scaled, kept in the file and gone on with."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from command_runs import write_squares

from fastconv import architectures
from fastconv.architectures import pawnet
from fastconv.cli import evaluate, predict, train
from fastconv.models import load_model

EPOCHS = 6


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_squares(tmp_path_factory.mktemp("data"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


#: Whatever numbers the recipe has: a course whose parts are seen in a few epochs.
COURSE = {"epochs": 150, "warmup_epochs": 5, "final_epochs": 10, "early_epochs": 0}


def put_recipe(monkeypatch, **changes):
    """Let the command train pawnet by its recipe with this course."""
    recipe = pawnet.recipe.but(**{**COURSE, **changes})
    known = {**architectures.ARCHITECTURES, "pawnet": replace(pawnet, recipe=recipe)}
    monkeypatch.setattr("fastconv.architectures.known.ARCHITECTURES", known)


@pytest.fixture(autouse=True)
def course(monkeypatch):
    put_recipe(monkeypatch)


def arguments(data, *more, epochs=EPOCHS):
    return ["--arch", "pawnet", "--data", str(data), "--image-size", "16", "--batch-size", "8",
            "--seed", "3", "--epochs", str(epochs), *more]  # fmt: skip


def members(path):
    with np.load(path, allow_pickle=False) as file:
        state = json.loads(str(file["state"]))
        arrays = {
            name: file[name].tobytes()
            for name in file.files
            if name.startswith(("weights/", "optimizer/"))
        }
    return arrays, state["epoch"], state["history"], state["random"]


def test_a_run_says_what_its_recipe_does_and_ends_with_flips(data, here, capsys):
    assert train.main(arguments(data, "--history", "h.csv", epochs=30)) == 0
    out = capsys.readouterr().out
    (said,) = re.findall(r"^Recipe: (.*)$", out, re.MULTILINE)
    assert "in epoch 2, then along a cosine to 0 in epoch 30" in said
    assert "averaged weights" in said and "in the last 2 epochs by flips alone" in said
    rows = (here / "h.csv").read_text().splitlines()
    column = rows[0].split(",").index("learning_rate")
    rates = [float(row.split(",")[column]) for row in rows[1:]]
    peak = pawnet.recipe.learning_rate
    assert rates[:2] == [peak / 2, peak] and rates == [rates[0], *sorted(rates[1:], reverse=True)]
    assert 0 < rates[-1] < peak / 100
    (loss,) = re.findall(r"Last epoch, each image averaged .*: val_loss (\S+),", out)
    assert evaluate.main(["pawnet.npz", str(data), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["tta"] == "flip" and result["loss"] == pytest.approx(float(loss), abs=1e-4)


def test_a_stopped_run_goes_on_bit_for_bit(data, here):
    assert train.main(arguments(data, "--quiet", "--checkpoint", "whole-{epoch}.npz")) == 0
    whole = members(f"whole-{EPOCHS}.npz")
    for done in (1, EPOCHS - 1):
        path = f"whole-{done}.npz"
        more = ["--checkpoint", f"on-{done}.npz", "--quiet"]
        assert train.main(["--resume", path, "--overwrite", *more]) == 0
        assert members(f"on-{done}.npz") == whole
    model = load_model(f"whole-{EPOCHS}.npz")
    assert model.optimizer.get_config()["exclude_from_weight_decay"] == list(
        pawnet.recipe.undecayed
    )
    assert model.loss.label_smoothing == pawnet.recipe.label_smoothing
    recipe = model.metadata["training"]["recipe"]
    assert recipe["epochs"] == COURSE["epochs"] and recipe["tta"] == "flip"
    assert model.metadata["images"]["interpolation"] == pawnet.recipe.interpolation


def test_a_recipe_in_a_file_counts_rather_than_todays(data, here, capsys):
    assert train.main(arguments(data, "--quiet", epochs=2)) == 0
    model = load_model("pawnet.npz")
    model.metadata["training"]["recipe"] |= {"schedule": None, "tta": None, "augmentation": {}}
    model.save("other.npz")
    assert train.main(["--resume", "other.npz", "--epochs", "3", "--checkpoint", "n.npz"]) == 0
    out = capsys.readouterr().out
    assert "Recipe:" not in out and "mirror" not in out


@pytest.mark.parametrize(
    "wrong",
    [
        {"augmentation": {"preprocessing_function": "os.system"}},
        {"augmentation": {"zoom_range": 7}},
        {"interpolation": "../x"},
        {"epochs": 0},
        {"final_epochs": -1},
        {"warmup_epochs": 10**400},
        {"schedule": "step"},
        {"more": 1},
        None,
    ],
)
def test_a_foreign_recipe_is_refused(data, here, capsys, wrong):
    train.main(arguments(data, "--quiet", epochs=1))
    model = load_model("pawnet.npz")
    training = model.metadata["training"]
    training["recipe"] = "cosine" if wrong is None else training["recipe"] | wrong
    model.save("bad.npz")
    assert train.main(["--resume", "bad.npz", "--epochs", "3"]) == 2
    assert "its recipe is" in capsys.readouterr().err


def test_a_schedule_needs_the_rate_that_it_begins_from(data, here, capsys):
    train.main(arguments(data, "--quiet", epochs=1))
    model = load_model("pawnet.npz")
    model.metadata["training"]["learning_rate"] = None
    model.save("bad.npz")
    assert train.main(["--resume", "bad.npz", "--epochs", "3"]) == 2
    assert "learning_rate is missing" in capsys.readouterr().err


def test_more_than_two_classes_and_another_optimizer(data, here, capsys):
    for part in ("train", "validation"):
        target = here / "three" / part
        target.mkdir(parents=True)
        for kind in ("cat", "dog"):
            (target / kind).symlink_to(data / part / kind)
        (target / "third").mkdir()
        for file in (data / part / "cat").iterdir():
            (target / "third" / file.name).write_bytes(file.read_bytes())
    more = ["--optimizer", "adam", "--no-augment"]
    assert train.main(arguments(here / "three", *more, epochs=2)) == 0
    assert re.search(r"^Recipe: Adam at 0.001, then along", capsys.readouterr().out, re.M)
    model = load_model("pawnet.npz")
    assert model.output_shape == (None, 3) and not model.optimizer.use_ema
    assert type(model.loss).__name__ == "CategoricalCrossentropy"
    assert model.loss.label_smoothing == pawnet.recipe.label_smoothing


@pytest.fixture
def grows(monkeypatch):
    """A pawnet whose first half of the epochs is on smaller photos."""
    put_recipe(monkeypatch, early_epochs=75, early_size=0.75)


def test_photos_that_grow(data, here, capsys, course, grows):
    size = ["--image-size", "24"]
    assert train.main([*arguments(data, "--checkpoint", "{epoch}.npz"), *size]) == 0
    out = capsys.readouterr().out
    assert "the first 3 epochs at 18 x 18 pixels" in out and out.count("Found 24 images") == 1
    for done in (2, 3, 4):
        more = ["--checkpoint", f"on-{done}.npz", "--quiet"]
        assert train.main(["--resume", f"{done}.npz", "--overwrite", *more]) == 0
        assert members(f"on-{done}.npz") == members(f"{EPOCHS}.npz")
    model = load_model(f"{EPOCHS}.npz")
    assert model.input_shape == (None, None, None, 3)
    assert evaluate.main([f"{EPOCHS}.npz", str(data), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    (loss,) = re.findall(r"Last epoch, each image averaged .*: val_loss (\S+),", out)
    assert result["loss"] == pytest.approx(float(loss), abs=1e-4)
    assert predict.main([f"{EPOCHS}.npz", str(data / "validation/cat/cat.0.jpg")]) == 0
    assert train.main([*arguments(data), "--image-size", "20"]) == 2
    assert "--image-size 20 is too small for pawnet" in capsys.readouterr().err


def test_a_noted_size_is_taken_only_for_what_it_should_be(data, here, capsys, course, grows):
    train.main([*arguments(data, "--quiet", epochs=1), "--image-size", "24"])
    image = str(data / "validation/cat/cat.0.jpg")
    for wrong in ([10**9, 24], [24], "large", [24.5, 24], None):
        model = load_model("pawnet.npz")
        model.metadata["images"]["size"] = wrong
        model.save("wrong.npz")
        assert predict.main(["wrong.npz", image]) == 2
        message = "images of a fixed size" if wrong is None else "metadata['images']['size'] is"
        assert message in capsys.readouterr().err
