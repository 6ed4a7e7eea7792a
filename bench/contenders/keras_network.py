"""Keras 3 on TensorFlow in the networks' comparison, and TensorFlow's converter for LiteRT."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf

from ..graph import NetworkTask, Node
from .base import ModelContender


class KerasNetwork(ModelContender):
    """`train_on_batch` and `predict_on_batch` of a functional model, compiled as by default."""

    def __init__(self, *, threads: int, **options: Any) -> None:
        super().__init__(threads=threads, **options)
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)

    def build(self, task: NetworkTask) -> None:
        self.model = functional(task)
        optimizer = keras.optimizers.get(task.optimizer)
        optimizer.learning_rate = task.learning_rate
        self.model.compile(optimizer=optimizer, loss=task.loss)
        self.saved = self.model.get_weights()

    def predictor(self, x: np.ndarray) -> Callable[[], Any]:
        return lambda: self.model.predict_on_batch(x)

    def trainer(self, x: np.ndarray, y: np.ndarray) -> Callable[[], float]:
        def step() -> float:
            # Keras averages over steps: what it returns would not be this batch's loss.
            self.model.reset_metrics()
            return float(np.ravel(self.model.train_on_batch(x, y))[0])

        return step

    def reset_weights(self) -> None:
        self.model.set_weights(self.saved)

    def facts(self) -> dict[str, Any]:
        """Return whether Keras's default, jit_compile="auto", came to XLA."""
        return {"notes": "XLA" if self.model.jit_compile else "graph without XLA"}


class LiteRtConverter:
    """Writes a task as a LiteRT file by TensorFlow's converter, for a fixed batch size."""

    def __init__(self, *, threads: int) -> None:
        del threads

    def convert(self, task: NetworkTask, batch: int) -> bytes:
        """Return the file's content."""
        images = keras.Input(batch_shape=(batch, *task.input_shape))
        model = keras.Model(images, functional(task)(images))
        # What it converted it prints; stdout is the report's.
        with contextlib.redirect_stdout(io.StringIO()):
            return tf.lite.TFLiteConverter.from_keras_model(model).convert()


def functional(task: NetworkTask) -> keras.Model:
    """Return `task` as a functional model with its weights."""
    values = [keras.Input(task.input_shape)]
    weighted = []
    for node in task.nodes:
        layer = _layer(node)
        inputs = [values[number] for number in node.inputs]
        values.append(layer(inputs if len(inputs) > 1 else inputs[0]))
        if node.weights:
            weighted.append((layer, task.arrays(node)))
    for layer, arrays in weighted:
        layer.set_weights(arrays)
    return keras.Model(values[0], values[-1], name=task.name)


def _layer(node: Node) -> keras.layers.Layer:
    layers = keras.layers
    biased = len(node.weights) > 1
    if node.kind in ("conv", "depthwise", "conv_transpose", "max_pool"):
        return _windowed(node, biased)
    makers: dict[str, Callable[[], keras.layers.Layer]] = {
        "batch_norm": lambda: layers.BatchNormalization(epsilon=node.epsilon),
        "dense": lambda: layers.Dense(node.output_shape[-1], use_bias=biased),
        "add": layers.Add,
        "concatenate": layers.Concatenate,
        "global_average_pool": layers.GlobalAveragePooling2D,
        "dropout": lambda: layers.Dropout(node.rate),
        "flatten": layers.Flatten,
        "relu": layers.ReLU,
        "relu6": lambda: layers.ReLU(6.0),
        "sigmoid": lambda: layers.Activation("sigmoid"),
        "softmax": lambda: layers.Activation("softmax"),
    }
    return makers[node.kind]()


def _windowed(node: Node, biased: bool) -> keras.layers.Layer:
    layers = keras.layers
    window = {"strides": node.strides, "padding": node.keras_padding}
    if node.kind == "max_pool":
        return layers.MaxPooling2D(node.size, **window)
    if node.kind == "depthwise":
        multiplier = node.output_shape[-1] // node.input_shape[-1]
        return layers.DepthwiseConv2D(
            node.size, depth_multiplier=multiplier, use_bias=biased, **window
        )
    filters = node.output_shape[-1]
    if node.kind == "conv_transpose":
        return layers.Conv2DTranspose(filters, node.size, use_bias=biased, **window)
    return layers.Conv2D(filters, node.size, groups=node.groups, use_bias=biased, **window)
