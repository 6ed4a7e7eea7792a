"""Logs for TensorBoard: numbers, histograms and pictures of a training."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .._core.validation import natural, positive_integer, truth
from ..graph.watching import map_tensors, values_of
from . import pictures
from .base import Callback
from .event_files import EventFile, GraphNode, check_package

_EXAMPLES = 16  # images whose answers are shown
_MOST_MAPS = 4  # layers whose maps are shown, evenly spread over the network


class TensorBoard(Callback):
    """Log a training where TensorBoard reads it, as Keras does.

    `log_dir/train` and `log_dir/validation` get the tags `epoch_loss`, `epoch_accuracy`, ... for
    every epoch, `train` also `epoch_learning_rate` and, once, the graph and the hyper-parameters;
    `validation` also `evaluation_loss_vs_iterations` and its like. View them with
    `tensorboard --logdir=log_dir`.

    Args:
        log_dir: the folder; it is made if missing.
        histogram_freq: after how many epochs the weights' histograms are written,
            `conv2d/kernel/histogram`; 0: never.
        write_graph: write the graph of the layers.
        write_images: at the same epochs (each one where `histogram_freq` is 0), write pictures:
            the first convolution's kernels, maps behind some layers, and the answers for some
            images of the validation data (of the training data where there are none).
        write_steps_per_second: log `epoch_steps_per_second`, of training alone, as well.
        update_freq: "epoch"; or "batch", or a number of batches, to log
            `batch_loss` and the like as well.
        write_grads, profile_batch: accepted as Keras's, old ones too; a warning says that
            gradients and profiles are not written.
        embeddings_freq, embeddings_metadata, embeddings_layer_names, embeddings_data: 0 and
            None; embeddings are not written.
        batch_size: accepted as old Keras's, and without effect.

    Raises ImportError without the package `tensorboard`:
    `pip install 'fastconv[tensorboard]'`.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
        batch_size: int | None = None,
        write_grads: bool = False,
        embeddings_layer_names: Any = None,
        embeddings_data: Any = None,
    ) -> None:
        super().__init__()
        for name, value, what in (
            ("write_grads", write_grads, "histograms of gradients"),
            ("profile_batch", profile_batch, "profiles"),
        ):
            if value:
                warnings.warn(
                    f"TensorBoard: {name} is {value!r} and has no effect: {what} are not written",
                    stacklevel=2,
                )
        for name, value in (
            ("embeddings_freq", embeddings_freq),
            ("embeddings_metadata", embeddings_metadata),
            ("embeddings_layer_names", embeddings_layer_names),
            ("embeddings_data", embeddings_data),
        ):
            if value:
                raise ValueError(
                    f"TensorBoard: {name} is {value!r}; it must be left out: embeddings are not "
                    "written"
                )
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = natural(histogram_freq, "histogram_freq", "TensorBoard")
        self.profile_batch = profile_batch
        self.write_graph = truth(write_graph, "write_graph", "TensorBoard")
        self.write_images = truth(write_images, "write_images", "TensorBoard")
        self.write_steps_per_second = truth(
            write_steps_per_second, "write_steps_per_second", "TensorBoard"
        )
        self.update_freq = update_freq
        if update_freq == "batch":
            self._every = 1
        elif update_freq == "epoch":
            self._every = 0
        else:
            self._every = positive_integer(update_freq, "update_freq", "TensorBoard")
        check_package()
        self._files: dict[str, EventFile] = {}
        self._began = (0.0, 0)  # the epoch's: seconds, steps
        self._steps_per_second: float | None = None
        self._examples: tuple[np.ndarray, ...] = ()
        self._training = False

    def set_examples(self, take: Callable[[], Any]) -> None:
        self._examples = ()
        if self.write_images:
            inputs = take().x
            inputs = inputs if isinstance(inputs, tuple) else (inputs,)
            self._examples = tuple(
                np.array(one[:_EXAMPLES], dtype=np.float32, order="C") for one in inputs
            )

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.close()
        self._training = True
        if self.write_graph:
            self._file("train").graph(_nodes(self.model))
        self._file("train").hyperparameters(self._hyperparameters(), self.log_dir)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._began = (time.perf_counter(), self.model.optimizer.iterations)
        self._steps_per_second = None

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        if self._training:
            self._measure()

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        for name, value in (logs or {}).items():
            tag = f"evaluation_{name}_vs_iterations"
            self._file("validation").scalar(tag, value, self.model.optimizer.iterations)
        if not self._training:  # `evaluate` alone
            self.close()

    def _measure(self) -> float:
        """Return how fast the epoch's steps were, noted at the first validation after them."""
        if self._steps_per_second is None:
            seconds, steps = self._began
            passed = max(time.perf_counter() - seconds, 1e-9)
            self._steps_per_second = (self.model.optimizer.iterations - steps) / passed
        return self._steps_per_second

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self._every and self.model.optimizer.iterations % self._every == 0:
            step = self.model.optimizer.iterations
            for name, value in (logs or {}).items():
                self._file("train").scalar(f"batch_{name}", value, step)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        values = {**(logs or {}), "learning_rate": float(self.model.optimizer.learning_rate)}
        if self.write_steps_per_second:
            values["steps_per_second"] = self._measure()
        for name, value in values.items():
            folder = "validation" if name.startswith("val_") else "train"
            self._file(folder).scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._add_histograms(epoch)
        if self.write_images and epoch % (self.histogram_freq or 1) == 0:
            self._add_pictures(epoch)
        for file in self._files.values():
            file.flush()

    def _add_histograms(self, epoch: int) -> None:
        file = self._file("train")
        for layer in self.model.graph.all_layers:
            for parameter in layer.weights:
                tag = f"{layer.name}/{parameter.name}/histogram"
                file.histogram(tag, parameter.contents, epoch)

    def _add_pictures(self, epoch: int) -> None:
        kernel = next(
            (
                (f"{layer.name}/{one.name}/image", one.contents)
                for layer in self.model.graph.all_layers
                for one in layer.weights
                if one.contents.ndim == 4
            ),
            None,
        )
        if kernel is not None:
            self._picture(kernel[0], pictures.kernel_mosaic(kernel[1]), epoch)
        with self.model.layers_lock:
            found = map_tensors(self.model.graph)
            chosen = (
                [found[n] for n in np.unique(np.linspace(0, len(found) - 1, _MOST_MAPS, dtype=int))]
                if found
                else []
            )
            tensors = [*(tensor for _, tensor in chosen), self.model.outputs[0]]
            values = values_of(self.model.graph, tensors, self._examples)
        for (name, _), maps in zip(chosen, values, strict=False):
            self._picture(f"{name}/maps/image", pictures.map_mosaic(maps[0]), epoch)
        images = self._examples[0]
        if images.ndim == 4 and images.shape[-1] in (1, 3) and values[-1].ndim == 2:
            captions = _captions(values[-1], self.model.class_names)
            self._picture("predictions/image", pictures.answers(images, captions), epoch)

    def _picture(self, tag: str, picture: np.ndarray, epoch: int) -> None:
        self._file("train").image(tag, pictures.png(picture), picture.shape, epoch)

    def _hyperparameters(self) -> dict[str, bool | float | str]:
        """Return what the optimizer was told, and how long it is to train."""
        config = self.model.optimizer.get_config()
        plain = {
            name: value
            for name, value in config.items()
            if isinstance(value, (bool, int, float, str))
        }
        return {
            "optimizer": type(self.model.optimizer).__name__,
            "parameters": self.model.count_params(),
            **{name: value for name, value in plain.items() if name != "name"},
        }

    def _file(self, folder: str) -> EventFile:
        if folder not in self._files:
            self._files[folder] = EventFile(os.path.join(self.log_dir, folder))
        return self._files[folder]

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files = {}
        self._training = False


