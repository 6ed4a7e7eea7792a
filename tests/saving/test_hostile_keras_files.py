"""Keras's files that mean harm: refused as hostile .npz files are, the model left as it was."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from keras_2_files import entry, h5py, put_weights, stack, twin
from small_models import convnet, same_weights

from fastconv.layers import L2Pooling2D
from fastconv.models import CheckpointError, Sequential, load_model

KERNEL = "conv2d_1/conv2d_1/kernel:0"


def external_link(weights, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["kernel"] = np.zeros((3, 3, 3, 4), np.float32)
    del weights[KERNEL]
    weights[KERNEL] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/kernel")


def soft_link(weights, tmp_path):
    weights.move(KERNEL, "elsewhere")
    weights[KERNEL] = h5py.SoftLink("/model_weights/elsewhere")


def external_storage(weights, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(432))
    del weights[KERNEL]
    storage = [(str(tmp_path / "secret"), 0, 432)]
    weights.create_dataset(KERNEL, (3, 3, 3, 4), "f4", external=storage)


def virtual_storage(weights, tmp_path):
    del weights[KERNEL]
    layout = h5py.VirtualLayout((3, 3, 3, 4), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "kernel", (3, 3, 3, 4))
    weights.create_virtual_dataset(KERNEL, layout)


def compressed(weights, tmp_path):
    del weights[KERNEL]
    zeros = np.zeros((3, 3, 3, 4), np.float32)
    weights.create_dataset(KERNEL, data=zeros, compression="gzip")


def huge(weights, tmp_path):
    del weights[KERNEL]
    weights.create_dataset(KERNEL, (1 << 40,), "f4", chunks=(1 << 20,))


def huge_chunks(weights, tmp_path):
    del weights[KERNEL]
    none = (None,) * 4
    weights.create_dataset(KERNEL, (3, 3, 3, 4), "f4", maxshape=none, chunks=(999, 99, 99, 9))


def texts(weights, tmp_path):
    del weights[KERNEL]
    weights.create_dataset(KERNEL, data=["text"] * 9)


def complex_numbers(weights, tmp_path):
    del weights[KERNEL]
    weights[KERNEL] = np.zeros((3, 3, 3, 4), np.complex64)


def another_shape(weights, tmp_path):
    del weights[KERNEL]
    weights[KERNEL] = np.zeros((3, 3, 3, 5), np.float32)


def a_circle(weights, tmp_path):
    del weights["conv2d_1/conv2d_1"]
    weights["conv2d_1/conv2d_1"] = weights


def a_path_upwards(weights, tmp_path):
    weights["conv2d_1"].attrs["weight_names"] = [b"../conv2d_1/kernel:0", b"conv2d_1/bias:0"]


def numbers_for_names(weights, tmp_path):
    weights.attrs["layer_names"] = [1, 2, 3]


def too_many_names(weights, tmp_path):
    weights.attrs["layer_names"] = [b"conv2d_1"] * 4


HARM = [
    external_link,
    soft_link,
    external_storage,
    virtual_storage,
    compressed,
    huge,
    huge_chunks,
    texts,
    complex_numbers,
    another_shape,
    a_circle,
    a_path_upwards,
    numbers_for_names,
    too_many_names,
]


@pytest.mark.parametrize("harm", HARM, ids=lambda one: one.__name__)
def test_an_hdf5_file_leads_nowhere_and_takes_no_more_than_it_has(harm, tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": stack()})
        weights = file.create_group("model_weights")
        put_weights(weights, twin())
        harm(weights, tmp_path)
    model = twin()
    with pytest.raises(CheckpointError, match=r"m\.h5"):
        model.load_weights(path)
    assert same_weights(model, twin())
    with pytest.raises(CheckpointError, match=r"m\.h5"):
        load_model(path)


@pytest.mark.parametrize(
    "config",
    [
        b"[" * 100_000,
        b'{"class_name": ' * 50_000,
        b"[]",
        b"{}",
        b"\xff\xfe",
        json.dumps({"class_name": "Sequential", "config": 3}),
        json.dumps({"class_name": "Sequential", "config": [entry("Dense", {"units": 10**9})]}),
        json.dumps(
            {
                "class_name": "Sequential",
                "config": [entry("Dense", {"units": 10**6, "batch_input_shape": [None, 10**6]})],
            }
        ),
        json.dumps({"class_name": "Functional", "config": {"layers": []}}),
        json.dumps({"class_name": "os.system", "config": {"layers": []}}),
    ],
    ids=range(10),
)
@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_a_configuration_that_is_none(config, suffix, tmp_path):
    weights = io.BytesIO()
    path = tmp_path / f"m.{suffix}"
    with h5py.File(weights if suffix == "keras" else path, "w", libver="latest") as file:
        file.attrs["model_config"] = np.bytes_(config)
        put_weights(file.create_group("model_weights"), twin())
    if suffix == "keras":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("metadata.json", "{}")
            archive.writestr("config.json", config)
            archive.writestr("model.weights.h5", weights.getvalue())
    with pytest.raises(CheckpointError, match=r"m\."):
        load_model(path)


def rewritten(path, change):
    """Write a .keras file again with other members."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda m: m.update({"model.weights.h5": bytes(200 << 20)}), "at most"),
        (lambda m: m.update({"model.weights.h5": b"none"}), "damaged|rebuilt"),
        (lambda m: m.pop("model.weights.h5"), "no 'model.weights.h5'"),
        (lambda m: m.update({"config.json": b" " * (8 << 20) + b"{}"}), "at most"),
    ],
    ids=range(4),
)
def test_a_zip_that_inflates_or_lacks_a_part(change, said, tmp_path):
    path = tmp_path / "m.keras"
    twin().save(path)
    rewritten(path, change)
    with pytest.raises(CheckpointError, match=said):
        load_model(path)


