"""Scratch memory that a plan allocates on first use and keeps."""

from __future__ import annotations

from typing import Any

import numpy as np


class Scratch:
    """Arrays by name; asking again for the same or a smaller first axis costs nothing."""

    def __init__(self, dtype: Any) -> None:
        self._dtype = np.dtype(dtype)
        self._arrays: dict[str, np.ndarray] = {}

    def __call__(self, name: str, *shape: int, dtype: Any = None) -> np.ndarray:
        """Return an uninitialised array of at least `shape[0]` rows and the other axes exact."""
        array = self._arrays.get(name)
        if array is None or array.shape[0] < shape[0] or array.shape[1:] != shape[1:]:
            # An empty array has no first element to point a kernel at.
            shape = tuple(max(size, 1) for size in shape)
            array = self._arrays[name] = np.empty(shape, dtype or self._dtype)
        return array
