"""Scratch memory that a plan allocates on first use and keeps."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._memory import ALIGNMENT, aligned_empty


class Scratch:
    """Arrays by name; asking again for the same or a smaller first axis costs nothing."""

    def __init__(self, dtype: Any) -> None:
        self._dtype = np.dtype(dtype)
        self._arrays: dict[str, tuple[tuple[int, ...], np.ndarray]] = {}

    def __call__(self, name: str, *shape: int, dtype: Any = None) -> np.ndarray:
        """Return uninitialised memory of `shape`, or a little more.

        It has at least `shape[0]` rows; the rows of a 2-D array are rounded up to whole
        cache lines, so that each starts on one; no axis is empty.
        """
        held, array = self._arrays.get(name, ((0,), None))
        if array is None or held[0] < shape[0] or held[1:] != shape[1:]:
            dtype = np.dtype(dtype or self._dtype)
            sizes = [max(size, 1) for size in shape]
            if len(sizes) == 2:
                line = ALIGNMENT // dtype.itemsize
                sizes[1] = -(-sizes[1] // line) * line
            array = aligned_empty(sizes, dtype)
            self._arrays[name] = (shape, array)
        return array
