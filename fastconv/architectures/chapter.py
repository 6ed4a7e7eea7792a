"""The chapter's four models for photographs of dogs and cats, with their training recipes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from .._core.registry import unknown
from ..layers import Conv2D, Dense, Dropout, Flatten, Layer, MaxPooling2D
from ..models import Sequential
from .parts import class_layer
from .recipes import AUGMENTATION, Recipe


@dataclass(frozen=True)
class Architecture:
    """A model that can be made for any size of image, and its recipe.

    Calling it, `architectures.model1(input_shape=(100, 100, 3), classes=2)`,
    returns an uncompiled `Sequential` with new weights. The chapter's two
    classes are one unit with a sigmoid, more are a unit each with a softmax.

    `layers` gives the layers before the last one.
    """

    name: str
    recipe: Recipe
    layers: Callable[[tuple[int, int, int]], Sequence[Layer]]

    def __call__(
        self, input_shape: tuple[int, int, int] = (100, 100, 3), classes: int = 2
    ) -> Sequential:
        head = class_layer(classes, self.name)
        return Sequential([*self.layers(input_shape), head], name=self.name)


def tell_apart(model: Sequential, classes: int) -> None:
    """Let an architecture's compiled model have `classes` classes; its last layer is new."""
    model.pop()
    model.add(class_layer(classes, model.name))
    loss = get(model.name).recipe.loss_for(model.output_shape[-1])
    model.compile(optimizer=model.optimizer, loss=loss, metrics=model.metrics)


def _model1_layers(input_shape: tuple[int, int, int]) -> list[Layer]:
    return [
        Conv2D(32, (3, 3), activation="relu", input_shape=input_shape),
        MaxPooling2D((2, 2)),
        Flatten(),
    ]


def _model2_layers(input_shape: tuple[int, int, int]) -> list[Layer]:
    return [
        Conv2D(32, (3, 3), activation="relu", input_shape=input_shape),
        MaxPooling2D((2, 2)),
        Conv2D(32, (3, 3), activation="relu"),
        MaxPooling2D((2, 2)),
        Flatten(),
    ]


def _model4_layers(input_shape: tuple[int, int, int]) -> list[Layer]:
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


model1 = Architecture("model1", Recipe("model1.npz"), _model1_layers)
model2 = Architecture("model2", Recipe("model2.npz"), _model2_layers)
model3 = Architecture("model3", Recipe("model3.npz", augmentation=AUGMENTATION), _model2_layers)
model4 = Architecture(
    "model4",
    Recipe("model4-{epoch:02d}.npz", optimizer="rmsprop", learning_rate=1e-4, patience=None),
    _model4_layers,
)

#: All of them by name.
ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {architecture.name: architecture for architecture in (model1, model2, model3, model4)}
)


def get(name: str) -> Architecture:
    """Return the architecture of that name, or raise ValueError."""
    if name not in ARCHITECTURES:
        raise unknown("architecture", name, ARCHITECTURES, "architectures")
    return ARCHITECTURES[name]
