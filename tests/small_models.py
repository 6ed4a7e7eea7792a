"""Models and data small enough to train in milliseconds, for the tests of models and commands."""

from __future__ import annotations

import numpy as np

from fastconv.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from fastconv.models import Sequential


def photos(count: int = 40, size: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (count, size, size, 3) float32 images and 0/1 labels that can be learnt from them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    images = rng.random((count, size, size, 3), dtype=np.float32)
    images[labels == 1, :, : size // 2] += 0.5
    return images, labels.astype(np.float32)


def convnet(size: int = 12, dropout: float = 0.25, metrics=("accuracy",), **compile_arguments):
    """Return a compiled Conv2D - MaxPooling2D - Dropout - Dense model."""
    model = Sequential(
        [
            Conv2D(4, 3, activation="relu", input_shape=(size, size, 3)),
            MaxPooling2D(2),
            Flatten(),
            Dropout(dropout),
            Dense(1, activation="sigmoid"),
        ]
    )
    arguments = {"optimizer": "adam", "loss": "binary_crossentropy", **compile_arguments}
    model.compile(metrics=list(metrics), **arguments)
    return model


def same_weights(first: Sequential, second: Sequential) -> bool:
    """Whether two models have the same weights, bit for bit."""
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    return all(a.tobytes() == b.tobytes() for a, b in pairs)


def train_elsewhere(model, history, x, y):
    """Train on in another process, which must be able to import this."""
    model.fit(x, y, epochs=1, shuffle=False, verbose=0)
    return model, model.predict(x, verbose=0), history.history


def predicted(model, x):
    """Predict, for workers of other processes, which import this module."""
    return model.predict(x, verbose=0)
