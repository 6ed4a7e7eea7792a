"""Files that ask for more layers and calls than any network has: refused before they are made."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from fastconv import Input, Model, layers
from fastconv.models import Sequential, load_model, model_from_json
from fastconv.saving import extent
from fastconv.saving.npz import CheckpointError

INPUT = {"class_name": "InputLayer", "config": {"name": "x", "shape": [4]}}
RELU = {"class_name": "ReLU", "config": {"name": "r"}}
MANY = 200_000


def _model(stack, calls, outputs, inputs=(0,)):
    config = {"layers": stack, "calls": calls, "inputs": list(inputs), "outputs": list(outputs)}
    return {"class_name": "Model", "config": {"name": "m", **config}}


def _doubling(times):
    """Return a model that calls a model twice, which calls a model twice, and so on."""
    model = RELU
    for _ in range(times):
        calls = [{"layer": 1, "inputs": [0]}, {"layer": 1, "inputs": [1]}]
        model = _model([INPUT, model], calls, [2])
    return model


HOSTILE = {
    "layers of a chain": {"class_name": "Sequential", "config": {"layers": [RELU] * MANY}},
    "layers": _model([INPUT] * MANY, [], [0]),
    "calls": _model([INPUT, RELU], [{"layer": 1, "inputs": [0]}] * MANY, [0]),
    "tensors read": _model([INPUT, RELU], [{"layer": 1, "inputs": [0] * MANY, "list": True}], [1]),
    "inputs": _model([INPUT], [], [0], [0] * MANY),
    "outputs": _model([INPUT, RELU], [{"layer": 1, "inputs": [0]}], [1] * MANY),
    "models called 2 ** 40 times": _doubling(40),
    "a call of no layer": _model([INPUT, RELU], [{"layer": 7, "inputs": [0]}], [1]),
    "a call that reads itself": _model([INPUT, RELU], [{"layer": 1, "inputs": [1]}], [1]),
}


@pytest.mark.parametrize("described", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_graph_made_to_do_harm_is_refused(described, tmp_path):
    path = tmp_path / "m.npz"
    text = json.dumps({**described, "compile": None, "metadata": {}})
    with zipfile.ZipFile(path, "w") as file:
        for name, value in {"format": "fastconv/1", "config": text}.items():
            with file.open(f"{name}.npy", "w") as member:
                np.save(member, np.array(value))
    with pytest.raises(CheckpointError, match=r"m\.npz: the model cannot be rebuilt"):
        load_model(path)


def test_a_text_of_that_kind_is_refused():
    with pytest.raises(ValueError, match="more than 30,000 layers and calls"):
        model_from_json(json.dumps(_doubling(40)))


def test_what_could_not_be_loaded_is_not_saved(tmp_path, monkeypatch):
    inner = Sequential([layers.ReLU(input_shape=(4,)), layers.ReLU()])
    x = Input((4,))
    model = Model(x, inner(inner(x)))
    assert extent.check_extent(model.get_config()) == 21
    monkeypatch.setattr(extent, "LARGEST_EXTENT", 21)
    model.save(tmp_path / "m.npz")
    load_model(tmp_path / "m.npz")
    monkeypatch.setattr(extent, "LARGEST_EXTENT", 20)
    (tmp_path / "m.npz").unlink()
    with pytest.raises(ValueError, match=r"Model 'model.*: cannot be saved: it has more than 20"):
        model.save(tmp_path / "m.npz")
    assert not list(tmp_path.iterdir())
