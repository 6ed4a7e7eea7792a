"""A whole model's training, step by step, beside Keras 3 on its PyTorch backend."""

from __future__ import annotations

import numpy as np
import pytest
from keras_reference import import_keras, keras_test
from small_models import convnet, photos

from fastconv import optimizers

keras = import_keras()


@keras_test
@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_ten_steps_are_those_of_keras(name):
    ours = convnet(dropout=0.0, optimizer=getattr(optimizers, name)(0.01))
    theirs = keras.Sequential(
        [
            keras.layers.Input((12, 12, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    theirs.compile(
        getattr(keras.optimizers, name)(0.01), "binary_crossentropy", metrics=["accuracy"]
    )
    theirs.set_weights(ours.get_weights())
    x, y = photos(30)
    mine = ours.fit(x, y, batch_size=3, epochs=2, shuffle=False, validation_split=0.5, verbose=0)
    other = theirs.fit(x, y, batch_size=3, epochs=2, shuffle=False, validation_split=0.5, verbose=0)
    for key, values in other.history.items():
        np.testing.assert_allclose(mine.history[key], values, rtol=2e-3, atol=1e-5, err_msg=key)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)
    np.testing.assert_allclose(
        ours.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=1e-3
    )
