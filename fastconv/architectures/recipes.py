"""How the chapter trains: what its photographs go through, and the settings of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from .. import optimizers
from ..callbacks import Callback, EarlyStopping, ModelCheckpoint
from ..models import Model

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

    def compile(self, model: Model) -> Model:
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
