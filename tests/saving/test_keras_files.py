"""Keras 3's own files: it loads what fastconv saves, and fastconv what it saves."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras_reference import import_keras, keras_test
from random_graphs import drawn_model, recipes

import fastconv
from fastconv import layers, models
from fastconv.layers import Conv2D, Dense, Flatten, Input
from fastconv.models import Model, Sequential, load_model

pytest.importorskip("h5py", reason="Keras's files are HDF5")

pytestmark = keras_test

LAYERS = {
    "activations": lambda k: [
        k.Activation("gelu"),
        k.ReLU(max_value=6.0),
        k.LeakyReLU(negative_slope=0.2),
        k.PReLU(shared_axes=[1, 2]),
        k.ELU(0.5),
        k.Softmax(),
        k.Activation("silu"),
    ],
    "convolutions": lambda k: [
        k.Conv2D(4, 3, strides=2, padding="same", activation="relu", kernel_regularizer="l2"),
        k.DepthwiseConv2D(3, depth_multiplier=2, padding="same", use_bias=False),
        k.SeparableConv2D(4, (3, 2), activation="tanh", depth_multiplier=2),
        k.Conv2DTranspose(4, 3, strides=2, padding="same"),
        k.Conv2D(4, 3, dilation_rate=2, groups=2, kernel_constraint="non_neg"),
    ],
    "pooling and size": lambda k: [
        k.ZeroPadding2D(((1, 2), (0, 3))),
        k.MaxPooling2D(2, strides=1, padding="same"),
        k.AveragePooling2D(2),
        k.UpSampling2D(2, interpolation="bilinear"),
        k.Cropping2D(1),
        k.Resizing(9, 7),
        k.CenterCrop(6, 6),
        k.GlobalMaxPooling2D(keepdims=True),
        k.Flatten(),
    ],
    "normalizations": lambda k: [
        k.BatchNormalization(momentum=0.9, scale=False),
        k.LayerNormalization(),
        k.GroupNormalization(3),
        k.Rescaling(0.5, offset=-1),
        k.UnitNormalization(),
        k.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0]),
        k.Normalization(),
    ],
    "noise and images": lambda k: [
        k.Dropout(0.3, seed=1),
        k.SpatialDropout2D(0.1),
        k.GaussianNoise(0.1),
        k.RandomFlip("horizontal"),
        k.RandomRotation(0.1),
        k.RandomTranslation(0.1, 0.2),
        k.RandomZoom(0.1),
        k.RandomContrast(0.2),
        k.Identity(),
        k.GlobalAveragePooling2D(),
        k.RepeatVector(2),
        k.Permute((2, 1)),
        k.Reshape((6,)),
        k.Dense(3, use_bias=False, activation="softplus"),
    ],
}


def numbers(shapes, rows=2):
    rng = np.random.default_rng(3)
    return [rng.normal(size=(rows, *shape)).astype(np.float32) for shape in shapes]


def stirred(model):
    """Give every weight of a model, fastconv's or Keras's, numbers of its own."""
    rng = np.random.default_rng(5)
    weights = [rng.uniform(0.2, 1.0, w.shape).astype(np.float32) for w in model.get_weights()]
    model.set_weights(weights)
    return model


def outputs(model, inputs):
    """Return a model's predictions as a list of arrays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = model.predict(inputs[0] if len(inputs) == 1 else inputs, verbose=0)
    return [np.asarray(one) for one in (found if isinstance(found, (list, tuple)) else [found])]


