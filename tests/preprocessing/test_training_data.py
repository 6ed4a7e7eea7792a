"""From folders and zips of all kinds to a trained model: what `check` accepts, `train` takes."""

from __future__ import annotations

import json
import unicodedata

import pytest
from image_folders import write_folder, write_image
from zips import make_raw_zip

from fastconv import architectures
from fastconv.cli import check, evaluate, predict, train
from fastconv.cli.main import main as cli
from fastconv.models import load_model


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("FASTCONV_DATA", str(tmp_path / "cache"))


def trained(data, *more):
    arguments = ["--arch", "model1", "--data", str(data), "--image-size", "16", "--epochs", "1"]
    return train.main([*arguments, "--seed", "1", *more])


def several(root, names, classes=("cat", "dog"), count=5):
    for number, name in enumerate(names):
        write_folder(root / name, dict.fromkeys(classes, count), 100 * number)
    return root


LAYOUTS = {
    "train and validation": lambda root: several(root, ("train", "validation")),
    "val": lambda root: several(root, ("train", "val")),
    "valid and test": lambda root: several(root, ("train", "valid", "test")),
    "capital letters": lambda root: several(root, ("Train", "Validation")),
    "training and testing": lambda root: several(root, ("Training", "Testing")),
    "train alone": lambda root: several(root, ("train",)),
    "classes alone": lambda root: several(root, (".",)),
    "three classes": lambda root: several(root, ("train", "val"), ("bird", "cat", "dog")),
    "five classes alone": lambda root: several(root, (".",), "abcde"),
    "classes called like parts": lambda root: several(root, (".",), ("train", "test", "car")),
    "few images": lambda root: several(root, (".",), count=2),
    "a folder around": lambda root: several(root, ("set/Train", "set/val")),
    "one class": lambda root: several(root, ("train", "validation"), ("cat",)),
    "one image": lambda root: several(root, (".",), count=1),
    "other classes": lambda root: several(
        several(root, ("train",)), ("validation",), ("cat", "Dog")
    ),
    "no train": lambda root: several(root, ("val", "test")),
    "an empty class": lambda root: (
        several(root, ("train", "val")),
        (root / "train" / "bird").mkdir(),
        (root / "val" / "bird").mkdir(),
    ),
    "classes beside a part": lambda root: several(several(root, (".",)), ("val",)),
    "images alone": lambda root: write_image(root / "1.jpg", 1),
    "parts without classes": lambda root: [
        write_image(root / part / "1.jpg", 1) for part in ("train", "validation")
    ],
}
REFUSED = list(LAYOUTS)[12:]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_train_takes_what_check_finds_nothing_in(tmp_path, layout, capsys):
    LAYOUTS[layout](tmp_path / "set")
    needs_user = check.main([str(tmp_path / "set"), "--exact-only"])
    output = capsys.readouterr().out
    code = trained(tmp_path / "set", "--quiet")
    error = capsys.readouterr().err
    assert code == (2 if layout in REFUSED else 0), error
    assert ("Nothing needs you" in output) == (needs_user == 0)
    assert (needs_user == 0) == (code == 0)
    if code:
        assert error.count("\n") == 1 and "flow_from_directory" not in error


