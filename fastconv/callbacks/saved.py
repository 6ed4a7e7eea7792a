"""What callbacks find in a saved state, checked: the file it is from may hold anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def saved_number(state: Mapping[str, Any], name: str) -> float | None:
    """Return the number `name` of a state, or None where that was saved; NaN is a number."""
    value = state[name]
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    raise ValueError(f"{name} is {value!r}; it must be a number")


def saved_count(state: Mapping[str, Any], name: str) -> int:
    """Return the whole number of at least 0 that a state has as `name`."""
    value = state[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} is {value!r}; it must be a whole number of at least 0")
    return value


def saved_texts(state: Mapping[str, Any], name: str) -> list[str]:
    """Return the list of texts that a state has as `name`."""
    values = state[name]
    if isinstance(values, (list, tuple)) and all(isinstance(value, str) for value in values):
        return list(values)
    raise ValueError(f"{name} is a {type(values).__name__}; it must be a list of texts")


def saved_weights(state: Mapping[str, Any], name: str, model: Any) -> list[np.ndarray] | None:
    """Return the weights of `model` that a state has as `name`, or None where that was saved."""
    arrays = state[name]
    if arrays is None:
        return None
    if not isinstance(arrays, list) or not all(isinstance(array, np.ndarray) for array in arrays):
        raise ValueError(f"{name} is a {type(arrays).__name__}; it must be a list of arrays")
    for parameter, array in zip(model.weights, arrays, strict=True):
        parameter.check(array, owner=name)
    return arrays
