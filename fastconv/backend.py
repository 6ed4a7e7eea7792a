"""The part of `keras.backend` that is no arithmetic on tensors: settings, shapes, values.

Functions of tensors, such as `backend.mean`, would have to be differentiated: instead there are
layers, and `Lambda`, layers and losses of one's own in NumPy with their gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._core.missing_names import missing_names
from ._core.naming import automatic_names
from ._core.session import clear_session
from .config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from .layers.symbolic import Tensor

__all__ = [
    "backend",
    "clear_session",
    "count_params",
    "epsilon",
    "eval",
    "floatx",
    "get_uid",
    "get_value",
    "image_data_format",
    "int_shape",
    "is_keras_tensor",
    "ndim",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_value",
]
__getattr__ = missing_names(__name__)


def int_shape(x: Any) -> tuple[int | None, ...]:
    """Return the shape of a tensor, (None, ...), a weight or an array."""
    return tuple(x.shape)


def ndim(x: Any) -> int:
    """Return how many axes a tensor, a weight or an array has."""
    return len(x.shape)


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` is what `Input` and layers called on it give."""
    return isinstance(x, Tensor)


def count_params(x: Any) -> int:
    """Return how many numbers a weight or an array holds."""
    return int(np.prod(x.shape))


def get_value(x: Any) -> Any:
    """Return the value of a weight as a new array, or of a number such as a learning rate."""
    return np.array(x)


eval = get_value


def get_uid(prefix: str = "") -> int:
    """Return the next whole number for a prefix, from 1."""
    name = automatic_names.next(f"uid of {prefix}")
    return int(name.rpartition("_")[2]) + 1 if name != f"uid of {prefix}" else 1


def set_value(x: Any, value: Any) -> None:
    """Put `value` into a weight, or into an `optimizer.learning_rate`.

    Raises TypeError for what is neither.
    """
    if not hasattr(x, "assign"):
        raise TypeError(
            f"set_value: x is {x!r}; it must be a weight or model.optimizer.learning_rate"
        )
    x.assign(value)
