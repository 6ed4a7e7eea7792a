"""Hostile ONNX files, and mutations of sound ones, by way of the fuzz target."""

from __future__ import annotations

import random
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx.checker", reason="onnx is not installed")
from fuzz_onnx import Target
from onnx import ModelProto, TensorProto, helper, numpy_helper

from fastconv import onnx as doors
from fastconv.onnx.wire import LARGEST_COUNT
from fastconv.saving.npz import CheckpointError

Nodes = list[tuple[str, str, str, dict[str, Any]]]


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return Target(str(tmp_path_factory.mktemp("fuzz")))


def model(
    nodes: Nodes, constants: dict[str, Any] | None = None, shape: Any = ("n", 3, 8, 8)
) -> Any:
    """Return a proto from "x" to "y" of nodes (operator, inputs, output, attributes)."""
    made = [
        helper.make_node(kind, inputs.split(), [output], **attributes)
        for kind, inputs, output, attributes in nodes
    ]
    arrays = [numpy_helper.from_array(np.asarray(one), n) for n, one in (constants or {}).items()]
    graph = helper.make_graph(
        made,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        arrays,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def sound() -> Any:
    nodes: Nodes = [
        ("Conv", "x w", "c", {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
        ("Relu", "c", "r", {}),
        ("MaxPool", "r", "p", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Shape", "p", "s", {}),
        ("Slice", "s zero one", "b", {}),
        ("Concat", "b rest", "t", {"axis": 0}),
        ("Reshape", "p t", "f", {}),
        ("Gemm", "f v", "g", {"transB": 1}),
        ("Softmax", "g", "y", {}),
    ]
    draw = np.random.default_rng(0)
    constants = {
        "w": draw.normal(size=(2, 3, 3, 3)).astype(np.float32),
        "v": draw.normal(size=(3, 8)).astype(np.float32),
        "zero": np.array([0]),
        "one": np.array([1]),
        "rest": np.array([-1]),
    }
    return model(nodes, constants)


def test_a_sound_file_is_read(target):
    assert target(sound().SerializeToString())


@pytest.mark.parametrize("seed", range(8))
def test_mutations_are_taken_or_refused(target, seed):
    draw, whole = random.Random(seed), sound().SerializeToString()
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(draw.choice([1, 1, 1, 2, 5])):
            at, size = draw.randrange(len(data)), draw.choice([1, 1, 2, 8, 60])
            change = draw.randrange(4)
            if change == 0:
                data[at] ^= 1 << draw.randrange(8)
            elif change == 1:
                del data[at : at + size]
            elif change == 2:
                data[at:at] = data[draw.randrange(len(data)) :][:size]
            else:
                data[at : at + 1] = draw.choice(
                    [b"\xff" * 9 + b"\x01", b"\0", b"\x7f", b"\xff\x0f"]
                )
        target(bytes(data))


@pytest.mark.parametrize("seed", range(4))
def test_other_values_are_taken_or_refused(target, seed):
    """Attributes, sizes and names that fit no more."""
    draw = random.Random(seed)
    numbers = (-(2**63), -1, 0, 1, 2, 3, 7, 2**31, 2**40, 2**63 - 1)
    for _ in range(150):
        proto = ModelProto.FromString(sound().SerializeToString())
        node = draw.choice(proto.graph.node)
        array = draw.choice(proto.graph.initializer)
        change = draw.randrange(6)
        if change == 0 and node.attribute:
            attribute = draw.choice(node.attribute)
            attribute.ints[:] = [draw.choice(numbers) for _ in range(draw.randrange(6))]
            attribute.i = draw.choice(numbers)
        elif change == 1:
            array.dims[draw.randrange(len(array.dims))] = draw.choice(numbers)
        elif change == 2:
            array.data_type = draw.randrange(30)
        elif change == 3:
            node.op_type = draw.choice(proto.graph.node).op_type
        elif change == 4:
            names = ["", "x", *(one.name for one in proto.graph.initializer), "c", "r", "p"]
            node.input[draw.randrange(len(node.input))] = draw.choice(names)
        else:
            sizes = proto.graph.input[0].type.tensor_type.shape.dim
            sizes[draw.randrange(4)].dim_value = draw.choice(numbers)
        target(proto.SerializeToString())


def huge(size: int) -> np.ndarray:
    return np.array([size, size])


HOSTILE: dict[str, tuple[Nodes, dict[str, Any]]] = {
    "a constant of 10^12 numbers": (
        [("ConstantOfShape", "s", "k", {}), ("Add", "x k", "y", {})], {"s": huge(10**6)}),
    "a constant that is repeated": (
        [("Expand", "o s", "k", {}), ("Add", "x k", "y", {})], {"s": huge(10**6), "o": huge(1)}),
    "a long range": (
        [("Range", "z s o", "k", {}), ("Add", "x k", "y", {})],
        {"z": np.array(0), "s": np.array(2**40), "o": np.array(1)}),
    "a negative size": (
        [("ConstantOfShape", "s", "k", {}), ("Add", "x k", "y", {})], {"s": huge(-3)}),
    "doubled forty times": (
        [("Concat", f"k{n} k{n}", f"k{n + 1}", {"axis": 0}) for n in range(40)]
        + [("Add", "x k40", "y", {})], {"k0": np.ones(1, np.float32)}),
    "images of 10^10 pixels": (
        [("Resize", "x x s", "y", {})], {"s": np.array([1, 1, 1e5, 1e5], np.float32)}),
    "padding of 10^12": (
        [("Pad", "x s", "y", {})], {"s": np.array([0, 0, 10**12, 0, 0, 0, 0, 0])}),
    "a kernel that is copied 3,000 times": (
        [("Conv", f"{'x' if not n else f'c{n}'} w", f"c{n + 1}", {"pads": [25 + n % 9] * 4})
         for n in range(3_000)] + [("Relu", "c3000", "y", {})],
        {"w": np.arange(3 * 3 * 2500, dtype=np.float32).reshape(3, 3, 50, 50)}),
    "a circle": ([("Add", "x b", "a", {}), ("Add", "a x", "b", {}), ("Relu", "b", "y", {})], {}),
    "given twice": ([("Relu", "x", "y", {}), ("Relu", "x", "y", {})], {}),
    "too many nodes": (
        [("Relu", "x" if not n else f"r{n}", f"r{n + 1}", {}) for n in range(30_001)], {}),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_asks_for_too_much_is_refused_within_bounds(target, name):
    nodes, constants = HOSTILE[name]
    content = model(nodes, constants).SerializeToString()
    tracemalloc.start()
    start = time.perf_counter()
    try:
        assert not target(content)
        assert tracemalloc.get_traced_memory()[1] < (300 << 20)
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - start < 60  # seconds, of a machine that others use as well


def test_more_parts_than_any_network_has_are_counted_before_they_are_made(target):
    graph = b"\x0a\x00" * (LARGEST_COUNT + 1)  # nodes of two bytes each
    length, size = b"", len(graph)
    while size:
        length += bytes([size & 127 | (128 if size > 127 else 0)])
        size >>= 7
    assert not target(b"\x3a" + length + graph)


def test_data_in_other_files_are_not_read(target, tmp_path):
    proto = sound()
    array = proto.graph.initializer[0]
    array.ClearField("raw_data")
    array.data_location = TensorProto.EXTERNAL
    entry = array.external_data.add()
    entry.key, entry.value = "location", "../../../etc/passwd"
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(CheckpointError, match="in another file, which is not read"):
        doors.load(tmp_path / "m.onnx")


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\x08\x08", b"\0" * 99, b"{}"])
def test_what_is_no_onnx_is_refused(target, content):
    assert not target(content)


def test_paths_without_a_file_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        doors.load(tmp_path / "none.onnx")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        doors.load(tmp_path)
