"""Files that are damaged or made to do harm: refused soon, in little memory, all in one way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
from small_models import same_weights

from fastconv import layers
from fastconv.models import Sequential, load_model
from fastconv.saving import npz as archive
from fastconv.saving.npz import CheckpointError


def _layer(class_name, **config):
    return {"class_name": class_name, "config": config}


KERNEL = {"weights/d/kernel": np.zeros((4, 1), np.float32), "weights/d/bias": np.zeros(1, "f4")}
IMAGE = {"weights/c/kernel": np.zeros((1, 1, 1, 1), "f4"), "weights/c/bias": np.zeros(1, "f4")}
AUC = {"class_name": "AUC", "config": {"num_thresholds": 10**9}}
DENSE = _layer("Dense", units=1, input_shape=[4])


def _conv(**changes):
    return _layer("Conv2D", **{"filters": 1, "kernel_size": 1, "input_shape": [8, 8, 1], **changes})


def _pool(**changes):
    return _layer("MaxPooling2D", **{"input_shape": [8, 8, 1], **changes})


def _compiled(optimizer="sgd", loss="mse", metrics=()):
    return {"optimizer": optimizer, "loss": loss, "metrics": list(metrics)}


#: By name: layers, weights, and what else the file has.
HOSTILE = {
    "a dense layer of 80 MB": ([_layer("Dense", units=5_000_000, input_shape=[4])], KERNEL, {}),
    "a dense layer of 32 GB": ([_layer("Dense", units=2**31, input_shape=[4])], KERNEL, {}),
    "units that no computer has": ([_layer("Dense", units=10**300, input_shape=[4])], KERNEL, {}),
    "inputs of 40 GB": ([_layer("Dense", units=1, input_shape=[10**10])], KERNEL, {}),
    "filters": ([_conv(filters=10**9)], IMAGE, {}),
    "a kernel as large as a street": ([_conv(kernel_size=10**6, padding="same")], IMAGE, {}),
    "padding": ([_conv(padding=10**6)], IMAGE, {}),
    "padding on one side": ([_conv(padding=[[0, 10**7], [10**7, 0]])], IMAGE, {}),
    "padding before a dense layer": (
        [_conv(padding=10**4), _layer("Flatten"), _layer("Dense", units=9)], IMAGE, {},
    ),
    "strides": ([_conv(strides=10**12)], IMAGE, {}),
    "dilation": ([_conv(kernel_size=2, dilation_rate=10**9, padding=10**9)], IMAGE, {}),
    "groups": ([_conv(groups=10**9)], IMAGE, {}),
    "a pool": ([_pool(pool_size=10**9)], {}, {}),
    "images of a square kilometre": ([_pool(pool_size=1, input_shape=[10**7] * 2 + [1])], {}, {}),
    "a thousand axes": ([_layer("Flatten", input_shape=[10**9] * 1000)], {}, {}),
    "thresholds of a metric": ([DENSE], KERNEL, {"compile": _compiled(metrics=[AUC])}),
    "many weights": ([_layer("Dense", units=1, input_shape=[1])] * 20_000, KERNEL, {}),
    "nested JSON": ([DENSE], KERNEL, {"state": "[" * 100_000}),
    "long JSON": ([DENSE], KERNEL, {"state": '{"a":[' + '{"":1},' * 2_000_000 + "1]}"}),
    "a number of a million digits": ([DENSE], KERNEL, {"state": '{"epoch": 1' + "0" * 10**6 + "}"}),
    "zeros that inflate to 160 MB": ([DENSE], {"weights/d/kernel": (20_000_000, 2)}, {}),
    "a number of many bytes": ([DENSE], {"weights/d/kernel": np.zeros((4, 1), np.clongdouble)}, {}),
    "text for weights": ([DENSE], {"weights/d/kernel": np.full((4, 1), "1.0")}, {}),
    "numbers beyond float32": ([DENSE], {**KERNEL, "weights/d/kernel": np.full((4, 1), 1e99)}, {}),
}  # fmt: skip

_LOADING = """
import sys
from fastconv import models
from fastconv._core import random
from fastconv.saving.npz import CheckpointError
for path in sys.argv[1:]:
    drawn = random.get_state()
    try:
        models.load_model(path)
        print(path, "was loaded")
    except CheckpointError as error:
        if path not in str(error):
            print(path, "is not named")
    if random.get_state() != drawn:
        print(path, "drew random numbers")
