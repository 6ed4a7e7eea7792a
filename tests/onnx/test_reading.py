"""Models out of ONNX files: they predict as ONNX Runtime does, and can be trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_graphs import batch_of, drawn_model, packed, recipes

import fastconv
from fastconv import architectures, models

pytest.importorskip("onnx.checker", reason="onnx is not installed")
import onnx
from onnx import TensorProto, helper, numpy_helper

from fastconv.onnx.exporting import model_proto
from fastconv.onnx.file import UnsupportedError
from fastconv.onnx.reading import build


def session(content: bytes) -> Any:
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def graph(nodes: Any, constants: Any = None, shape: Any = ("n", 3, 8, 8), opset: int = 17) -> Any:
    """Return a model from "x" to "y" of nodes (operator, inputs, output, attributes)."""
    made = [
        helper.make_node(kind, inputs.split(), [output], name=output, **attributes)
        for kind, inputs, output, attributes in nodes
    ]
    arrays = [
        numpy_helper.from_array(np.asarray(array), name)
        for name, array in (constants or {}).items()
    ]
    whole = helper.make_graph(
        made,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        arrays,
    )
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def check(proto: Any, rows: int = 2, tolerance: float = 1e-4) -> Any:
    """ONNX Runtime and the model agree on images of channels first; return the model."""
    sizes = [dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim[1:]]
    x = np.random.default_rng(0).normal(size=(rows, *sizes)).astype(np.float32)
    [wanted] = session(proto.SerializeToString()).run(None, {proto.graph.input[0].name: x})
    model = build(proto).model
    got = model.predict_on_batch(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x)
    got = got.transpose(0, 3, 1, 2) if got.ndim == 4 else got
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)
    return model


def layers_of(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


rng = np.random.default_rng(3)


def drawn(*shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


# Networks of PyTorch


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "squeezenet", "vgg11", "unet"])
def test_networks_of_pytorch_predict_alike_and_train(name, tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    from bench.onnx_networks import exported

    content = exported(name)
    path = tmp_path / "n.onnx"
    path.write_bytes(content)
    model = fastconv.onnx.load(path)
    x = rng.random((2, *model.input_shape[1:]), np.float32)
    [wanted] = session(content).run(None, {"x": np.ascontiguousarray(x.transpose(0, 3, 1, 2))})
    got = model.predict_on_batch(x)
    got = got.transpose(0, 3, 1, 2) if got.ndim == 4 else got
    assert np.abs(got - wanted).max() < 1e-4 * max(1, np.abs(wanted).max())
    model.compile("sgd", "mse")
    assert np.isfinite(model.train_on_batch(x, np.zeros(model.predict_on_batch(x).shape)))
    assert all(np.any(weight.gradient) for weight in model.trainable_weights)


def test_pytorchs_newer_exporter_is_read(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    from bench.onnx_networks import exported

    proto = onnx.ModelProto.FromString(exported("squeezenet", modern=True, batch=2))
    check(proto)


# Round trips


@pytest.mark.parametrize("name", ["model1", "siamese", "unet", "autoencoder", "resnet20"])
def test_what_was_exported_comes_back(name, tmp_path):
    model = getattr(architectures, name)()
    model.class_names = ["cat", "dog"]
    model.metadata["seen"] = 3
    model.export(tmp_path / "m.onnx")
    loaded = fastconv.onnx.load(tmp_path / "m.onnx")
    x, _ = batch_of(model, rng, rows=2)
    assert loaded.input_shape == model.input_shape
    np.testing.assert_allclose(
        loaded.predict_on_batch(packed(x)), model.predict_on_batch(packed(x)), rtol=0, atol=1e-6
    )
    assert (loaded.class_names, loaded.metadata) == (["cat", "dog"], {"seen": 3})
    assert loaded.count_params() == model.count_params()
    loaded.save(tmp_path / "m.npz")
    again = models.load_model(tmp_path / "m.npz")
    assert (
        again.predict_on_batch(packed(x)).tobytes() == loaded.predict_on_batch(packed(x)).tobytes()
    )


@settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(recipes(), st.integers(0, 2**31))
def test_drawn_graphs_come_back(recipe, seed):
    model = drawn_model(recipe, seed)
    loaded = build(model_proto(model)).model
    x, _ = batch_of(model, np.random.default_rng(seed))
    pairs = zip(
        *(
            y if isinstance(y, list) else [y]
            for y in (model.predict_on_batch(packed(x)), loaded.predict_on_batch(packed(x)))
        ),
        strict=True,
    )
    for wanted, got in pairs:
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_load_model_tells_the_file_by_its_content(tmp_path):
    model = architectures.model1()
    model.export(tmp_path / "m.bin")
    assert models.load_model(tmp_path / "m.bin").count_params() == model.count_params()
    with pytest.raises(ValueError, match="load_model reads it"):
        model.load_weights(tmp_path / "m.bin")
    with pytest.raises(ValueError, match=r"model\.export"):
        model.save(tmp_path / "m.onnx")


# How graphs become layers

CONV = {"w": drawn(4, 3, 3, 3), "b": drawn(4)}


def test_channels_first_costs_no_transposition():
    """Between convolution, normalization, pooling and a flattened image nothing is moved."""
    nodes = [
        ("Conv", "x w b", "c", {"pads": [1, 1, 1, 1]}),
        ("Relu", "c", "r", {}),
        ("MaxPool", "r", "p", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Flatten", "p", "f", {}),
        ("Dropout", "f", "d", {}),
        ("Gemm", "d v", "g", {"transB": 1, "alpha": 0.5}),
        ("Softmax", "g", "y", {}),
    ]
    model = check(graph(nodes, {**CONV, "v": drawn(5, 64)}))
    wanted = ["InputLayer", "Conv2D", "ReLU", "MaxPooling2D", "Flatten", "Dropout", "Dense"]
    assert layers_of(model) == [*wanted, "Activation"]
    assert model.get_layer("c").padding == ((1, 1), (1, 1))


@pytest.mark.parametrize(
    "nodes",
    [
        [("Flatten", "x", "y", {})],
        [("Reshape", "x shape", "y", {})],
        [("Transpose", "x", "t", {"perm": [0, 2, 3, 1]}), ("Reshape", "t shape", "y", {})],
        [("Transpose", "x", "y", {"perm": [0, 2, 1, 3]})],
        [("ReduceMean", "x", "y", {"axes": [2, 3], "keepdims": 0})],
        [("ReduceMean", "x", "y", {"axes": [1]})],
        [("ReduceMax", "x", "y", {"axes": [-1], "keepdims": 0})],
        [("Softmax", "x", "y", {"axis": 1})],
        [("Softmax", "x", "y", {"axis": -1})],
        [("Clip", "x low high", "y", {})],
        [("Pad", "x pads", "y", {})],
        [("Pad", "x pads low", "y", {})],
        [("Sub", "row x", "y", {})],
        [("Div", "x row", "y", {})],
        [("MatMul", "x square", "m", {}), ("Add", "m row", "y", {})],
        [("PRelu", "x slope", "y", {})],
        [("LpPool", "x", "y", {"kernel_shape": [3, 3], "auto_pad": "SAME_LOWER"})],
        [("Slice", "x starts ends", "y", {})],
        [("HardSigmoid", "x", "y", {})],
        [("Selu", "x", "y", {"alpha": 2.0, "gamma": 3.0})],
        [("Relu", "x", "r", {}), ("Concat", "x r", "y", {"axis": 2})],
        [("Relu", "x", "r", {}), ("Flatten", "r", "f", {}), ("BatchNormalization",
          "f g g g v", "y", {})],
        [("GlobalAveragePool", "x", "p", {}), ("Squeeze", "p spatial", "s", {}),
         ("Unsqueeze", "s spatial", "u", {}), ("Mul", "x u", "y", {})],
    ],
    ids=lambda nodes: "-".join(node[0] for node in nodes),
)  # fmt: skip
def test_operators_are_computed_alike(nodes):
    many = drawn(192)
    constants = {
        "shape": np.array([-1, 16, 12]),
        "low": np.float32(-0.3),
        "high": np.float32(0.7),
        "pads": np.array([0, 0, 1, 2, 0, 0, 0, 1]),
        "row": np.abs(drawn(8)) + 1,
        "square": drawn(8, 8),
        "slope": drawn(3, 1, 1),
        "starts": np.array([0, 0, 1, -5]),
        "ends": np.array([2**40, 3, -2, 2**40]),
        "g": many,
        "v": np.abs(many) + 1,
        "spatial": np.array([2, 3]),
    }
    used = {name for node in nodes for name in node[1].split()}
    check(graph(nodes, {name: one for name, one in constants.items() if name in used}))


@pytest.mark.parametrize(
    "mode",
    [
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric",
         "nearest_mode": "floor"},
        {"mode": "nearest"},
        {"mode": "linear"},
        {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
    ],
)  # fmt: skip
def test_resizing_is_computed_alike(mode):
    scales = {"s": np.array([1, 1, 2, 3], np.float32)}
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], **mode)
    proto = graph([("Identity", "x", "y", {})], scales)
    del proto.graph.node[:]
    proto.graph.node.append(node)
    model = check(proto)
    assert "UpSampling2D" in layers_of(model)


def test_other_sizes_are_resized_as_far_as_layers_do():
    sizes = {"s": np.array([2, 3, 5, 12])}
    proto = graph([("Identity", "x", "y", {})], sizes)
    for mode, taken in (("half_pixel", True), ("align_corners", False)):
        del proto.graph.node[:]
        options = {"mode": "linear", "coordinate_transformation_mode": mode}
        proto.graph.node.append(helper.make_node("Resize", ["x", "", "", "s"], ["y"], **options))
        if taken:
            assert "Resizing" in layers_of(check(proto))
        else:
            with pytest.raises(UnsupportedError, match="align_corners"):
                build(proto)


def test_shapes_that_are_computed_are_folded():
    """PyTorch's `x.view(x.shape[0], -1, 12)`."""
    nodes = [
        ("Shape", "x", "s", {}),
        ("Gather", "s zero", "n", {}),
        ("Unsqueeze", "n zeros", "u", {}),
        ("Concat", "u rest", "t", {"axis": 0}),
        ("Reshape", "x t", "y", {}),
    ]
    constants = {"zero": np.array(0), "zeros": np.array([0]), "rest": np.array([-1, 12])}
    check(graph(nodes, constants), rows=3)


