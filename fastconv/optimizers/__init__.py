"""Optimizers: how weights follow their gradients."""

from __future__ import annotations

from typing import Any

from .._core.registry import Registry, custom_object_scope
from . import schedules
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .base import Optimizer
from .lion import Lion
from .nadam import Nadam
from .plain import Adadelta, Adamax
from .regularization import penalty, regularize
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "penalty",
    "regularize",
    "schedules",
    "serialize",
]

_registry: Registry[Optimizer] = Registry(
    Optimizer,
    {
        cls.__name__.lower(): cls
        for cls in (SGD, Adam, RMSprop, AdamW, Nadam, Adagrad, Lion, Adadelta, Adamax)
    },
    words=("optimizers", "optimizer", "an Optimizer"),
)


def get(identifier: Any) -> Optimizer:
    """Return the optimizer of a name ("sgd", "Adam"), a class, a config or itself.

    Raises ValueError for an unknown name and TypeError for anything else.
    """
    return _registry.get(identifier)


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Optimizer:
    """Return the optimizer that `serialize` has described."""
    with custom_object_scope(custom_objects):
        return get(config)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Return {"class_name", "config"}, from which `get` makes the same optimizer again."""
    return _registry.serialize(optimizer)
