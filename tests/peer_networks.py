"""A small network with every kind of node that the benches' peers know, and its task."""

from __future__ import annotations

import numpy as np

from fastconv import Model, layers


def networks():
    """Return models for images of (13, 13, 3), compiled: a branching one, and a chain."""
    branching, chain = _branching(), _chain()
    random = np.random.default_rng(1)
    for model, loss in (
        (branching, "sparse_categorical_crossentropy"),
        (chain, "binary_crossentropy"),
    ):
        model.set_weights(
            [
                weight * random.uniform(0.5, 1.5, weight.shape).astype(np.float32)
                + random.uniform(0, 0.1, weight.shape).astype(np.float32)
                for weight in model.get_weights()
            ]
        )
        model.compile("adam", loss=loss)
    return branching, chain


def _branching():
    inputs = layers.Input((13, 13, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(inputs)  # 7 x 7
    x = layers.ReLU()(layers.BatchNormalization()(x))
    y = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
    y = layers.SeparableConv2D(8, 3, strides=2, padding="same")(y)  # 4 x 4
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = layers.Add()([x, y])
    z = layers.Conv2DTranspose(4, 2, strides=2)(x)  # 8 x 8
    z = layers.MaxPooling2D(3, strides=2, padding="same")(z)  # 4 x 4, one side padded
    x = layers.Concatenate()([x, layers.Conv2D(4, 1, activation="relu")(z)])
    x = layers.Dropout(0.0)(layers.GlobalAveragePooling2D()(x))
    return Model(inputs, layers.Dense(5, activation="softmax")(x), name="branching")


def _chain():
    x = inputs = layers.Input((13, 13, 3))
    x = layers.Conv2D(6, 4, activation="relu")(x)
    x = layers.Dropout(0.0)(layers.Flatten()(layers.MaxPooling2D(2)(x)))
    return Model(inputs, layers.Dense(1, activation="sigmoid")(x), name="chain")


def task_of(model, batch=3):
    """Return the model as a task of `batch` random images."""
    from bench.graph import BINARY, SPARSE, NetworkTask, describe

    random = np.random.default_rng(2)
    x = random.random((batch, 13, 13, 3), np.float32)
    sparse = model.output_shape[-1] > 1
    y = random.integers(0, model.output_shape[-1] if sparse else 2, batch)
    return NetworkTask(
        model.name,
        describe(model),
        tuple(model.get_weights()),
        x,
        y.astype(np.int32) if sparse else y.astype(np.float32).reshape(-1, 1),
        SPARSE if sparse else BINARY,
        "adam",
        1e-3,
    )


class Answering:
    """A contender whose predictions are `error` above the images' means."""

    def __init__(self, *, threads, mode, batch_sizes, error=0.0):
        del threads, mode
        self.sizes, self.error = batch_sizes, error

    def prepare(self, task, converted):
        assert converted is None
        means = task.x.mean(axis=(1, 2, 3)) + self.error
        return {"outputs": {size: means[:size] for size in self.sizes}}
