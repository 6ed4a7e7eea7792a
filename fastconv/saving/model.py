"""What saving needs of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from ..layers.base import Layer
from ..layers.parameter import Parameter
from ..optimizers import Optimizer

Shape = tuple[int | None, ...]


class SavableModel(Protocol):
    """A built model."""

    class_names: list[str] | None
    metadata: dict[str, Any]
    optimizer: Optimizer | None
    loss: Any
    metrics: Any
    #: Where the running, last or loaded training stands.
    fit_state: dict[str, Any] | None

    @property
    def owner(self) -> str:
        """How errors name the model."""

    @property
    def saved_as(self) -> str:
        """The name by which the model's class is found again."""

    @property
    def built(self) -> bool: ...

    @property
    def input_shape(self) -> Any: ...

    @property
    def layers(self) -> Sequence[Layer]: ...

    @property
    def weights(self) -> list[Parameter]: ...

    @property
    def trainable_weights(self) -> list[Parameter]: ...

    @property
    def layers_lock(self) -> AbstractContextManager[None]:
        """What a thread holds while it goes through the layers, or half a step would be seen."""

    def objectives_config(self) -> dict[str, Any]:
        """Return the loss and metrics that `compile` was given, JSON values."""

    def get_config(self) -> dict[str, Any]: ...


class ModelFile(Protocol):
    """A file that was read and checked, and that a model can be made of.

    `config` is what `checkpoint` writes as such: class_name, config, input_shape and compile at
    least. Each method raises CheckpointError for what does not fit, and has changed nothing then
    unless it says so.
    """

    path: str
    config: dict[str, Any]

    def source(self) -> Callable[[str, tuple[int, ...]], np.ndarray]:
        """Return what gives weights, by name and shape, to a model that is rebuilt.

        It raises ValueError for more than the file holds.
        """

    def put_weights(self, model: SavableModel) -> None: ...

    def put_layer_states(self, model: SavableModel) -> None: ...

    def put_optimizer(self, model: SavableModel) -> None: ...

    def run_state(self) -> dict[str, Any] | None:
        """Return the state of the run that a training can go on from."""
