"""Optimizers: how weights follow their gradients."""

from __future__ import annotations

from typing import Any

from ..utils import class_name, custom_object
from . import schedules
from .adam import Adam
from .base import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = ["SGD", "Adam", "Optimizer", "RMSprop", "get", "schedules", "serialize"]

_CLASSES: dict[str, type[Optimizer]] = {cls.__name__.lower(): cls for cls in (SGD, Adam, RMSprop)}


def get(identifier: Any) -> Optimizer:
    """Return the optimizer of a name ("sgd", "adam", "rmsprop"), a config or itself.

    Raises ValueError for an unknown name and TypeError for anything else.
    """
    if isinstance(identifier, Optimizer):
        return identifier
    config = {}
    name = identifier
    if isinstance(identifier, dict):
        name, config = identifier.get("class_name"), identifier.get("config") or {}
    if not isinstance(name, str):
        raise TypeError(
            f"optimizers: {identifier!r} is no optimizer; give a name ({', '.join(_CLASSES)}) or "
            "an Optimizer"
        )
    found = custom_object(name) or _CLASSES.get(name.lower())
    if found is None:
        raise ValueError(f"optimizers: unknown optimizer {name!r}; known are {', '.join(_CLASSES)}")
    return found.from_config(config)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Return {"class_name", "config"}, which `get` turns into the same optimizer again."""
    known = {cls.__name__: cls for cls in _CLASSES.values()}
    return {"class_name": class_name(optimizer, known), "config": optimizer.get_config()}
