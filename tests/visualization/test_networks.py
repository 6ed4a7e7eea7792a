"""Pictures of kernels, maps, explanations and runs."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image

from fastconv import architectures, plotting
from fastconv.visualization import figures

pytest.importorskip("matplotlib", reason="draws the pictures")


@pytest.fixture(scope="module")
def model():
    found = architectures.model2((24, 24, 3))
    found.class_names = ["cat", "dog"]
    return found


@pytest.fixture
def image():
    return np.random.default_rng(0).random((24, 24, 3)).astype(np.float32)


def size_of(picture):
    with Image.open(io.BytesIO(picture.png())) as drawn:
        assert len(np.unique(np.asarray(drawn.convert("L").resize((64, 64))))) > 3
        return drawn.size


def test_kernels_of_the_first_and_of_a_later_convolution(model):
    later = model.layers[-3].name if model.layers[-3].weights else model.layers[-4].name
    for picture in (plotting.plot_kernels(model), plotting.plot_kernels(model, later)):
        assert min(size_of(picture)) > 400
    with pytest.raises(ValueError, match="it must be one with kernels: conv2d"):
        plotting.plot_kernels(model, "nothing")


def test_maps_have_a_row_for_each_layer(model, image):
    picture = plotting.plot_feature_maps(model, image, most=4)
    titles = [axes.get_title(loc="left") for axes in picture.axes]
    assert len(titles) == 4 and titles[0].endswith("22 x 22, 32 maps")
    assert size_of(picture)
    with pytest.raises(ValueError, match="layers has 'nothing'"):
        plotting.plot_feature_maps(model, image, ["nothing"])


def test_an_explanation_names_the_answer(model, image):
    picture = plotting.plot_explanation(model, image, 0)
    titles = [axes.get_title() for axes in picture.axes]
    assert titles[0].startswith("cat ") and titles[1:] == ["saliency", "Grad-CAM", "occlusion"]
    assert size_of(picture)


def test_curves_of_one_run_and_of_several():
    one = {"loss": [2.0, 1.0], "val_loss": [2.5, 2.0], "accuracy": [0.5, 0.6]}
    picture = plotting.plot_learning_curves(one)
    assert [axes.get_ylabel() for axes in picture.axes] == ["loss", "accuracy"]
    several = plotting.plot_learning_curves({"first": one, "second": {"loss": [3.0]}}, ["loss"])
    labels = several.axes[0].get_legend_handles_labels()[1]
    assert labels == ["first, training", "first, validation", "second, training"]
    assert size_of(picture) and size_of(several)
    for runs, metrics, message in (
        (one, ["auc"], "metrics has 'auc'"),
        ({}, None, "there is nothing to draw"),
    ):
        with pytest.raises(ValueError, match=message):
            plotting.plot_learning_curves(runs, metrics)
    with pytest.raises(TypeError, match="it must be a History"):
        plotting.plot_learning_curves([1, 2])


def test_a_picture_shows_itself_in_a_notebook_and_is_saved_whole(tmp_path):
    picture = plotting.plot_learning_curves({"loss": [1.0, 0.5]})
    assert picture._repr_png_().startswith(b"\x89PNG")
    for name in ("new/curves.png", "curves.svg", "curves.pdf"):
        picture.save(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
    with pytest.raises(ValueError, match="must end in one of"):
        picture.save(tmp_path / "curves.txt")


def test_hangul_is_drawn_where_there_is_a_font_and_said_where_there_is_none(monkeypatch):
    picture = plotting.plot_batch((np.zeros((1, 8, 8, 3)), [0]), ["고양이"])
    monkeypatch.setattr(figures, "_families", lambda: ["DejaVu Sans"])
    with pytest.warns(UserWarning, match="no font with Hangul is installed"):
        picture.png()


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    figures._picture_class.cache_clear()
    with pytest.raises(ImportError, match=r"pip install 'fastconv\[plot\]'"):
        plotting.plot_learning_curves({"loss": [1.0]})
    figures._picture_class.cache_clear()
