"""Weights in safetensors files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from small_models import convnet, same_weights

from fastconv.models import CheckpointError, load_model

safetensors = pytest.importorskip("safetensors.numpy", reason="reads what fastconv wrote")


def test_names_are_those_of_npz_and_others_read_them(tmp_path):
    model = convnet()
    model.save_weights(tmp_path / "w.safetensors")
    arrays = safetensors.load_file(tmp_path / "w.safetensors")
    conv = model.layers[0].name
    assert {f"{conv}/kernel", f"{conv}/bias"} < arrays.keys()
    np.testing.assert_array_equal(arrays[f"{conv}/kernel"], model.get_weights()[0])


def test_weights_come_back_by_name_and_where_names_count_on_by_order(tmp_path):
    first, second = convnet(), convnet()
    first.save_weights(tmp_path / "w.safetensors")
    second.load_weights(tmp_path / "w.safetensors")
    assert same_weights(first, second)
    safetensors.save_file(
        safetensors.load_file(tmp_path / "w.safetensors"), tmp_path / "n.safetensors"
    )
    first.set_weights([weight * 0 for weight in first.get_weights()])
    first.load_weights(tmp_path / "n.safetensors")
    assert same_weights(first, second)
    with pytest.raises(CheckpointError, match="layer name"):
        second.load_weights(tmp_path / "n.safetensors")


@pytest.mark.parametrize("harm", ["short", "shape", "text", "length", "order"])
def test_what_does_not_fit_is_refused_and_the_model_left(harm, tmp_path):
    model, path = convnet(), tmp_path / "w.safetensors"
    model.save_weights(path)
    arrays = safetensors.load_file(path)
    if harm == "short":
        path.write_bytes(path.read_bytes()[:-4])
    elif harm == "shape":
        safetensors.save_file({name: np.zeros(3, np.float32) for name in arrays}, path)
    elif harm == "text":
        safetensors.save_file({name: array.astype(np.int8) for name, array in arrays.items()}, path)
    elif harm == "length":
        path.write_bytes(b"\xff" * 7 + b"\x7f{" + bytes(99))
    else:
        renamed = {f"{place}/{name}": array for place, (name, array) in enumerate(arrays.items())}
        safetensors.save_file(renamed, path, {"order": json.dumps({"a": 1})})
    before = convnet()
    before.set_weights(model.get_weights())
    with pytest.raises(CheckpointError, match=r"w\.safetensors"):
        model.load_weights(path)
    assert same_weights(model, before)


def test_no_whole_model_is_in_such_a_file(tmp_path):
    model = convnet()
    model.save_weights(tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="load_weights reads it"):
        load_model(tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="no whole model"):
        model.save(tmp_path / "m.safetensors")