def assert_agree(first, second, inputs, tolerance=1e-4):
    for a, b in zip(outputs(first, inputs), outputs(second, inputs), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def keras_loads(keras, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return keras.models.load_model(path)


def save_with_keras(model, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer_goes_to_keras_and_comes_back(kind, suffix, tmp_path):
    keras = import_keras()
    ours = stirred(Sequential([Input((12, 12, 3)), *LAYERS[kind](layers)]))
    ours.save(tmp_path / f"ours.{suffix}")
    theirs = keras_loads(keras, tmp_path / f"ours.{suffix}")
    inputs = numbers([(12, 12, 3)])
    assert_agree(ours, theirs, inputs)
    if (kind, suffix) == ("noise and images", "h5"):
        return  # Keras cannot write its image layers to HDF5: it copies a module, which fails
    save_with_keras(theirs, tmp_path / f"theirs.{suffix}")
    assert_agree(load_model(tmp_path / f"theirs.{suffix}"), theirs, inputs)


def branching(library, model_class):
    k = library
    photo, facts = k.Input((8, 8, 3), name="photo"), k.Input((4,), name="facts")
    inner_in = k.Input((8, 8, 4))
    inner = model_class(
        inner_in, k.BatchNormalization()(k.Conv2D(4, 3, padding="same")(inner_in)), name="inner"
    )
    shared = k.Dense(5, activation="tanh", name="shared")
    x = inner(inner(k.Conv2D(4, 3, padding="same", activation="relu")(photo)))
    a = shared(k.GlobalAveragePooling2D()(x))
    b = shared(facts)
    both = k.Concatenate()([a, b, k.Multiply()([a, b]), k.Subtract()([a, b])])
    return model_class([photo, facts], [k.Dense(2, name="two")(both), k.Maximum()([a, b])])


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_graphs_with_models_within_shared_layers_and_several_ends(suffix, tmp_path):
    keras = import_keras()
    ours, theirs = branching(layers, Model), branching(keras.layers, keras.Model)
    inputs = numbers([(8, 8, 3), (4,)])
    stirred(ours).save(tmp_path / f"ours.{suffix}")
    assert_agree(ours, keras_loads(keras, tmp_path / f"ours.{suffix}"), inputs)
    stirred(theirs)
    save_with_keras(theirs, tmp_path / f"theirs.{suffix}")
    loaded = load_model(tmp_path / f"theirs.{suffix}")
    assert_agree(loaded, theirs, inputs)
    assert loaded.get_layer("shared").count_params() == 25


@given(recipe=recipes(most=8), seed=st.integers(0, 99), suffix=st.sampled_from(["keras", "h5"]))
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_any_graph_goes_to_keras_and_comes_back(recipe, seed, suffix, tmp_path_factory):
    keras = import_keras()
    folder = tmp_path_factory.mktemp("graph")
    ours = drawn_model(recipe, seed)
    inputs = numbers([tensor.shape[1:] for tensor in ours.inputs])
    ours.save(folder / f"ours.{suffix}")
    theirs = keras_loads(keras, folder / f"ours.{suffix}")
    assert_agree(ours, theirs, inputs, 2e-3)
    save_with_keras(theirs, folder / f"theirs.{suffix}")
    assert_agree(load_model(folder / f"theirs.{suffix}"), theirs, inputs, 2e-3)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_compile_arguments_are_kept(suffix, tmp_path):
    keras = import_keras()
    k = keras.layers
    theirs = keras.Sequential([k.Input((4,)), k.Dense(3, activation="softmax")])
    theirs.compile(
        keras.optimizers.SGD(0.25, momentum=0.5, nesterov=True),
        keras.losses.CategoricalCrossentropy(label_smoothing=0.25),
        metrics=["accuracy"],
    )
    save_with_keras(theirs, tmp_path / f"a.{suffix}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = load_model(tmp_path / f"a.{suffix}")
    assert ours.optimizer.momentum == 0.5 and ours.optimizer.nesterov
    assert ours.optimizer.learning_rate == 0.25
    assert ours.loss.label_smoothing == 0.25
    ours.save(tmp_path / f"b.{suffix}")
    back = keras_loads(keras, tmp_path / f"b.{suffix}")
    x, y = numbers([(4,)], rows=8)[0], np.eye(3, dtype=np.float32)[np.arange(8) % 3]
    assert back.optimizer.momentum == 0.5
    expected = back.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(ours.evaluate(x, y, verbose=0), expected, rtol=1e-5)


def test_weights_alone_go_both_ways(tmp_path):
    keras = import_keras()
    k = keras.layers
    ours = stirred(Sequential([Input((8, 8, 3)), Conv2D(4, 3), Flatten(), Dense(2)]))
    theirs = keras.Sequential([k.Input((8, 8, 3)), k.Conv2D(4, 3), k.Flatten(), k.Dense(2)])
    ours.save_weights(tmp_path / "a.weights.h5")
    theirs.load_weights(tmp_path / "a.weights.h5")
    assert_agree(ours, theirs, numbers([(8, 8, 3)]))
    theirs.set_weights([weight * 2 for weight in theirs.get_weights()])
    theirs.save_weights(tmp_path / "b.weights.h5")
    ours.load_weights(tmp_path / "b.weights.h5")
    assert_agree(ours, theirs, numbers([(8, 8, 3)]))
    ours.save_weights(tmp_path / "c.h5")
    theirs.load_weights(tmp_path / "c.h5")


def test_architectures_go_to_keras(tmp_path):
    keras = import_keras()
    networks = fastconv.architectures
    for make in (networks.model2, networks.resnet20, networks.pawnet, networks.unet):
        ours = make((32, 32, 3))
        ours.save(tmp_path / "a.keras")
        theirs = keras_loads(keras, tmp_path / "a.keras")
        assert theirs.count_params() == ours.count_params()
        assert_agree(ours, theirs, numbers([(32, 32, 3)]))


def test_what_fastconv_has_not_is_refused_by_name(tmp_path):
    keras = import_keras()
    k = keras.layers
    cases = {
        "LSTM 'memory'": [k.Input((4, 2)), k.LSTM(2, name="memory")],
        "Lambda 'mine'": [k.Input((4,)), k.Lambda(lambda x: x * 2, name="mine")],
        "Dense 'half'": [k.Input((4,)), k.Dense(2, name="half", dtype="mixed_float16")],
    }
    for suffix in ("keras", "h5"):
        for said, stack in cases.items():
            model = keras.Sequential(stack)
            save_with_keras(model, tmp_path / f"a.{suffix}")
            with pytest.raises(models.CheckpointError, match=said):
                load_model(tmp_path / f"a.{suffix}")
