"""fastconv in the networks' comparison, through its public API alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fastconv
from fastconv import architectures

from ..graph import BINARY, SPARSE, NetworkTask, describe
from .base import ModelContender
from .fastconv_model import photo_stream

OPTIMIZER, LEARNING_RATE = "adam", 1e-3
SETTLING_STEPS, SETTLING_MOMENTUM = 30, 0.5
"""Steps that move only averages, by which those of a fresh network become the batch's own."""


class FastconvNetwork(ModelContender):
    """`train_on_batch` and `predict_on_batch` of one of fastconv's architectures."""

    def build(self, task: NetworkTask) -> None:
        fastconv.set_num_threads(self.threads)
        self.model = compiled(task.name, task.input_shape)
        self.reset_weights()

    def predictor(self, x: np.ndarray) -> Callable[[], Any]:
        return lambda: self.model.predict_on_batch(x)

    def trainer(self, x: np.ndarray, y: np.ndarray) -> Callable[[], float]:
        return lambda: float(np.ravel(self.model.train_on_batch(x, y))[0])

    def reset_weights(self) -> None:
        self.model.set_weights(list(self.task.weights))


def compiled(name: str, input_shape: tuple[int, ...]) -> Any:
    """Return an architecture with loss and optimizer, without metrics and without dropout.

    Dropout's layers are there and drop nothing: losses of libraries with random numbers of their
    own can then be compared.
    """
    model = getattr(architectures, name)(input_shape)
    for layer in model.layers:
        if type(layer).__name__ == "Dropout":
            layer.rate = 0.0
    optimizer = fastconv.optimizers.get(OPTIMIZER)
    optimizer.learning_rate = LEARNING_RATE
    model.compile(optimizer=optimizer, loss=loss_of(model))
    return model


def loss_of(model: Any) -> str:
    """Return the name of the loss that suits the model's outputs."""
    return BINARY if model.output_shape[-1] == 1 else SPARSE


class NetworkMaker:
    """Makes a `NetworkTask`: a fastconv network, trained if asked, and a batch to run it on."""

    def __init__(self, *, threads: int) -> None:
        fastconv.set_num_threads(threads)

    def make(
        self, name: str, batch: int, size: int, photos: str | None, steps: int, seed: int
    ) -> tuple[NetworkTask, str]:
        """Return the task for the architecture `name`, and a note on its weights and its batch.

        The batch is of the photos at `photos` (a folder or a zip) where that is given, else
        uniform random.  Scales and offsets of batch normalizations are drawn, then `steps` training
        steps are made on batches of photos; without any the averages are settled on the one batch.
        """
        fastconv.utils.set_random_seed(seed)
        random = np.random.default_rng(seed)
        model = compiled(name, (size, size, 3))
        _draw_scales(model, random)
        stream = photo_stream(photos, size, batch, seed) if photos else None
        for step in range(steps):
            if step % len(stream) == 0:
                stream.set_epoch(step // len(stream))
            x, classes = stream[step % len(stream)]
            model.train_on_batch(x, _labels(model, x, classes, random))
        if stream:
            stream.set_epoch(steps // len(stream) + 1)
            x, classes = (np.ascontiguousarray(part, np.float32) for part in stream[0])
        else:
            x = random.random((batch, size, size, 3), np.float32)
            classes = random.integers(0, 2, batch).astype(np.float32)
        if len(x) < batch:
            raise ValueError(f"{photos!r} has {len(x)} photos to train on, {batch} are needed")
        y, said = _labels(model, x, classes, random), _what_is_told(model, photos)
        if not steps:
            _settle(model, x, y)
            _spread(model, x)
        outputs = model.predict_on_batch(x)
        state = f"after {steps} steps on photos" if steps else "fresh, averages those of the batch"
        note = (
            f"{sum(weight.size for weight in model.get_weights()):,} weights, {state}, scales "
            f"drawn at first; {batch} {'photos' if photos else 'random images'} of {size} x "
            f"{size}, {said}; outputs {outputs.min():.2f} to {outputs.max():.2f}"
        )
        task = NetworkTask(
            name,
            describe(model),
            tuple(model.get_weights()),
            x,
            y,
            loss_of(model),
            OPTIMIZER,
            LEARNING_RATE,
        )
        return task, note


def _draw_scales(model: Any, random: np.random.Generator) -> None:
    """Give batch normalizations scales around 1 and offsets around 0, as training would."""
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            scale, offset, *averages = layer.get_weights()
            scale = random.uniform(0.6, 1.4, scale.shape).astype(np.float32)
            offset = random.normal(0, 0.2, offset.shape).astype(np.float32)
            layer.set_weights([scale, offset, *averages])


def _settle(model: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Let the moving averages be those of the batch, to the last of where they began.

    What is left of a variance of 1 outweighs those of layers that give small numbers.
    """
    model.optimizer.learning_rate = 0.0
    normalizations = [one for one in model.layers if type(one).__name__ == "BatchNormalization"]
    for layer in normalizations:
        layer.momentum = SETTLING_MOMENTUM
    for _ in range(SETTLING_STEPS):
        model.train_on_batch(x, y)


def _spread(model: Any, x: np.ndarray) -> None:
    """Let what a fresh dense layer gives for images be around 0 and half of 1 apart.

    Fresh networks give almost the same for all images: a peer's mistakes would not be seen in it.
    """
    last = model.layers[-1]
    if type(last).__name__ == "Dense":
        kernel, _ = last.get_weights()
        features = fastconv.Model(model.input, last.input).predict_on_batch(x)
        sums = features @ kernel
        scale = 0.5 / sums.std(axis=0)
        last.set_weights([kernel * scale, -sums.mean(axis=0) * scale])


def _labels(
    model: Any, x: np.ndarray, classes: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Return what the network is to tell of images: see `_what_is_told`."""
    shape = model.output_shape[1:]
    if len(shape) == 3:
        brightness = x.mean(axis=-1, keepdims=True)
        return (brightness > brightness.mean(axis=(1, 2), keepdims=True)).astype(np.float32)
    if shape[-1] > 1:
        return random.integers(0, shape[-1], len(x)).astype(np.int32)
    return np.asarray(classes, np.float32).reshape(-1, 1)


def _what_is_told(model: Any, photos: str | None) -> str:
    shape = model.output_shape[1:]
    if len(shape) == 3:
        return "masks of what is brighter than the image's mean"
    if shape[-1] > 1:
        return f"labels drawn from {shape[-1]} classes"
    return "cats and dogs" if photos else "labels drawn from 2 classes"