# Not getrusage: a new program begins with the peak of the one that started it.
print(int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) // 1024)
"""


def _write(path, stack, weights, state=None, **config):
    """Write a file as somebody would who wants to do harm: compressed, and of the first version."""
    config = {
        "config": {"name": "m", "layers": stack, "build_input_shape": None},
        "compile": None,
        "metadata": {},
        **config,
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        members = {"format": np.array("fastconv/1"), "config": np.array(json.dumps(config))}
        if state is not None:
            members["state"] = np.array(state)
        for name, array in {**members, **weights}.items():
            with file.open(f"{name}.npy", "w") as member:
                if isinstance(array, tuple):  # a shape: zeros, in pieces
                    header = {"descr": "<f4", "fortran_order": False, "shape": array}
                    np.lib.format.write_array_header_1_0(member, header)
                    for _ in range(np.prod(array) // 1_000_000):
                        member.write(bytes(4_000_000))
                else:
                    np.save(member, array)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="Linux tells the peak")
def test_files_made_to_do_harm_are_refused_in_little_memory(tmp_path):
    """300 MB is what the format's reader promises for files of less than 1 MB."""
    paths = []
    for number, (stack, weights, more) in enumerate(HOSTILE.values()):
        paths.append(tmp_path / f"{number}.npz")
        _write(paths[-1], stack, weights, **more)
        assert paths[-1].stat().st_size < 1_000_000
    done = subprocess.run(
        [sys.executable, "-c", _LOADING, *map(str, paths)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    *wrong, peak = done.stdout.splitlines()
    assert not wrong and int(peak) < 300


class _Name(str):
    """A name that counts how often it is looked at."""

    looks = 0

    def __eq__(self, other):
        _Name.looks += 1
        return str.__eq__(self, other)

    def __hash__(self):
        _Name.looks += 1
        return str.__hash__(self)


def test_the_time_grows_with_the_number_of_layers_and_not_with_its_square():
    looks = []
    for count in (200, 400):
        _Name.looks = 0
        Sequential([layers.ReLU(input_shape=(1,), name=_Name(f"r{i}")) for i in range(count)])
        looks.append(_Name.looks)
    assert 0 < looks[1] <= 2 * looks[0]


def test_a_deep_model_is_saved_and_loaded(tmp_path):
    model = Sequential([layers.ReLU(input_shape=(4,)), *(layers.ReLU() for _ in range(3000))])
    model.save(tmp_path / "m.npz")
    assert len(load_model(tmp_path / "m.npz").layers) == 3001


# Damage


def _trained(path):
    """Write a model of few members, with an optimizer's and a run's state; return it."""
    model = Sequential([layers.Dense(1, input_shape=(2,))])
    model.compile("adam", "mse")
    model.fit(np.ones((2, 2), np.float32), np.ones(2), verbose=0)
    model.save(path)
    return model


def test_no_flipped_byte_of_the_directory_hides_a_part(tmp_path):
    """Every byte of the zip's directory and of its end: refused, or all parts are there."""
    path = tmp_path / "m.npz"
    model = _trained(path)
    whole = path.read_bytes()
    for position in range(whole.index(b"PK\1\2"), len(whole)):
        for flip in (0x01, 0x80):
            damaged = bytearray(whole)
            damaged[position] ^= flip
            path.write_bytes(damaged)
            try:
                again = load_model(path)
            except CheckpointError:
                continue
            assert same_weights(again, model) and again.epochs_done == 1
            assert again.optimizer.iterations == 1


@pytest.mark.parametrize("lost", ["optimizer/0/momentum", "optimizer", "state", "weights", "all"])
def test_a_part_that_is_missing_is_noticed(tmp_path, lost):
    path = tmp_path / "m.npz"
    _trained(path)
    arrays = archive.read(path)
    kept = ("config", "format") if lost == "all" else tuple(arrays)
    fewer = {k: v for k, v in arrays.items() if k in kept and not k.startswith(lost)}
    archive.write(path, fewer)
    with pytest.raises(CheckpointError, match=r"should hold \d+ parts and holds \d+; '.*' is miss"):
        load_model(path)


def test_parts_in_another_order_are_put_right(tmp_path):
    path = tmp_path / "m.npz"
    model = Sequential([layers.Dense(2, input_shape=(2,)), layers.Dense(2)])
    model.save(path)
    archive.write(path, dict(reversed(archive.read(path).items())))
    assert same_weights(load_model(path), model)


def test_every_single_byte_damage_is_a_checkpoint_error_or_harmless(tmp_path):
    path = tmp_path / "m.npz"
    model = _trained(path)
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            assert same_weights(load_model(path), model)
        except CheckpointError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1e9,), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (((((((1,),),),),),), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': " + b"(" * 3000,
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (" + b"0, " * 40 + b"), }",
        b"{'descr': '<f3', 'fortran_order': False, 'shape': (1,), }",
        b"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        b"{'descr': '<U0', 'fortran_order': False, 'shape': (1,), }",
        b"{'descr': '<U999999999', 'fortran_order': False, 'shape': (), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999999999, 9), }",
        b"{'descr': '<f4', 'fortran_order': 2**9**9, 'shape': (1,), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1L,), }",
        b"{'descr': '<f4', 'shape': (1,), }",
        b"'" * 99,
        b"",
        b"\xff" * 20,
    ],
)
def test_headers_of_arrays_are_matched_and_not_evaluated(tmp_path, header):
    path = tmp_path / "m.npz"
    for version in (1, 2, 3):
        length = len(header).to_bytes(2 if version == 1 else 4, "little")
        with zipfile.ZipFile(path, "w") as file:
            start = b"\x93NUMPY" + bytes([version, 0])
            file.writestr("x.npy", start + length + header + b"\0\0\0\0")
        with pytest.raises(CheckpointError, match="damaged"):
            archive.read(path)


