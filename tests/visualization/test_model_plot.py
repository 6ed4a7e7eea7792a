"""Pictures of models: what stands in them, and that boxes keep apart."""

from __future__ import annotations

import re
import sys
import types

import numpy as np
import pytest
from PIL import Image

from fastconv import layers, models
from fastconv.utils import plot_model
from fastconv.visualization.layout import layout


@pytest.fixture(scope="module")
def model():
    """Two branches, one of them a model, the other with a layer that is called twice."""
    image = layers.Input((16, 16, 3), name="image")
    maps = layers.Conv2D(4, 3, activation="relu", name="first")(image)
    inner = models.Sequential(
        [layers.Conv2D(2, 3, input_shape=(14, 14, 4), name="within"), layers.Flatten()], name="part"
    )
    shared = layers.Dense(4, name="shared")
    four = layers.Dense(4, name="four")(layers.Flatten(name="flat")(maps))
    return models.Model(image, [inner(maps), shared(shared(four))])


def dot(model, path, **options):
    plot_model(model, path, **options)
    text = path.read_text()
    labels = dict(re.findall(r'(\d+) \[label="(.*)"\];', text))
    edges = re.findall(r"(\d+) -> (\d+);", text)
    return labels, {(labels[first], labels[last]) for first, last in edges}, text


def test_boxes_and_edges_of_a_graph(model, tmp_path):
    labels, edges, text = dot(model, tmp_path / "a.dot", rankdir="LR")
    assert "rankdir=LR" in text
    assert sorted(labels.values()) == [
        "Conv2D", "Dense", "Dense", "Dense", "Flatten", "InputLayer", "Sequential",
    ]  # fmt: skip
    assert ("InputLayer", "Conv2D") in edges and ("Conv2D", "Sequential") in edges
    assert ("Flatten", "Dense") in edges and ("Dense", "Dense") in edges


def test_what_is_shown(model, tmp_path):
    labels, edges, _ = dot(
        model, tmp_path / "b.gv", show_shapes=True, show_layer_names=True, show_dtype=True,
        show_layer_activations=True, show_trainable=True, expand_nested=True,
    )  # fmt: skip
    assert (
        r"first (Conv2D)\nactivation: relu\ninput: (None, 16, 16, 3)\noutput: (None, 14, 14, 4)"
        r"\nfloat32\ntrainable"
    ) in labels.values()
    assert not any("part" in label for label in labels.values())
    names = {tuple(label.split(" ")[0] for label in edge) for edge in edges}
    assert ("first", "within") in names and ("four", "shared") in names


@pytest.mark.parametrize("rankdir", ["TB", "BT", "LR", "RL"])
def test_pictures_are_drawn(model, tmp_path, rankdir):
    pytest.importorskip("matplotlib", reason="the extra is not installed")
    assert plot_model(model, tmp_path / "new/a", rankdir=rankdir, dpi=80, show_shapes=True) is None
    with Image.open(tmp_path / "new/a.png") as picture:
        width, height = picture.size
        pixels = np.asarray(picture.convert("L"))
    assert (height > width) == (rankdir in ("TB", "BT"))
    assert 0.02 < np.mean(pixels < 128) < 0.5
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert edges.min() == 255, "nothing is cut off"
    plot_model(model, str(tmp_path / "a.svg"))
    assert "<svg" in (tmp_path / "a.svg").read_text()


def test_in_a_notebook_the_picture_is_returned(model, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="the extra is not installed")
    display = types.SimpleNamespace(Image=lambda filename: filename, SVG=None)
    shell = types.SimpleNamespace(get_ipython=lambda: "a shell", display=display)
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    path = str(tmp_path / "m.png")
    assert plot_model(model, path) == path


def test_mistakes_are_named_and_no_file_is_touched(model, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra is not installed")
    path = tmp_path / "m.png"
    path.write_text("mine")
    for arguments, text in (
        ({"rankdir": "UP"}, "rankdir is 'UP'"),
        ({"dpi": 0}, "dpi is 0"),
        ({"to_file": tmp_path / "m.xyz"}, "to_file is .*m.xyz"),
    ):
        with pytest.raises(ValueError, match=f"plot_model: {text}"):
            plot_model(model, **{"to_file": path, **arguments})
    with pytest.raises(ValueError, match="is not built"):
        plot_model(models.Sequential([layers.Dense(1)]), path)
    assert path.read_text() == "mine"


def test_boxes_keep_apart_and_lines_pass_them():
    sizes = {n: (1.0 + n % 3, 0.5) for n in range(9)}
    edges = [(0, 1), (1, 2), (1, 3), (1, 4), (2, 5), (3, 5), (4, 6), (5, 7), (6, 7), (7, 8), (0, 8)]
    placed = layout(sizes, edges, (0.3, 0.4), 0.1)
    for one in sizes:
        for other in range(one):
            apart = [
                abs(a - b) for a, b in zip(placed.boxes[one], placed.boxes[other], strict=True)
            ]
            across = (sizes[one][0] + sizes[other][0]) / 2 + 0.3 - 1e-9
            assert apart[0] >= across or apart[1] >= 0.9 - 1e-9
    assert all(placed.boxes[a][1] < placed.boxes[b][1] for a, b in edges)
    assert [len(line) for line in placed.lines] == [2] * 10 + [6]
    for across, along in placed.lines[-1][1:-1]:
        for number, (x, y) in placed.boxes.items():
            assert y != along or abs(x - across) > sizes[number][0] / 2
    assert layout({0: (1, 1)}, [], (1, 1), 0.1).boxes.keys() == {0}