def test_what_is_computed_of_the_batch_is_refused():
    nodes = [
        ("Shape", "x", "s", {}),
        ("Gather", "s zero", "n", {}),
        ("Mul", "n two", "m", {}),
        ("Concat", "m rest", "t", {"axis": 0}),
        ("Reshape", "x t", "y", {}),
    ]
    constants = {"zero": np.array([0]), "two": np.array([2]), "rest": np.array([96])}
    with pytest.raises(UnsupportedError, match="Mul 'm'"):
        build(graph(nodes, constants))


def test_images_with_channels_last_stay_so():
    """What TensorFlow's converters write: Transpose first, and last."""
    nodes = [
        ("Mul", "x two", "z", {}),
        ("Transpose", "z", "t", {"perm": [0, 3, 1, 2]}),
        ("Conv", "t w b", "c", {}),
        ("Transpose", "c", "y", {"perm": [0, 2, 3, 1]}),
    ]
    proto = graph(nodes, {**CONV, "two": np.float32(2)}, ("n", 8, 6, 3))
    built = build(proto)
    assert built.channels_last and built.model.input_shape == (None, 8, 6, 3)
    x = drawn(2, 8, 6, 3)
    [wanted] = session(proto.SerializeToString()).run(None, {"x": x})
    np.testing.assert_allclose(built.model.predict_on_batch(x), wanted, rtol=1e-4, atol=1e-4)


