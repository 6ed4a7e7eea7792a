"""Whole models: the same weights and batches must train alike here and in Keras 3."""

import numpy as np
import pytest
from keras_reference import import_keras, keras_test

from fastconv import layers, models, optimizers


def build(kind, sequential, pool):
    return sequential(
        [
            kind.Input((16, 16, 3)),
            kind.Conv2D(8, 3, activation="relu"),
            kind.MaxPooling2D(2),
            kind.Conv2D(8, 3, padding="same", use_bias=False),
            kind.BatchNormalization(),
            kind.ReLU(),
            kind.AveragePooling2D(2, 1),
            kind.Conv2D(4, 3, strides=2, activation="leaky_relu"),
            getattr(kind, pool)(),
            kind.Dense(8, activation="tanh"),
            kind.Dense(4, activation="softmax"),
        ]
    )


@keras_test
@pytest.mark.parametrize(
    ("optimizer", "pool"),
    [("SGD", "Flatten"), ("Adam", "GlobalAveragePooling2D"), ("RMSprop", "GlobalMaxPooling2D")],
)
def test_trains_as_in_keras(optimizer, pool):
    """Adam and RMSprop divide by the gradient's size, which magnifies rounding where it is small:
    hence 1e-4 on weights that each move by about 0.01 a step."""
    keras = import_keras()
    theirs = build(keras.layers, keras.Sequential, pool)
    ours = build(layers, models.Sequential, pool)
    ours.set_weights(theirs.get_weights())
    for model, kind in ((theirs, keras.optimizers), (ours, optimizers)):
        model.compile(
            optimizer=getattr(kind, optimizer)(0.01),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
    rng = np.random.default_rng(0)
    for _ in range(6):
        x = rng.normal(size=(16, 16, 16, 3)).astype(np.float32)
        y = rng.integers(0, 4, 16)
        theirs.reset_metrics()
        expected = [float(value) for value in theirs.train_on_batch(x, y)]
        assert ours.train_on_batch(x, y) == pytest.approx(expected, rel=1e-5)
    for mine, weight in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, weight, atol=1e-4)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x, verbose=0), atol=1e-4)
