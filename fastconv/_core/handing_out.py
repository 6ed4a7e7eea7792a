"""What arrays are seen as that layers and models return when they are called."""

from __future__ import annotations

from typing import Any

import numpy as np

#: NumPy's own; `fastconv.keras` puts a class here that has the methods of TensorFlow's tensors.
kind: type[np.ndarray] = np.ndarray


def use(chosen: type[np.ndarray]) -> None:
    """Let `handed_out` give arrays of the class `chosen` from now on."""
    global kind
    kind = chosen


def number(value: float) -> Any:
    """Return a number as it is handed to a user: a float, or an array of the class chosen."""
    return value if kind is np.ndarray else np.asarray(value, np.float32).view(kind)


def handed_out(array: np.ndarray) -> np.ndarray:
    """Return `array` as it is handed to a user."""
    return array if kind is np.ndarray else array.view(kind)
