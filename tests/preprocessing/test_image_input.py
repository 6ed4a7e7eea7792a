"""What training did to images is done again by the commands, or refused by its name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from image_folders import write_folder

import fastconv
from fastconv.cli import evaluate, predict
from fastconv.models import load_model
from fastconv.preprocessing.image import ImageDataGenerator
from fastconv.preprocessing.image_input import ImageInput

SIZE = (8, 8)


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "set", {"cat": 4, "dog": 4})


def small_model(channels=3):
    model = fastconv.Sequential(
        [
            fastconv.layers.Conv2D(2, 3, input_shape=(*SIZE, channels)),
            fastconv.layers.Flatten(),
            fastconv.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("sgd", "binary_crossentropy")
    return model


def trained(generator, folder, tmp_path, **options):
    """Train and save a model; return it, its file and the images as training had them."""
    data = generator.flow_from_directory(
        folder, SIZE, class_mode="binary", shuffle=False, seed=0, **options
    )
    model = small_model()
    model.fit(data, epochs=1, verbose=0)
    model.save(tmp_path / "model.npz")
    return model, str(tmp_path / "model.npz"), data


def fitted(generator, folder):
    data = ImageDataGenerator().flow_from_directory(folder, SIZE, class_mode=None)
    generator.fit(data[0])
    return generator


KINDS = {
    "rescale": {"rescale": 1 / 127.5},
    "a NumPy number": {"rescale": np.float32(1 / 255)},
    "nothing": {},
    "samplewise_center": {"samplewise_center": True, "rescale": 1 / 255},
    "samplewise_std": {"samplewise_std_normalization": True},
    "featurewise_center": {"featurewise_center": True, "rescale": 1 / 255},
    "featurewise_std": {"featurewise_std_normalization": True},
    "all": {"featurewise_std_normalization": True, "samplewise_std_normalization": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_commands_normalize_as_training_did(folder, tmp_path, capsys, kind):
    generator = fitted(ImageDataGenerator(**KINDS[kind]), folder)
    model, path, data = trained(generator, folder, tmp_path)
    expected = model.predict(data, verbose=0)[:, 0]
    loss = model.evaluate(data, verbose=0)
    capsys.readouterr()
    assert predict.main([path, *data.filepaths, "--json"]) == 0
    found = [result["probabilities"]["dog"] for result in json.loads(capsys.readouterr().out)]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert evaluate.main([path, str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["loss"] == pytest.approx(loss, abs=1e-5)


@pytest.mark.parametrize(
    "options", [{"keep_aspect_ratio": True}, {"interpolation": "bilinear"}, {"draft": True}]
)
def test_files_are_read_as_training_read_them(folder, tmp_path, options):
    _, path, data = trained(ImageDataGenerator(rescale=1 / 255), folder, tmp_path, **options)
    expected = ImageInput.of(load_model(path))
    images = np.stack([expected.read(name) for name in data.filepaths])
    np.testing.assert_allclose(images, data[0][0], atol=1e-6)


def double(image):
    return image * 2


class Own(ImageDataGenerator):
    def standardize(self, x):
        return super().standardize(x) + 1


@pytest.mark.parametrize(
    ("generator", "name"),
    [
        (ImageDataGenerator(preprocessing_function=double), "preprocessing_function=double"),
        (ImageDataGenerator(zca_whitening=True), "zca_whitening=True"),
        (Own(rescale=1 / 255), r"Own\.standardize"),
    ],
)
def test_what_no_file_can_hold_is_refused_by_its_name(folder, tmp_path, capsys, generator, name):
    _, path, data = trained(fitted(generator, folder), folder, tmp_path)
    with pytest.raises(ValueError, match=f"went through {name}, which is not kept.*give model"):
        ImageInput.of(load_model(path))
    for command, arguments in ((predict, data.filepaths), (evaluate, [str(folder)])):
        assert command.main([path, *arguments]) == 2
        assert name.replace("\\", "") in capsys.readouterr().err


def test_a_mean_of_every_pixel_is_refused_by_its_name(folder, tmp_path):
    generator = ImageDataGenerator(featurewise_center=True)
    generator.mean = np.full((*SIZE, 3), 100, np.float32)
    model = small_model()
    data = generator.flow_from_directory(folder, SIZE)
    ImageInput.note(model, data)
    with pytest.raises(ValueError, match=r"went through mean of shape \(8, 8, 3\)"):
        ImageInput.of(model)


def test_a_normalization_that_was_not_measured_did_nothing(folder, tmp_path):
    generator = ImageDataGenerator(featurewise_center=True)
    with pytest.warns(UserWarning, match="nothing was measured yet"):
        model, _, _ = trained(generator, folder, tmp_path)
    assert "mean" not in model.metadata["images"]
    assert not ImageInput.of(model).generator.featurewise_center


@pytest.mark.parametrize(
    "noted",
    [
        [],
        "images",
        {"rescale": "1"},
        {"rescale": float("nan")},
        {"rescale": 10**400},
        {"rescale": True},
        {"interpolation": "cubic"},
        {"interpolation": ["nearest"]},
        {"samplewise_center": 1},
        {"keep_aspect_ratio": "yes"},
        {"draft": None},
        {"mean": [1.0, 2.0]},
        {"mean": 5},
        {"mean": [1.0, 2.0, float("inf")]},
        {"mean": [[1.0], [2.0], [3.0]]},
        {"mean": {"array": "state/0"}},
        {"std": [1.0, 1.0]},
        {"mean": [0.0] * 3, "std": [1.0, -1.0, 1.0]},
        {"not_kept": "x"},
        {"not_kept": [1]},
        {"not_kept": ["\x1b[2J"]},
        {"interpolation": "x" * 1_000_000},
        {"mean": [0.0] * 1_000_000},
    ],
)
def test_what_a_file_says_of_images_is_checked(noted):
    model = small_model()
    model.metadata["images"] = noted
    with pytest.raises(ValueError, match=r"metadata\['images'\]") as caught:
        ImageInput.of(model)
    assert len(str(caught.value)) < 400


def test_a_scale_that_nobody_noted_is_said_to_be_assumed(folder):
    with pytest.warns(UserWarning, match="does not say how its images were scaled.*1 / 255"):
        expected = ImageInput.of(small_model())
    assert expected.rescale == 1 / 255
