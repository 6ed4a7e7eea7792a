"""Files in the layout of Keras 2.2 to 2.4, written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from keras_2_files import (
    CONV,
    DENSE,
    FLATTEN,
    TRAINING,
    entry,
    h5py,
    put_weights,
    stack,
    twin,
    write,
)

from fastconv.layers import Add, Dense, Flatten, Input
from fastconv.models import CheckpointError, Model, Sequential, load_model


def x(rows=2):
    return np.random.default_rng(1).random((rows, 6, 6, 3), dtype=np.float32)


@pytest.mark.parametrize("as_text", [bytes, str])
@pytest.mark.parametrize("as_list", [True, False])
def test_a_sequential_and_how_it_was_compiled(as_text, as_list, tmp_path):
    layers = stack() if as_list else {"name": "sequential_1", "layers": stack()}
    write(
        tmp_path / "m.hdf5",
        {"class_name": "Sequential", "config": layers},
        twin(),
        TRAINING,
        as_text,
    )
    model = load_model(tmp_path / "m.hdf5")
    np.testing.assert_array_equal(model.predict(x(), verbose=0), twin().predict(x(), verbose=0))
    assert type(model.optimizer).__name__ == "RMSprop"
    assert model.optimizer.learning_rate == pytest.approx(1e-4)
    assert [layer.name for layer in model.layers] == [layer.name for layer in twin().layers]
    assert not load_model(tmp_path / "m.hdf5", compile=False).compiled


def test_the_order_of_keras_2_is_known_by_the_content_not_the_suffix(tmp_path):
    write(tmp_path / "m.npz", {"class_name": "Sequential", "config": stack()}, twin())
    model = load_model(tmp_path / "m.npz")
    weights = {f"{w.name}": w.value for w in model.layers[1].weights}
    assert list(weights) == ["gamma", "beta", "moving_mean", "moving_variance"]
    for (name, value), expected in zip(weights.items(), twin().layers[1].weights, strict=True):
        assert name == expected.name
        np.testing.assert_array_equal(value, expected.value)


def test_a_graph_with_a_model_within_whose_calls_count_from_one(tmp_path):
    inner = {"class_name": "Sequential", "config": {"name": "inner", "layers": stack()[:2]}}
    shape = {"batch_input_shape": [None, 6, 6, 3], "dtype": "float32", "sparse": False}
    merge = [["dense_1", 0, 0, {}], ["dense_1", 1, 0, {}]]
    named = [
        {**entry("InputLayer", shape, name="left"), "name": "left", "inbound_nodes": []},
        {**entry("InputLayer", shape, name="right"), "name": "right", "inbound_nodes": []},
        {
            **inner,
            "name": "inner",
            "inbound_nodes": [[["left", 0, 0, {}]], [["right", 0, 0, {"training": None}]]],
        },
        {
            **entry("Flatten", FLATTEN),
            "name": "flatten_1",
            "inbound_nodes": [[["inner", 1, 0, {}]], [["inner", 2, 0, {}]]],
        },
        {
            **entry("Dense", DENSE),
            "name": "dense_1",
            "inbound_nodes": [[["flatten_1", 0, 0, {}]], [["flatten_1", 1, 0, {}]]],
        },
        {**entry("Add", {"name": "add_1"}), "name": "add_1", "inbound_nodes": [merge]},
    ]
    config = {
        "name": "model_1",
        "layers": named,
        "input_layers": [["left", 0, 0], ["right", 0, 0]],
        "output_layers": [["add_1", 0, 0]],
    }
    within = Sequential([Input((6, 6, 3)), *twin().layers[:2]], name="inner")
    left, right = Input((6, 6, 3), name="left"), Input((6, 6, 3), name="right")
    flat, dense = Flatten(name="flatten_1"), Dense(2, activation="softmax", name="dense_1")
    ends = [dense(flat(within(one))) for one in (left, right)]
    expected = Model([left, right], Add(name="add_1")(ends))
    rng = np.random.default_rng(0)
    expected.set_weights([rng.uniform(0.2, 1, w.shape) for w in expected.get_weights()])
    write(tmp_path / "m.h5", {"class_name": "Model", "config": config}, expected)
    model = load_model(tmp_path / "m.h5")
    inputs = [x(), x() * 2]
    np.testing.assert_array_equal(
        model.predict(inputs, verbose=0), expected.predict(inputs, verbose=0)
    )


def test_weights_alone_and_long_lists_of_names_in_parts(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        put_weights(file, twin())
        names = file.attrs["layer_names"]
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:1], names[1:]
    model = twin()
    model.set_weights([weight * 0 for weight in model.get_weights()])
    model.load_weights(tmp_path / "w.h5")
    np.testing.assert_array_equal(model.predict(x(), verbose=0), twin().predict(x(), verbose=0))
    with pytest.raises(CheckpointError, match="holds weights alone"):
        load_model(tmp_path / "w.h5")


@pytest.mark.parametrize(
    "layers, said",
    [
        ([entry("Lambda", {"name": "code", "function": ["4wE=", None, None]})], "Lambda 'code'"),
        ([entry("LSTM", {"name": "memory", "units": 2})], "LSTM 'memory'"),
        ([entry("Dense", DENSE, dtype="float16")], "Dense 'dense_1'.*float16"),
        ([entry("Conv2D", {**CONV, "data_format": "channels_first"})], "'conv2d_1'.*channels_last"),
        ([entry("Dense", DENSE, surprise=3)], "'dense_1'.*surprise=3"),
        ([entry("Dense", {**DENSE, "activation": {"class_name": "__lambda__"}})], "never run"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(layers, said, tmp_path):
    write(tmp_path / "m.h5", {"class_name": "Sequential", "config": layers}, twin())
    with pytest.raises(CheckpointError, match=said):
        load_model(tmp_path / "m.h5")