def test_sizes_that_are_not_fixed_stay_so():
    nodes = [("Conv", "x w b", "c", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
             ("GlobalAveragePool", "c", "p", {}), ("Flatten", "p", "y", {})]  # fmt: skip
    proto = graph(nodes, CONV, ("n", 3, "h", "w"))
    model = build(proto).model
    assert model.input_shape == (None, None, None, 3)
    x = drawn(2, 3, 7, 9)
    [wanted] = session(proto.SerializeToString()).run(None, {"x": x})
    got = model.predict_on_batch(np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


def test_one_convolution_with_the_weights_of_another_is_one_layer():
    nodes = [("Conv", "x w", "a", {}), ("Conv", "x w", "b", {}), ("Sub", "a b", "y", {})]
    model = check(graph(nodes, {"w": drawn(2, 3, 3, 3)}))
    assert layers_of(model).count("Conv2D") == 1


def test_all_that_is_not_read_is_named_at_once():
    nodes = [
        ("Conv", "x w", "c", {}),
        ("Sin", "c", "s", {}),
        ("LRN", "s", "l", {"size": 3}),
        ("Pad", "c pads", "p", {"mode": "reflect"}),
        ("Relu", "l", "y", {}),
    ]
    constants = {"w": drawn(2, 3, 3, 3), "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])}
    with pytest.raises(UnsupportedError, match=r"operator LRN; the operator Sin; Pad 'p'.*reflect"):
        build(graph(nodes, constants))
    assert issubclass(UnsupportedError, NotImplementedError)


@pytest.mark.parametrize(
    ("nodes", "what"),
    [
        ([("Swish", "x", "y", {"alpha": 2.0})], ""),
        ([("Transpose", "x", "y", {"perm": [1, 0, 2, 3]})], "moves the batch"),
        ([("Softmax", "x", "y", {"axis": 0})], "the batch's"),
        ([("Flatten", "x", "y", {"axis": 2})], "axis is 2"),
        ([("ConvTranspose", "x w", "y", {"group": 3})], "group is 3"),
        ([("Conv", "x x", "y", {})], "kernel is computed"),
        ([("Clip", "x high low", "y", {})], "its min is 0.6"),
        ([("Add", "x wide", "y", {})], "does not fit each image"),
        ([("Mul", "w w", "y", {})], "which is a constant"),
        ([("Div", "w x", "y", {})], "divides by a tensor"),
    ],
)
def test_what_has_no_layer_is_refused(nodes, what):
    constants = {"w": drawn(3, 3, 3, 3), "high": np.float32(0.7), "low": np.float32(-1),
                 "wide": drawn(2, 3, 8, 8)}  # fmt: skip
    opset = 24 if nodes[0][0] == "Swish" else 17
    proto = graph(nodes, constants, opset=opset)
    if not what:
        build(proto)
        return
    with pytest.raises(UnsupportedError, match=what):
        build(proto)


def test_softmax_of_old_files_goes_over_all_that_follows():
    check(graph([("Softmax", "x", "y", {})], opset=11))
