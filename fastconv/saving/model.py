"""What saving needs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ..layers.base import Layer
from ..layers.parameter import Parameter
from ..losses import Loss
from ..optimizers import Optimizer

Shape = tuple[int | None, ...]


class SavableModel(Protocol):
    """A built model."""

    class_names: list[str] | None
    metadata: dict[str, Any]
    optimizer: Optimizer | None
    loss: Loss | None
    metrics: list[Any]
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
    def input_shape(self) -> Shape: ...

    @property
    def layers(self) -> Sequence[Layer]: ...

    @property
    def weights(self) -> list[Parameter]: ...

    @property
    def trainable_weights(self) -> list[Parameter]: ...

    @property
    def layers_lock(self) -> AbstractContextManager[None]:
        """What a thread holds while it goes through the layers, or half a step would be seen."""

    def get_config(self) -> dict[str, Any]: ...
