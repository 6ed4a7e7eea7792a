"""What all models have, whatever the graph of their layers: a name, weights, copies, files."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core.locks import Group
from .._core.memory import contiguous
from .._core.validation import number_array, truth
from ..graph.executor import Executor, ExecutorCache
from ..layers import revision
from ..layers.base import Layer
from ..layers.parameter import Parameter
from ..layers.workspace import Pass
from ..saving import checkpoint
from ..saving.model import Shape
from ..training.train_step import TrainStep
from ..training.trainer import Trainer


class Model(Trainer):
    """Layers that are trained, copied, saved and called together.

    A subclass says which these are, in the order they run in, and what they take and give.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.class_names: list[str] | None = None
        #: Facts worth keeping with the model, saved in its checkpoints: JSON values.
        self.metadata: dict[str, Any] = {}
        self._trainable = True
        self._fuse = True
        self._executors = ExecutorCache()
        self._train_step = TrainStep(self)
        self._group = Group()

    @property
    def owner(self) -> str:
        """How errors name this model: `Sequential 'model1'`."""
        return f"{type(self).__name__} '{self.name}'"

    # What a subclass defines

    @property
    def layers(self) -> list[Layer]:
        """The layers in their order."""
        raise NotImplementedError

    @property
    def built(self) -> bool:
        """Whether there are layers and all are built."""
        raise NotImplementedError

    @property
    def input_shape(self) -> Shape:
        """The shape of a batch, (None, ...)."""
        raise NotImplementedError

    @property
    def output_shape(self) -> Shape:
        """The shape of the output for a batch, (None, ...)."""
        raise NotImplementedError

    @property
    def saved_as(self) -> str:
        """The name by which files tell the model's class."""
        raise NotImplementedError

    def build(self, input_shape: Sequence[int | None] | None = None) -> None:
        """Build all layers for inputs of `input_shape`, batch first: (None, height, width, ...)."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the architecture, without weights: JSON values."""
        raise NotImplementedError

    # Copies

    def __getstate__(self) -> dict[str, Any]:
        # Locks come anew; a run goes on from its state.
        left = {"_run": None, "_fit_state": self.fit_state}
        return {k: v for k, v in (self.__dict__ | left).items() if k != "_group"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._group = Group()
        self._train_step.follow(self)
        if self.optimizer is not None:
            self.optimizer.follow(self)
        if self.history is not None:
            self.history.set_model(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        copied = memo[id(self)] = type(self).__new__(type(self))
        with self.layers_lock:  # the weights of whole steps
            copied.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return copied

    def __copy__(self) -> Model:
        return copy.deepcopy(self)

    # Running

    @property
    def layers_lock(self) -> Pass:
        """What a thread holds while it goes through the layers, or half a step would be seen."""
        return Pass(self._group, self)

    def _executor(self) -> Executor:
        return self._executors.get(self.layers, self._fuse, self._trainable)

    def __call__(self, x: Any, training: bool = False) -> np.ndarray:
        """Return the output for one batch; with `training`, layers act as in training."""
        batch = contiguous(number_array(x, "x", f"{self.owner}: call"), np.float32)
        with self.layers_lock:
            self._train_step.prepare_input(batch.shape, "call")
            return np.array(self._executor().forward(batch, training))

    # Weights

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; setting it sets every layer's, as in Keras."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = truth(value, "trainable", self.owner)
        for layer in self.layers:
            layer.trainable = value
        self._trainable = value
        revision.changed()

    @property
    def weights(self) -> list[Parameter]:
        """All parameters, layer after layer."""
        return [p for layer in self.layers for p in layer.weights]

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The parameters that an optimizer changes: none if `trainable` is False."""
        if not self.trainable:
            return []
        return [p for layer in self.layers for p in layer.trainable_weights]

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        """The parameters that an optimizer leaves alone."""
        if not self.trainable:
            return self.weights
        return [p for layer in self.layers for p in layer.non_trainable_weights]

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of all weights, layer after layer."""
        with self.layers_lock:
            return [parameter.value.copy() for parameter in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Copy arrays as `get_weights` gives them into the weights; all or, on an error, none."""
        parameters, arrays = self.weights, [np.asarray(weight) for weight in weights]
        if len(arrays) != len(parameters):
            raise ValueError(
                f"{self.owner}: weights has {len(arrays)} arrays; it must have {len(parameters)}"
                + ("" if self.built else "; the model is not built yet")
            )
        for parameter, array in zip(parameters, arrays, strict=True):
            parameter.check(array, owner=self.owner)
        with self.layers_lock:
            for parameter, array in zip(parameters, arrays, strict=True):
                parameter.assign(array)

    def count_params(self) -> int:
        """Return how many numbers the weights hold."""
        if not self.built:
            raise ValueError(
                f"{self.owner}: the weights are unknown before build(); give the first layer an "
                "input_shape"
            )
        return sum(parameter.size for parameter in self.weights)

    # Files

    def save(self, path: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the whole model to `path`, an .npz file: see `fastconv.saving.checkpoint`.

        Architecture, weights, compile arguments, optimizer and, during or
        after `fit`, the state of the run, from which it can go on. Where
        layers were frozen, added or taken off since, what no longer fits is
        left out, with a warning that says so. A file that is replaced keeps
        its mode.
        """
        checkpoint.save_model(self, path, overwrite=overwrite)

    def check_saving(self) -> None:
        """Raise what `save` would raise because of what the model is, such as a missing method."""
        checkpoint.check_configuration(self)

    def save_weights(self, path: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write architecture and weights alone to `path`, an .npz file."""
        checkpoint.save_weights(self, path, overwrite=overwrite)

    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Take the weights of a file that `save` or `save_weights` wrote.

        Layers are matched by their order. Raises CheckpointError, and leaves
        the model as it was, if the file is damaged or does not fit.
        """
        checkpoint.load_weights(self, path)
