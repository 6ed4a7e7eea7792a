"""fastconv in the models' comparison, through its public API alone."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import fastconv
from fastconv import architectures

from ..spec import ModelTask, describe
from .base import ModelContender


class FastconvModel(ModelContender):
    """`train_on_batch` and `predict_on_batch` of one of fastconv's architectures."""

    def build(self, task: ModelTask) -> None:
        fastconv.set_num_threads(self.threads)
        architecture = architectures.get(task.name)
        self.model = architecture.recipe.compile(architecture(input_shape=task.input_shape))
        self.model.set_weights(list(task.weights))

    def predictor(self, x: np.ndarray) -> Callable[[], Any]:
        return lambda: self.model.predict_on_batch(x)

    def trainer(self, x: np.ndarray, y: np.ndarray) -> Callable[[], float]:
        # The mean loss of this batch comes first; metrics follow.
        return lambda: np.ravel(self.model.train_on_batch(x, y))[0]

    def reset_weights(self) -> None:
        self.model.set_weights(list(self.task.weights))

    def facts(self) -> dict[str, Any]:
        """Return the share of living units as the weights now are: see `living_units`."""
        return {"alive": living_units(self.model, self.task.x)}


class TaskMaker:
    """Makes a `ModelTask`: a fastconv model, trained if asked, and a batch to run it on."""

    def __init__(self, *, threads: int) -> None:
        fastconv.set_num_threads(threads)

    def make(
        self, name: str, batch: int, image_size: int, photos: str | None, steps: int, seed: int
    ) -> ModelTask:
        """Return the task for the architecture `name`.

        The batch is of the photos at `photos` (a folder or a zip) where that
        is given, else uniform random.  `steps` training steps are made first,
        by the architecture's own recipe, augmentation included.
        """
        fastconv.utils.set_random_seed(seed)
        architecture = architectures.get(name)
        shape = (image_size, image_size, 3)
        model = architecture.recipe.compile(architecture(input_shape=shape))
        if photos is None:
            random = np.random.default_rng(seed)
            x = random.random((batch, *shape), np.float32)
            y = random.integers(0, 2, batch).astype(np.float32)
        else:
            recipe = architecture.recipe
            train = photo_stream(
                photos, image_size, batch, seed, rescale=recipe.rescale, **recipe.augmentation
            )
            for step in range(steps):
                if step % len(train) == 0:
                    train.set_epoch(step // len(train))
                model.train_on_batch(*train[step % len(train)])
            train.set_epoch(steps // len(train) + 1)
            x, y = (np.ascontiguousarray(part, np.float32) for part in train[0])
            if len(x) < batch:
                raise ValueError(f"{photos!r} has {len(x)} photos to train on, {batch} are needed")
        recipe = architecture.recipe
        return ModelTask(
            name,
            describe(model),
            tuple(model.get_weights()),
            x,
            y,
            recipe.optimizer,
            recipe.learning_rate,
        )


def living_units(model: Any, x: np.ndarray) -> dict[str, float]:
    """Return the share of positive outputs of each ReLU layer, behind its pooling if it has one."""
    shares, waiting = {}, None
    for layer in model.layers:
        x = layer(x)
        if getattr(getattr(layer, "activation", None), "name", None) == "relu":
            waiting = layer.name
        elif type(layer).__name__ != "MaxPooling2D":
            waiting = None
        if waiting is not None:
            shares[waiting] = float(np.mean(x > 0))
    return shares


def photo_stream(
    photos: str, image_size: int, batch: int, seed: int, rescale: float = 1 / 255, **options: Any
) -> Any:
    """Return batches of the photos to train on, those of the folder or zip `photos`."""
    from fastconv.datasets import dog_vs_cat
    from fastconv.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(rescale=rescale, **options)
    # What it finds it prints; stdout is the report's.
    with contextlib.redirect_stdout(sys.stderr):
        return generator.flow_from_directory(
            os.path.join(dog_vs_cat(photos), "train"),
            target_size=(image_size, image_size),
            batch_size=batch,
            class_mode="binary",
            seed=seed,
        )