def test_what_is_kept_for_validation_is_said(tmp_path, capsys):
    several(tmp_path / "set", ("Training", "Testing"), count=10)
    assert trained(tmp_path / "set") == 0
    out = capsys.readouterr().out
    assert "Found 16 images belonging to 2 classes.\nFound 4 images belonging to 2 classes." in out
    said = "20% of each class kept for validation, the first by name; test is left for evaluation"
    assert f"Data: {said}\n" in out
    assert check.main([str(tmp_path / "set")]) == 0
    assert f"Training: {said}\n" in capsys.readouterr().out
    # What was kept from training is measured nowhere else: the test part is.
    assert evaluate.main(["model1.npz", str(tmp_path / "set"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 20


def test_three_classes_are_trained_measured_and_predicted(tmp_path, capsys):
    root = several(tmp_path / "set", ("train", "val"), ("bird", "cat", "dog"))
    assert trained(root, "--quiet") == 0
    model = load_model("model1.npz")
    assert model.output_shape == (None, 3) and model.class_names == ["bird", "cat", "dog"]
    assert evaluate.main(["model1.npz", str(root), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["images"] == 15 and 0 <= measured["accuracy"] <= 1
    assert predict.main(["model1.npz", str(root / "val/dog/dog.0.jpg"), "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert list(result["probabilities"]) == ["bird", "cat", "dog"]
    assert sum(result["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert train.main(["--resume", "model1.npz", "--epochs", "2"]) == 0
    assert load_model("model1.npz").output_shape == (None, 3)


def test_three_classes_are_learnt(tmp_path):
    import numpy as np
    from PIL import Image

    colours = {"blue": 2, "green": 1, "red": 0}
    for part, count in (("train", 20), ("val", 5)):
        for name, channel in colours.items():
            folder = tmp_path / "set" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = np.random.default_rng(number).integers(0, 120, (16, 16, 3))
                pixels[..., channel] += 120
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    arguments = ["--epochs", "12", "--patience", "0", "--learning-rate", "0.01", "--quiet"]
    assert trained(tmp_path / "set", *arguments) == 0
    history = load_model("model1.npz")._run_state["history"]["history"]
    assert max(history["val_accuracy"]) > 0.9  # a third by chance


def test_a_resumed_run_takes_the_classes_it_began_with_alone(tmp_path, capsys):
    assert trained(several(tmp_path / "one", (".",)), "--quiet") == 0
    several(tmp_path / "two", (".",), ("cat", "wolf"))
    for root in (tmp_path / "two", several(tmp_path / "three", (".",), "abc")):
        assert train.main(["--resume", "model1.npz", "--epochs", "2", "--data", str(root)]) == 2
        assert "its run has the classes cat, dog, the data has" in capsys.readouterr().err


def test_a_zip_of_korean_windows_from_check_to_prediction(tmp_path, capsys):
    several(tmp_path / "set", ("Train", "Val"), ("강아지", "고양이"))
    members = {}
    for path in (tmp_path / "set").rglob("*.jpg"):
        name = "사진\\" + str(path.relative_to(tmp_path / "set")).replace("/", "\\")
        members[name.encode("cp949")] = path.read_bytes()
    zipped = str(make_raw_zip(tmp_path / "photos.zip", members))
    assert check.main([zipped, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [c["name"] for c in report["parts"][0]["classes"]] == ["강아지", "고양이"]
    assert trained(zipped, "--quiet") == 0
    assert capsys.readouterr().err == ""
    assert load_model("model1.npz").class_names == ["강아지", "고양이"]
    assert evaluate.main(["model1.npz", zipped, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 10


def test_a_model_knows_folders_of_another_normal_form(tmp_path, capsys):
    names = ("강아지", "고양이")
    several(tmp_path / "linux", ("train", "validation"), names)
    several(tmp_path / "mac", ("validation",), [unicodedata.normalize("NFD", n) for n in names])
    assert trained(tmp_path / "linux", "--quiet") == 0
    assert evaluate.main(["model1.npz", str(tmp_path / "mac" / "validation"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 10
    several(tmp_path / "both", ("train",), names)
    several(tmp_path / "both", ("val",), [unicodedata.normalize("NFD", name) for name in names])
    assert trained(tmp_path / "both", "--quiet") == 0


def test_unpacking_and_drawing_are_told_of_before_they_begin(tmp_path, capsys):
    members = {
        f"{name}/{number}.jpg".encode(): write_image(tmp_path / "x.jpg", number).read_bytes()
        for number in range(4)
        for name in ("a", "b")
    }
    zipped = str(make_raw_zip(tmp_path / "photos.zip", members))
    assert check.main([zipped, "--exact-only"]) in (0, 1)
    assert capsys.readouterr().err.startswith(f"Unpacking {zipped!r} to ")


def test_a_zip_without_a_data_set_leaves_nothing(tmp_path, capsys):
    zipped = str(make_raw_zip(tmp_path / "notes.zip", {b"readme.txt": b"nothing"}))
    for command in (["check", zipped], ["train", "--arch", "model1", "--data", zipped]):
        assert cli(command) == 2
        assert f"{zipped!r} has no sub-folders" in capsys.readouterr().err
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("name", architectures.ARCHITECTURES)
def test_architectures_of_more_classes(name):
    architecture = architectures.get(name)
    model = architecture.recipe.compile(architecture((32, 32, 3), classes=4))
    assert model.output_shape == (None, 4)
    assert type(model.loss).__name__ == "CategoricalCrossentropy"
    assert architecture((32, 32, 3)).output_shape == (None, 1)
    with pytest.raises(ValueError, match="classes is 1; it must be at least 2"):
        architecture((32, 32, 3), classes=1)
