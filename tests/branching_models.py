"""A model with branches, data for it, and its weights' bits: what tests of memory run."""

from __future__ import annotations

import numpy as np

import fastconv
from fastconv import layers, models


def branching_model(*middle, size=12, seed=0):
    """Return a compiled model with branches whose tensors take turns in memory."""
    fastconv.utils.set_random_seed(seed)
    x = layers.Input((size, size, 3))
    y = layers.Conv2D(8, 3, padding="same", activation="relu", name="first")(x)
    for layer in middle:
        y = layer(y)
    z = layers.Conv2D(8, 3, padding="same")(y)
    z = layers.BatchNormalization()(z)
    z = layers.Conv2D(8, 3, padding="same", activation="tanh")(z)
    y = layers.Concatenate()([y, layers.Add()([y, z])])
    y = layers.MaxPooling2D()(y)
    y = layers.Dense(4)(layers.Flatten()(layers.Conv2D(8, 3, activation="relu")(y)))
    model = models.Model(x, y)
    model.compile(fastconv.optimizers.SGD(0.01, momentum=0.9), "mse")
    return model


def regression_data(rows, size=12, seed=0):
    rng = np.random.default_rng([seed, rows])
    x = rng.normal(size=(rows, size, size, 3)).astype(np.float32)
    return x, rng.normal(size=(rows, 4)).astype(np.float32)


def weight_bits(model):
    return [weight.tobytes() for weight in model.get_weights()]
