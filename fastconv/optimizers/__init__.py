"""Optimizers: how weights follow their gradients."""

from __future__ import annotations

from typing import Any

from .._core.registry import Registry
from . import schedules
from .adam import Adam
from .base import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = ["SGD", "Adam", "Optimizer", "RMSprop", "get", "schedules", "serialize"]

_registry: Registry[Optimizer] = Registry(
    Optimizer,
    {"sgd": SGD, "adam": Adam, "rmsprop": RMSprop},
    words=("optimizers", "optimizer", "an Optimizer"),
)


def get(identifier: Any) -> Optimizer:
    """Return the optimizer of a name ("sgd", "Adam"), a class, a config or itself.

    Raises ValueError for an unknown name and TypeError for anything else.
    """
    return _registry.get(identifier)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Return {"class_name", "config"}, from which `get` makes the same optimizer again."""
    return _registry.serialize(optimizer)