def test_members_with_paths_are_written_nowhere(tmp_path):
    path = tmp_path / "m.keras"
    twin().save(path)
    rewritten(path, lambda m: m.update({"../outside": b"x", "/tmp/outside-of-fastconv": b"x"}))
    load_model(path)
    assert [one.name for one in tmp_path.iterdir()] == ["m.keras"]


def test_no_training_goes_on_from_such_files(tmp_path):
    model = convnet()
    x, y = np.zeros((4, 12, 12, 3), np.float32), np.zeros(4, np.float32)
    for name in ("m.keras", "m.h5"):
        model.save(tmp_path / name)
        with pytest.raises(CheckpointError, match=r"no state of a training run.*\.npz"):
            model.fit(x, y, resume_from=tmp_path / name, verbose=0)


def test_what_keras_has_not_is_refused_before_anything_is_written(tmp_path):
    model = Sequential([L2Pooling2D(2, name="norms", input_shape=(4, 4, 1))])
    for name in ("m.keras", "m.h5"):
        with pytest.raises(ValueError, match=r"'norms'.*save as \.npz"):
            model.save(tmp_path / name)
    with pytest.raises(ValueError, match="save_weights"):
        model.save(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match="no weights alone"):
        model.save_weights(tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())


def test_a_heap_without_an_end_is_refused(tmp_path):
    path = tmp_path / "m.h5"
    twin().save(path)
    contents = bytearray(path.read_bytes())
    place = contents.find(b"GCOL") + 16
    assert place > 16
    contents[place + 8 : place + 16] = b"\xff" * 8  # the size of its first text
    path.write_bytes(contents)
    with pytest.raises(CheckpointError, match="heap of texts"):
        load_model(path)


def test_what_tf_keras_tells_beyond_keras_is_taken(tmp_path):
    path = tmp_path / "m.h5"
    metric = {"class_name": "MeanMetricWrapper", "config": {"fn": "mae", "name": "mae"}}
    optimizer = {"class_name": "Custom>Adam", "config": {"is_legacy_optimizer": False}}
    told = {"optimizer_config": optimizer, "loss": "mse", "metrics": [metric]}
    layers = stack()
    layers[0]["config"]["groups"] = 1
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": layers})
        file.attrs["training_config"] = json.dumps(told)
        put_weights(file.create_group("model_weights"), twin())
    assert type(load_model(path).optimizer).__name__ == "Adam"