def _nodes(model: Any) -> list[GraphNode]:
    """Return the model's graph as TensorBoard draws it; a layer called again is another node."""
    names: dict[Any, str] = {}
    taken: set[str] = set()
    nodes = []
    for node in [*(tensor.node for tensor in model.graph.inputs), *model.graph.nodes]:
        if node.outputs[0] in names:
            continue
        name, number = node.layer.name, 1
        while name in taken:
            number += 1
            name = f"{node.layer.name}_call_{number}"
        taken.add(name)
        inputs = [names[tensor] for tensor in node.inputs if tensor in names]
        names.update(dict.fromkeys(node.outputs, name))
        shape = node.outputs[0].shape
        nodes.append(GraphNode(name, type(node.layer).__name__, inputs, shape))
    return nodes


def _captions(outputs: np.ndarray, class_names: list[str] | None) -> list[str]:
    """Return, for each row of a classifier's outputs (n, classes or 1), its class and share."""
    if outputs.shape[1] == 1:
        shares = np.where(outputs[:, 0] > 0.5, outputs[:, 0], 1 - outputs[:, 0])
        places = (outputs[:, 0] > 0.5).astype(int)
    else:
        places, shares = outputs.argmax(axis=1), outputs.max(axis=1)
    names = class_names or []
    return [
        f"{names[place] if place < len(names) else place} {share:.0%}"
        for place, share in zip(places, shares, strict=True)
    ]
