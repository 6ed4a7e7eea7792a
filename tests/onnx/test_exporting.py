"""Exported models: ONNX Runtime computes of the file what the model predicts."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_graphs import drawn_model, recipes

import fastconv
from fastconv import architectures, layers, models

pytest.importorskip("onnx.checker", reason="onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
import onnx  # noqa: E402

from fastconv.onnx.exporting import model_proto  # noqa: E402


def session(content: bytes) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def check(model: Any, size: int = 9, rows: int = 3) -> None:
    """ONNX Runtime agrees to 1e-5 with a model, whose unknown sizes are `size`."""
    proto = model_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    rng = np.random.default_rng(0)
    x = [
        rng.normal(size=(rows, *(n or size for n in t.shape[1:]))).astype(np.float32)
        for t in model.inputs
    ]
    expected = model.predict_on_batch(x if len(x) > 1 else x[0])
    expected = expected if isinstance(expected, list) else [expected]
    runtime = session(proto.SerializeToString())
    given_names = [one.name for one in runtime.get_inputs()]
    outputs = runtime.run(None, dict(zip(given_names, x, strict=True)))
    for wanted, got in zip(expected, outputs, strict=True):
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def with_drawn_weights(model: Any) -> Any:
    rng = np.random.default_rng(1)
    model.set_weights(
        [
            rng.uniform(0.5, 1.5, w.shape) if "variance" in w.name else rng.normal(0, 0.4, w.shape)
            for w in model.weights
        ]
    )
    return model


NETWORKS = [name for name in architectures.__all__ if name[0].islower()]


@pytest.mark.parametrize("name", [n for n in NETWORKS if n not in ("get", "tell_apart")])
def test_every_architecture_is_computed_alike(name):
    check(getattr(architectures, name)(), rows=2)


@settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(recipes(), st.integers(0, 2**31))
def test_drawn_graphs_are_computed_alike(recipe, seed):
    check(drawn_model(recipe, seed))


IMAGE_LAYERS = [
    layers.Conv2D(4, 3, strides=2, padding="same", activation="gelu"),
    layers.Conv2D(4, (2, 3), padding=((2, 0), (0, 1)), dilation_rate=2, groups=2, use_bias=False),
    layers.DepthwiseConv2D(3, depth_multiplier=2, strides=(2, 1), padding="same"),
    layers.SeparableConv2D(5, 3, padding="same", depth_multiplier=2, activation="softmax"),
    layers.Conv2DTranspose(3, 3, strides=2, padding="same"),
    layers.Conv2DTranspose(3, 2, strides=3, padding="valid", activation="mish"),
    layers.Conv2DTranspose(3, (3, 4), strides=2, padding=1, output_padding=1),
    layers.Conv2DTranspose(2, 2, dilation_rate=2, padding="same"),
    layers.Conv2DTranspose(2, 1, strides=2, padding="same"),
    *(
        kind(**options)
        for kind in (layers.MaxPooling2D, layers.AveragePooling2D, layers.L2Pooling2D)
        for options in (
            {},
            {"pool_size": 3, "strides": 2, "padding": "same"},
            {"pool_size": 3, "strides": 2, "padding": ((1, 0), (0, 1)), "ceil_mode": True},
            {"pool_size": 2, "strides": 1, "padding": 2, "dilation_rate": 3},
        )
    ),
    layers.AveragePooling2D(3, 2, padding=1, count_include_pad=True),
    layers.AveragePooling2D(3, 2, padding=1, count_include_pad=True, ceil_mode=True),
    layers.AveragePooling2D(2, 1, padding=1, count_include_pad=True, dilation_rate=2),
    layers.GlobalAveragePooling2D(keepdims=True),
    layers.GlobalMaxPooling2D(),
    layers.UpSampling2D((2, 3)),
    layers.UpSampling2D((3, 2), interpolation="bilinear"),
    layers.ZeroPadding2D(((1, 2), (0, 3))),
    layers.Cropping2D(((1, 0), (2, 1))),
    layers.CenterCrop(4, 5),
    layers.CenterCrop(20, 5),
    layers.RandomCrop(5, 4),
    layers.RandomFlip(),
    layers.Resizing(5, 12),
    layers.Resizing(5, 12, interpolation="nearest"),
    layers.Resizing(13, 4, interpolation="bicubic"),
    layers.Resizing(13, 4, interpolation="lanczos3"),
    layers.Resizing(5, 4, antialias=True),
    layers.Resizing(6, 12, crop_to_aspect_ratio=True),
    layers.Resizing(6, 12, pad_to_aspect_ratio=True, fill_value=2.0),
    layers.BatchNormalization(scale=False),
    layers.BatchNormalization(center=False),
    layers.LayerNormalization(),
    layers.LayerNormalization(axis=(1, 2)),
    layers.GroupNormalization(2),
    layers.GroupNormalization(-1),
    layers.GroupNormalization(3, axis=1),
    layers.UnitNormalization(),
    layers.UnitNormalization(axis=(1, 3)),
    layers.Normalization(mean=[1, 2, 3, 4], variance=[1, 4, 9, 16]),
    layers.Normalization(mean=1.0, variance=4.0, axis=None, invert=True),
    layers.Rescaling([1, 2, 3, 4], offset=-1),
    layers.PReLU(),
    layers.PReLU(shared_axes=(1, 2)),
    layers.Softmax(),
    layers.Softmax(axis=1),
    layers.Softmax(axis=(1, 2)),
    layers.Flatten(),
    layers.Reshape((3, -1)),
    layers.Permute((3, 1, 2)),
    layers.Dense(3, activation="tanh"),
    layers.Dense(3, use_bias=False),
    layers.SpatialDropout2D(0.5),
]


@pytest.mark.parametrize("layer", IMAGE_LAYERS, ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize("first", [True, False])
def test_layers_on_images_are_computed_alike(layer, first):
    """As the first layer, and behind one that leaves its channels first."""
    x = layers.Input((9, 8, 4))
    y = x if first else layers.Conv2D(4, 1)(x)
    layer = type(layer).from_config({**layer.get_config(), "name": f"tried_{first}"})
    check(with_drawn_weights(models.Model(x, layer(y))))


@pytest.mark.parametrize(
    "activation",
    [
        *("relu", "relu6", "sigmoid", "tanh", "softmax", "leaky_relu", "elu", "selu", "gelu"),
        *("silu", "softplus", "softsign", "hard_sigmoid", "hard_silu", "mish", "exponential"),
        "log_softmax",
        fastconv.activations.Gelu(approximate=True),
        fastconv.activations.Relu(0.1, 2.0, 0.5),
        fastconv.activations.Relu(0.0, 2.0, 0.5),
        fastconv.activations.Elu(0.3),
    ],
    ids=str,
)
def test_activations_are_computed_alike(activation):
    x = layers.Input((4, 3, 5))
    check(models.Model(x, layers.Activation(activation)(layers.Conv2D(5, 1)(x))))


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dense(3),
        layers.BatchNormalization(),
        layers.RepeatVector(3),
        layers.LayerNormalization(),
        layers.Dropout(0.5),
        layers.ReLU(6.0, 0.1, 1.0),
        layers.LeakyReLU(),
        layers.ELU(),
        layers.Identity(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_on_vectors_are_computed_alike(layer):
    x = layers.Input((7,))
    check(with_drawn_weights(models.Model(x, layer(x))))


def test_batch_normalization_of_sequences_is_computed_alike():
    x = layers.Input((5, 3))
    check(with_drawn_weights(models.Model(x, layers.BatchNormalization()(x))))


def test_merges_are_computed_alike():
    x, vector = layers.Input((4, 5, 3)), layers.Input((3,))
    y = layers.Conv2D(3, 1)(x)
    merged = [
        layers.Multiply()([y, vector]),  # fastconv puts the axes of 1 behind the batch
        layers.Subtract()([x, y]),
        layers.Average()([x, y, y]),
        layers.Maximum()([x, y]),
        layers.Minimum()([vector, y]),
        layers.Concatenate(axis=1)([x, y]),
        layers.Concatenate()([layers.Conv2D(2, 1)(x), y]),
        layers.Dot((3, 1))([y, vector]),
        layers.Dot(1, normalize=True)([vector, vector]),
        y,
        x,
    ]
    check(models.Model([x, vector], merged))


def test_images_of_any_size_stay_so():
    x = layers.Input((None, None, 3))
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    y = layers.MaxPooling2D(3, 2, padding="same")(y)
    y = layers.UpSampling2D()(layers.SeparableConv2D(4, 3, padding="same", strides=2)(y))
    model = models.Model(x, layers.GlobalAveragePooling2D()(layers.Conv2DTranspose(2, 3)(y)))
    check(model, size=11)
    check(model, size=14)
    x = layers.Input((None, 5, 3))
    pooled = models.Model(x, layers.AveragePooling2D(2, ceil_mode=True)(x))
    with pytest.raises(ValueError, match="are not known; give Input every size"):
        model_proto(pooled)


def test_shared_layers_have_their_weights_once():
    shared = layers.Dense(4)
    x, y = layers.Input((4,)), layers.Input((4,))
    model = models.Model([x, y], layers.Add()([shared(x), shared(shared(y))]))
    check(model)
    sizes = [tuple(one.dims) for one in model_proto(model).graph.initializer]
    assert sizes.count((4, 4)) == 1


def test_what_has_no_form_is_named_all_at_once(tmp_path):
    class Mine(layers.Dense):
        pass

    x = layers.Input((4,))
    y = layers.Lambda(lambda v: v * 2, name="twice")(x)
    y = layers.Dense(2, activation=lambda z: (z, lambda dy: dy), name="own")(Mine(3, name="m")(y))
    model = models.Model(x, layers.Dropout(0.5, name="always")(y, training=True))
    with pytest.raises(NotImplementedError, match=r"'twice'.*'m'.*activation.*'own'.*'always'"):
        model.export(tmp_path / "m.onnx")
    assert not os.listdir(tmp_path)


def test_an_unbuilt_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not built"):
        models.Sequential([layers.Dense(3)]).export(tmp_path / "m.onnx")


def test_names_and_facts_are_in_the_file(tmp_path):
    x = layers.Input((4,), name="photo")
    y = layers.Dense(2, name="told")(x)
    model = models.Model(x, [y, x])
    model.class_names = ["고양이", "dog"]
    model.metadata["note"] = {"a": 1}
    path = tmp_path / "m.onnx"
    path.write_bytes(b"old")
    model.export(path, format="onnx")
    proto = onnx.load(path)
    assert [one.name for one in proto.graph.input] == ["photo"]
    assert next(one.name for one in proto.graph.output) == "told"
    facts = {one.key: json.loads(one.value) for one in proto.metadata_props}
    assert facts == {"class_names": ["고양이", "dog"], "metadata": {"note": {"a": 1}}}
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert os.listdir(tmp_path) == ["m.onnx"]


def test_other_formats_are_refused(tmp_path):
    model = models.Sequential([layers.Dense(1, input_shape=(2,))])
    with pytest.raises(ValueError, match="format is 'tf_saved_model'; it must be 'onnx'"):
        model.export(tmp_path / "m", format="tf_saved_model")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        fastconv.onnx.export(model, tmp_path / "none" / "m.onnx")
