"""Models in files, and Keras's `saving`: what they find by name.

`load_model` and `save_model` are of `fastconv.models`, which knows this package.
"""

from __future__ import annotations

import importlib
from typing import Any

from .._core.missing_names import missing_name
from .._core.registry import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)

CustomObjectScope = custom_object_scope  # which Keras has in both spellings

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
]


def __getattr__(name: str) -> Any:
    if name in ("load_model", "save_model"):
        return getattr(importlib.import_module("fastconv.models"), name)
    raise missing_name(__name__, name)