def test_a_zip_of_other_kinds_is_refused(tmp_path):
    path = tmp_path / "m.npz"
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(path, "w", method) as file, file.open("x.npy", "w") as member:
            np.save(member, np.zeros(9))
        with pytest.raises(CheckpointError, match="compressed in a way that NumPy does not use"):
            archive.read(path)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "w") as file:
        for value in (0.0, 1.0):
            with file.open("x.npy", "w") as member:
                np.save(member, np.array(value))
    with pytest.raises(CheckpointError, match="two parts have one name"):
        archive.read(path)


def test_compressed_files_are_read_as_far_as_they_may_grow(tmp_path):
    path = tmp_path / "m.npz"
    np.savez_compressed(path, x=np.arange(1000), y=np.zeros((1000, 1000)))
    assert path.stat().st_size < 20_000
    assert archive.read(path)["y"].shape == (1000, 1000)
    np.savez_compressed(path, **{f"x{i}": np.zeros(1_000_000) for i in range(10)})
    with pytest.raises(CheckpointError, match=r"would become 80,\d*,\d*; at most 6\d,\d*,\d* are"):
        archive.read(path)


def test_a_size_that_the_directory_lies_about(tmp_path):
    """The member says that it is small; it is not inflated beyond that."""
    path = tmp_path / "m.npz"
    np.savez_compressed(path, x=np.zeros(5_000_000))
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\1\2")
    data[entry + 24 : entry + 28] = (200).to_bytes(4, "little")
    start = 30 + sum(int.from_bytes(data[at : at + 2], "little") for at in (26, 28))
    header = zlib.decompressobj(-15).decompress(data[start:], 200)
    data[entry + 16 : entry + 20] = zlib.crc32(header).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        archive.read(path)
