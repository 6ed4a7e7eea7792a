"""What saving needs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ..layers.base import Layer
from ..layers.parameter import Parameter
from ..losses import Loss
from ..optimizers import Optimizer


class SavableModel(Protocol):
    """A built model; `saved_as` is the name by which its class is found again."""

    class_names: list[str] | None
    metadata: dict[str, Any]
    optimizer: Optimizer | None
    loss: Loss | None
    metrics: list[Any]
    _run: Any
    _run_state: dict[str, Any] | None

    @property
    def owner(self) -> str: ...

    @property
    def saved_as(self) -> str: ...

    @property
    def built(self) -> bool: ...

    @property
    def compiled(self) -> bool: ...

    @property
    def input_shape(self) -> tuple[int | None, ...]: ...

    @property
    def layers(self) -> Sequence[Layer]: ...

    @property
    def weights(self) -> list[Parameter]: ...

    @property
    def trainable_weights(self) -> list[Parameter]: ...

    @property
    def _lock(self) -> AbstractContextManager[None]: ...

    def get_config(self) -> dict[str, Any]: ...
