"""How networks are trained: what their photographs go through, and the course of the training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from .. import losses, optimizers
from ..callbacks import (
    AugmentationSchedule,
    Callback,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    SwapEMAWeights,
)
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
    """How an architecture is trained.

    The optimizer: `optimizer` and `learning_rate`, `optimizer_options` (further arguments:
    momentum, weight_decay, use_ema ...), `undecayed` (patterns of the names of weights that
    weight decay leaves alone). With `use_ema` validation and checkpoints are of the averages.

    The photos: `rescale`, `interpolation`, `augmentation` (arguments of `ImageDataGenerator`;
    none: the photos as they are); in the last `final_epochs` it is `final_augmentation`. In the
    first `early_epochs` the photos to train on have `early_size` of their height and width; the
    network must take any size.

    The course: `epochs`, `batch_size`, `schedule` of the learning rate (None: it stays; "cosine":
    it falls to 0 along half a cosine, after `warmup_epochs` in which it rises), `patience` (the
    epochs without a better validation loss before the training stops; None: it does not).

    What comes of it: `checkpoint`, the pattern of the files, which the best models go to or,
    without `save_best_only`, the model of the last epoch; `tta` ("flip"), how it is evaluated.
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
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    undecayed: tuple[str, ...] = ()
    label_smoothing: float = 0.0
    schedule: str | None = None
    warmup_epochs: int = 0
    final_epochs: int = 0
    final_augmentation: Mapping[str, Any] = field(default_factory=dict)
    interpolation: str = "nearest"
    early_epochs: int = 0
    early_size: float = 1.0
    save_best_only: bool = True
    tta: str | None = None

    def compile(self, model: Model, steps_per_epoch: int | None = None) -> Model:
        """Compile `model` as the recipe says, and return it.

        A model of more than two classes gets the loss "categorical_crossentropy". With
        `steps_per_epoch` averages of weights fit the run's length: see `shorten_averages`.
        """
        optimizer, loss = self.new_optimizer(), self.loss_for(model.output_shape[-1])
        if steps_per_epoch is not None:
            self.shorten_averages(optimizer, steps_per_epoch * self.epochs)
        model.compile(optimizer=optimizer, loss=loss, metrics=list(self.metrics))
        return model

    def new_optimizer(self) -> optimizers.Optimizer:
        """Return the optimizer, at the learning rate that a schedule begins from."""
        kind: Any = type(optimizers.get(self.optimizer))
        optimizer: optimizers.Optimizer = kind(self.learning_rate, **self.optimizer_options)
        optimizer.exclude_from_weight_decay(var_names=self.undecayed)
        return optimizer

    def loss_for(self, units: int | None) -> str | losses.Loss:
        """Return the loss of a model whose last layer has so many units."""
        name = self.loss if units == 1 else "categorical_crossentropy"
        if not self.label_smoothing:
            return name
        kind: Any = type(losses.get(name))
        loss: losses.Loss = kind(label_smoothing=self.label_smoothing)
        return loss

    def callbacks(self, generator: Any = None) -> list[Callback]:
        """Return new callbacks: those of the course, early stopping, the models' checkpoint.

        `generator`, the training images', is needed where the last epochs have their own
        augmentation.
        """
        stopping = [] if self.patience is None else [EarlyStopping(patience=self.patience)]
        checkpoint = ModelCheckpoint(self.checkpoint, save_best_only=self.save_best_only)
        averages = bool(self.optimizer_options.get("use_ema"))
        return [*self.course(self.learning_rate, averages, generator), *stopping, checkpoint]

    def course(self, learning_rate: float, averages: bool, generator: Any) -> list[Callback]:
        """Return new callbacks that see to the learning rate, the averages and the augmentation."""
        callbacks: list[Callback] = [SwapEMAWeights(swap_on_epoch=True)] if averages else []
        if self.schedule is not None:
            callbacks.append(
                LearningRateScheduler(lambda epoch: self.rate_at(epoch, learning_rate))
            )
        if self.augmentation and self.final_epochs:
            if generator is None:
                raise ValueError(
                    "Recipe: generator is None; it must be the training images' "
                    "ImageDataGenerator, whose augmentation changes in the last epochs"
                )
            first = max(0, self.epochs - self.final_epochs)
            callbacks.append(AugmentationSchedule(generator, {first: self.final_augmentation}))
        return callbacks

    @staticmethod
    def shorten_averages(optimizer: optimizers.Optimizer, steps: int) -> None:
        """Let averages of weights reach over a twentieth of a run's `steps` at most.

        In a short run they would still be of its beginning at its end.
        """
        longest = 1 - 1 / max(1.0, steps / 20)
        if optimizer.use_ema:
            optimizer.ema_momentum = min(optimizer.ema_momentum, longest)

    def rate_at(self, epoch: int, peak: float) -> float:
        """Return the learning rate of an epoch, counted from 0, of a schedule up to `peak`."""
        if self.schedule is None:
            return peak
        if epoch < self.warmup_epochs:
            return peak * (epoch + 1) / (self.warmup_epochs + 1)
        done = (epoch - self.warmup_epochs) / max(1, self.epochs - self.warmup_epochs)
        return peak * (1 + math.cos(math.pi * min(1.0, done))) / 2

    def early(self, size: int) -> tuple[int, int] | None:
        """Return the epochs in which photos are of another size than `size`, and that size."""
        early = max(1, round(size * self.early_size))
        return (self.early_epochs, early) if self.early_epochs and early != size else None

    def but(self, **changes: Any) -> Recipe:
        """Return the recipe with some of its fields changed."""
        return replace(self, **changes)

    def scaled(self, epochs: int) -> Recipe:
        """Return the recipe for so many epochs: each of its parts takes the same share of them."""
        share = epochs / self.epochs
        return self.but(
            epochs=epochs,
            warmup_epochs=round(self.warmup_epochs * share),
            final_epochs=round(self.final_epochs * share),
            early_epochs=round(self.early_epochs * share),
        )
