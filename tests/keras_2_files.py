"""Files in the layout of Keras 2.2 to 2.4, written by hand with h5py."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastconv.layers import BatchNormalization, Conv2D, Dense, Flatten, Input
from fastconv.models import Sequential

h5py = pytest.importorskip("h5py", reason="Keras's files are HDF5")

CONV = {
    "name": "conv2d_1",
    "trainable": True,
    "filters": 4,
    "kernel_size": [3, 3],
    "strides": [1, 1],
    "padding": "valid",
    "data_format": "channels_last",
    "dilation_rate": [1, 1],
    "activation": "relu",
    "use_bias": True,
    "kernel_initializer": {
        "class_name": "VarianceScaling",
        "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None},
    },
    "bias_initializer": {"class_name": "Zeros", "config": {}},
    "kernel_regularizer": {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}},
    "bias_regularizer": None,
    "activity_regularizer": None,
    "kernel_constraint": None,
    "bias_constraint": None,
}
NORMALIZATION = {"name": "batch_normalization_1", "trainable": True, "axis": [3], "epsilon": 0.001}
DENSE = {"name": "dense_1", "trainable": True, "units": 2, "activation": "softmax"}
FLATTEN = {"name": "flatten_1", "trainable": True, "data_format": "channels_last"}
TRAINING = {
    "optimizer_config": {
        "class_name": "RMSprop",
        "config": {"lr": 0.0001, "rho": 0.9, "decay": 0.0, "epsilon": 1e-07},
    },
    "loss": "binary_crossentropy",
    "metrics": ["acc"],
    "sample_weight_mode": None,
    "loss_weights": None,
}


def entry(kind, config, **more):
    return {"class_name": kind, "config": {**config, **more}}


def stack(first_shape=(None, 6, 6, 3)):
    return [
        entry("Conv2D", CONV, batch_input_shape=list(first_shape), dtype="float32"),
        entry("BatchNormalization", NORMALIZATION),
        entry("Flatten", FLATTEN),
        entry("Dense", DENSE),
    ]


def twin():
    """Return fastconv's model of the same layers, with weights."""
    model = Sequential(
        [
            Input((6, 6, 3)),
            Conv2D(4, 3, activation="relu", name="conv2d_1"),
            BatchNormalization(name="batch_normalization_1"),
            Flatten(name="flatten_1"),
            Dense(2, activation="softmax", name="dense_1"),
        ]
    )
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.2, 1, w.shape) for w in model.get_weights()])
    return model


def put_weights(group, model, suffix=":0"):
    """Write a model's weights in Keras 2's layout, names as bytes."""
    group.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
    group.attrs["backend"], group.attrs["keras_version"] = b"tensorflow", b"2.2.4"
    for layer in model.layers:
        own = group.create_group(layer.name)
        weights = [*layer.trainable_weights, *layer.non_trainable_weights]
        paths = {id(weight): path for path, weight in layer._weight_paths()}
        names = []
        for weight in weights:
            path = paths[id(weight)]
            names.append(path + suffix if "/" in path else f"{layer.name}/{path}{suffix}")
        own.attrs["weight_names"] = [name.encode() for name in names]
        for name, weight in zip(names, weights, strict=True):
            own.create_dataset(name, data=weight.value)


def write(path, config, model, training=None, as_text=bytes):
    def told(value):
        text = json.dumps(value)
        return text.encode() if as_text is bytes else text

    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = told(config)
        file.attrs["keras_version"] = b"2.2.4"
        if training is not None:
            file.attrs["training_config"] = told(training)
        put_weights(file.create_group("model_weights"), model)
