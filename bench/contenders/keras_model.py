"""Keras 3 on TensorFlow in the models' comparison."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf

from ..spec import LayerSpec, ModelTask
from .base import ModelContender


class KerasModel(ModelContender):
    """`train_on_batch` and the compiled prediction function of a `keras.Sequential`."""

    def __init__(self, *, threads: int, **options: Any) -> None:
        super().__init__(threads=threads, **options)
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)

    def build(self, task: ModelTask) -> None:
        layers = [_layer(spec) for spec in task.layers]
        self.model = keras.Sequential([keras.Input(task.input_shape), *layers])
        optimizer = keras.optimizers.get(task.optimizer)
        optimizer.learning_rate = task.learning_rate
        self.model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
        self.model.set_weights(list(task.weights))

    def predictor(self, x: np.ndarray) -> Callable[[], Any]:
        return lambda: self.model.predict_on_batch(x)

    def trainer(self, x: np.ndarray, y: np.ndarray) -> Callable[[], float]:
        labels = y.reshape(-1, 1)

        def step() -> float:
            # Keras averages over steps: what it returns would not be this batch's loss.
            self.model.reset_metrics()
            return self.model.train_on_batch(x, labels)[0]

        return step

    def reset_weights(self) -> None:
        self.model.set_weights(list(self.task.weights))


def _layer(spec: LayerSpec) -> keras.layers.Layer:
    if spec.kind == "conv":
        return keras.layers.Conv2D(
            spec.units,
            spec.size,
            strides=spec.strides,
            padding=_padding(spec),
            groups=spec.groups,
            activation=spec.activation,
            use_bias=spec.weights > 1,
        )
    if spec.kind == "max_pool":
        return keras.layers.MaxPooling2D(spec.size, spec.strides, padding=_padding(spec))
    if spec.kind == "dropout":
        return keras.layers.Dropout(spec.rate)
    if spec.kind == "flatten":
        return keras.layers.Flatten()
    return keras.layers.Dense(spec.units, activation=spec.activation, use_bias=spec.weights > 1)


def _padding(spec: LayerSpec) -> str:
    if not any(side for sides in spec.padding for side in sides):
        return "valid"
    rows, columns = spec.input_shape[0] / spec.strides[0], spec.input_shape[1] / spec.strides[1]
    if spec.output_shape[0] >= rows and spec.output_shape[1] >= columns:
        return "same"
    raise ValueError(f"padding {spec.padding} is neither 'valid' nor 'same'")
