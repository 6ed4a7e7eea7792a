"""The chapter's four models for photographs of dogs and cats, with their training recipes.

>>> from fastconv import architectures
>>> model = architectures.model3()
>>> model.count_params()
27073
>>> architectures.model3.recipe.patience
2
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from . import optimizers
from ._core.registry import unknown
from ._core.validation import wrong_value
from .callbacks import Callback, EarlyStopping, ModelCheckpoint
from .layers import Conv2D, Dense, Dropout, Flatten, Layer, MaxPooling2D
from .models import Sequential

#: Arguments of ImageDataGenerator: how the chapter varies its photographs.
AUGMENTATION: Mapping[str, Any] = MappingProxyType(
    {
        "rotation_range": 40,
        "width_shift_range": 0.2,
        "height_shift_range": 0.2,
        "shear_range": 0.2,
        "zoom_range": 0.2,
        "horizontal_flip": True,
    }
)


@dataclass(frozen=True)
class Recipe:
    """How the chapter trains an architecture.

    `augmentation` holds arguments of `ImageDataGenerator` (none: the photos as
    they are), `patience` the epochs without a better validation loss before
    the training stops (None: it does not), `checkpoint` the pattern of the
    files that the best models go to.
    """

    checkpoint: str
    optimizer: str = "adam"
    learning_rate: float = 0.001
    augmentation: Mapping[str, Any] = field(default_factory=dict)
    patience: int | None = 2
    epochs: int = 30
    batch_size: int = 32
    rescale: float = 1 / 255
    loss: str = "binary_crossentropy"
    metrics: tuple[str, ...] = ("accuracy",)

    def compile(self, model: Sequential) -> Sequential:
        """Compile `model` as the recipe says, and return it.

        A model of more than two classes gets the loss "categorical_crossentropy".
        """
        optimizer = optimizers.get(self.optimizer)
        optimizer.learning_rate = self.learning_rate
        loss = self.loss_for(model.output_shape[-1])
        model.compile(optimizer=optimizer, loss=loss, metrics=list(self.metrics))
        return model

    def loss_for(self, units: int | None) -> str:
        """Return the loss of a model whose last layer has so many units."""
        return self.loss if units == 1 else "categorical_crossentropy"

    def callbacks(self) -> list[Callback]:
        """Return new callbacks: early stopping, if any, and the best model's checkpoint."""
        stopping = [] if self.patience is None else [EarlyStopping(patience=self.patience)]
        return [*stopping, ModelCheckpoint(self.checkpoint, save_best_only=True)]


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
        if classes < 2:
            raise wrong_value(classes, "classes", self.name, "at least 2")
        return Sequential([*self.layers(input_shape), _head(classes)], name=self.name)


def _head(classes: int) -> Dense:
    return Dense(1, activation="sigmoid") if classes == 2 else Dense(classes, activation="softmax")


def tell_apart(model: Sequential, classes: int) -> None:
    """Let an architecture's compiled model have `classes` classes; its last layer is new."""
    model.pop()
    model.add(_head(classes))
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
