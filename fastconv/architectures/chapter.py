"""The chapter's four models for photographs of dogs and cats, with their training recipes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..layers import Conv2D, Dense, Dropout, Flatten, Layer, MaxPooling2D
from ..models import Model, Sequential
from .architecture import Architecture, Size
from .recipes import AUGMENTATION, Recipe


def _chain(layers: Callable[[Size], Sequence[Layer]]) -> Callable[[Size, Dense, str], Model]:
    """Return what makes a `Sequential` of the layers before the last one, for images of a size."""

    def make(input_shape: Size, head: Dense, name: str) -> Model:
        return Sequential([*layers(input_shape), head], name=name)

    return make


def _model1_layers(input_shape: Size) -> list[Layer]:
    return [
        Conv2D(32, (3, 3), activation="relu", input_shape=input_shape),
        MaxPooling2D((2, 2)),
        Flatten(),
    ]


def _model2_layers(input_shape: Size) -> list[Layer]:
    return [
        Conv2D(32, (3, 3), activation="relu", input_shape=input_shape),
        MaxPooling2D((2, 2)),
        Conv2D(32, (3, 3), activation="relu"),
        MaxPooling2D((2, 2)),
        Flatten(),
    ]


def _model4_layers(input_shape: Size) -> list[Layer]:
    return [
        Conv2D(32, (3, 3), activation="relu", input_shape=input_shape),
        MaxPooling2D((2, 2)),
        Conv2D(64, (3, 3), activation="relu"),
        MaxPooling2D((2, 2)),
        Conv2D(128, (3, 3), activation="relu"),
        MaxPooling2D((2, 2)),
        Flatten(),
        Dropout(0.5),
        Dense(512, activation="relu"),
    ]


model1 = Architecture("model1", Recipe("model1.npz"), _chain(_model1_layers))
model2 = Architecture("model2", Recipe("model2.npz"), _chain(_model2_layers))
model3 = Architecture(
    "model3", Recipe("model3.npz", augmentation=AUGMENTATION), _chain(_model2_layers)
)
model4 = Architecture(
    "model4",
    Recipe("model4-{epoch:02d}.npz", optimizer="rmsprop", learning_rate=1e-4, patience=None),
    _chain(_model4_layers),
)
