"""What `predict` and `evaluate` say: results, strict JSON, classes and files that do not fit."""

from __future__ import annotations

import json
import os
import re
import shutil

import numpy as np
import pytest
from command_runs import write_squares
from PIL import Image, ImageOps

from fastconv.cli import evaluate, filter, predict, train
from fastconv.layers import Conv2D
from fastconv.models import Sequential, load_model


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_squares(tmp_path_factory.mktemp("data"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("trained") / "m.npz"
    assert train.main(["--arch", "model1", "--data", str(data), "--image-size", "20",
                       "--batch-size", "8", "--seed", "3", "--epochs", "3", "--patience", "0",
                       "--checkpoint", str(path), "--quiet"]) == 0  # fmt: skip
    return path


def test_evaluating_gives_what_training_reported(trained, data, capsys):
    model = load_model(trained)
    evaluate.main([str(trained), str(data), "--json", "--batch-size", "8"])
    result = json.loads(capsys.readouterr().out)
    history = model.fit_state["history"]["history"]
    assert result["loss"] == pytest.approx(min(history["val_loss"]), rel=1e-6)


def test_predict(trained, data, capsys):
    images = [str(data / "validation" / kind / f"{kind}.0.jpg") for kind in ("cat", "dog")]
    assert predict.main([str(trained), *images]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(re.escape(images[0]) + r": (cat|dog) \(\d+\.\d%\)", lines[0])
    assert predict.main([str(trained), *images, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first["image"] == images[0] and second["class"] in ("cat", "dog")
    assert sum(first["probabilities"].values()) == pytest.approx(1)
    assert first["probability"] == max(first["probabilities"].values())


def test_flips_average_an_image_and_its_mirror_image(trained, data, here, capsys):
    def said(command, *arguments):
        assert command.main([str(trained), *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    path = data / "validation/cat/cat.0.jpg"
    with Image.open(path) as image:
        ImageOps.mirror(image).save(here / "mirrored.png")
        image.save(here / "plain.png")
    one, other = (p["probabilities"]["cat"] for p in said(predict, "plain.png", "mirrored.png"))
    both = said(predict, "plain.png", "mirrored.png", "--tta", "flip")
    for found in both:
        assert found["probabilities"]["cat"] == pytest.approx((one + other) / 2, abs=1e-6)
    plain, flipped = said(evaluate, str(data)), said(evaluate, str(data), "--tta", "flip")
    assert "tta" not in plain and flipped["tta"] == "flip" and plain["loss"] != flipped["loss"]
    model = load_model(trained)
    model.metadata["training"]["recipe"] = {"tta": "flip"}
    model.save(here / "flips.npz")
    assert evaluate.main(["flips.npz", str(data)]) == 0
    assert "averaged with its mirror image (--tta none" in capsys.readouterr().out
    assert evaluate.main(["flips.npz", str(data), "--tta", "none", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == plain


def test_flips_are_for_rows_of_probabilities(trained, data, here, capsys):
    model = Sequential([Conv2D(1, 3, padding="same", input_shape=(20, 20, 3))])
    model.compile(loss="mse")
    model.save("masks.npz")
    image = str(data / "validation/cat/cat.0.jpg")
    assert predict.main(["masks.npz", image, "--tta", "flip"]) == 2
    assert "give --tta none" in capsys.readouterr().err


def test_what_one_row_of_output_says():
    assert predict.describe(np.array([0.25]), ["cat", "dog"]) == {
        "class": "cat", "probability": 0.75, "probabilities": {"cat": 0.75, "dog": 0.25},
    }  # fmt: skip
    assert predict.describe(np.array([0.5]), None)["class"] == "class 0"
    assert predict.describe(np.array([0.1, 0.7, 0.2]), list("abc"))["class"] == "b"


@pytest.mark.parametrize("command", ["predict", "filter"])
def test_errors_of_images_name_them_once(trained, here, capsys, command):
    (here / "bad.jpg").write_text("no image")
    if command == "predict":
        assert predict.main([str(trained), "bad.jpg"]) == 1
    else:
        assert filter.main(["bad.jpg", "--kernel", "blur", "-o", "o.png"]) == 2
    err = capsys.readouterr().err
    assert err.count("bad.jpg") == 1 and "load_img" not in err and err.count("\n") == 1


def test_images_that_cannot_be_read_are_named(trained, data, here, capsys):
    (here / "bad.jpg").write_text("no image")
    good = str(data / "validation/cat/cat.0.jpg")
    assert predict.main([str(trained), "bad.jpg", good]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1 and err.startswith("'bad.jpg' cannot be read as an image: ")


def test_predict_takes_folders(trained, data, here, capsys):
    (here / "empty").mkdir()
    assert predict.main([str(trained), str(data / "validation")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12 and lines[0].startswith(str(data / "validation/cat/cat.0.jpg: "))
    assert predict.main([str(trained), "empty"]) == 2
    assert "the folder 'empty' holds no images" in capsys.readouterr().err


@pytest.fixture
def broken(trained, here):
    """A model whose weights are no numbers, of a class with a Korean name."""
    model = load_model(trained)
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    model.class_names = ["고양이", "dog"]
    model.save("broken.npz")
    return "broken.npz"


def test_no_number_is_said_and_is_null_in_json(broken, data, here, capsys):
    image = str(data / "validation/cat/cat.0.jpg")
    assert predict.main([broken, image]) == 1
    out, err = capsys.readouterr()
    assert out == f"{image}: no class, the model's output is no number\n"
    assert "gives no number for 1 of 1 images" in err
    assert predict.main([broken, image, "--json"]) == 1
    (result,) = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert result["class"] is None and result["probability"] is None
    shutil.copytree(data / "validation", "photos")
    os.rename("photos/cat", "photos/고양이")
    assert evaluate.main([broken, "photos", "--json"]) == 1
    result = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert result["loss"] is None and result["images"] == 12


def test_json_has_names_as_they_are(trained, data, here, capsys):
    shutil.copy(data / "validation/cat/cat.0.jpg", "고양이.jpg")
    assert predict.main([str(trained), "고양이.jpg", "--json"]) == 0
    assert '"image": "고양이.jpg"' in capsys.readouterr().out


def test_control_characters_of_a_file_do_not_reach_the_terminal(trained, data, here, capsys):
    model = load_model(trained)
    model.class_names = ["\x1b[2Jcat", "\x1b]0;dog\x07"]
    model.save("m.npz")
    assert predict.main(["m.npz", str(data / "validation/dog")]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\\x1b" in out


def test_evaluate_prints_its_result_once(trained, data, capsys):
    assert evaluate.main([str(trained), str(data)]) == 0
    assert capsys.readouterr().out.count("loss: ") == 1


def test_classes_that_the_model_does_not_know_are_not_left_out_in_silence(
    trained, data, here, capsys
):
    shutil.copytree(data / "validation", "photos")
    shutil.copytree("photos/cat", "photos/bird")
    os.mkdir("photos/nothing")
    assert evaluate.main([str(trained), "photos", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["images"] == 12 and json.loads(out)["left_out"] == ["bird"]
    assert err.startswith("warning: the images of bird in photos are left out; ")
    shutil.rmtree("photos/cat")
    assert evaluate.main([str(trained), "photos"]) == 2
    assert "photos has no folder for cat; " in capsys.readouterr().err


@pytest.mark.parametrize("form", ["folder", "wrapped", "zip", "train"])
def test_what_a_model_learnt_is_not_measured(data, here, capsys, form):
    """The command that training advises gives what training reported."""
    (here / "all").mkdir()
    if form == "train":
        shutil.copytree(data / "train", "all/train")
    else:
        shutil.copytree(
            data / "train", "all/set" if form == "wrapped" else "all", dirs_exist_ok=True
        )
    given = shutil.make_archive("all", "zip", "all") if form == "zip" else "all"
    assert train.main(["--arch", "model1", "--data", given, "--image-size", "20", "--seed", "3",
                       "--epochs", "1", "--checkpoint", "m.npz"]) == 0  # fmt: skip
    advice = re.search(r"fastconv\.evaluate (.*)", capsys.readouterr().out)[1].split()
    loss = load_model("m.npz").fit_state["history"]["history"]["val_loss"][0]
    for arguments in (advice, ["m.npz", given]):
        assert evaluate.main([*arguments, "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["loss"] == pytest.approx(loss, rel=1e-6) and result["images"] == 4
    assert evaluate.main(["m.npz", given]) == 0
    said = "Data: the model was trained on it, but for 20% of each class kept for validation"
    assert said in capsys.readouterr().out
    assert evaluate.main(["m.npz", str(data / "train"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 24
