"""Scratch memory that a plan allocates on first use and keeps."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..._core.memory import ALIGNMENT, aligned_empty

GAP = 2**16
"""Bytes behind a thread's row.  CPUs go on fetching by the stride that they saw, past the end of a
row: lines of the next thread's would leave its cache each time.  Where two threads have no cache in
common, Winograd's output takes 1.5 times as long without a gap, 1.2 times with one of 16 KB."""


class Scratch:
    """Arrays by name; asking again for what is held, or for less, costs nothing."""

    def __init__(self, dtype: Any) -> None:
        self._dtype = np.dtype(dtype)
        self._arrays: dict[str, tuple[tuple[int, ...], np.ndarray]] = {}

    def __call__(self, name: str, *shape: int, dtype: Any = None) -> np.ndarray:
        """Return uninitialised memory of at least `shape`: no axis is shorter.

        Under one name the memory grows to the longest axes asked for, so that callers
        that take turns with different shapes do not allocate again and again.  The rows
        of a 2-D array are rounded up to whole cache lines, so that each starts on one;
        no axis is empty.
        """
        held, array = self._arrays.get(name, ((), None))
        if held == shape and array is not None:
            return array
        if array is None or len(held) != len(shape) or any(map(operator.lt, held, shape)):
            dtype = np.dtype(dtype or self._dtype)
            if len(held) == len(shape):
                shape = tuple(map(max, held, shape))
            sizes = [max(size, 1) for size in shape]
            if len(sizes) == 2:
                line = ALIGNMENT // dtype.itemsize
                sizes[1] = -(-sizes[1] // line) * line
            array = aligned_empty(sizes, dtype)
            self._arrays[name] = (shape, array)
        return array

    def rows(self, name: str, threads: int, size: int, dtype: Any = None) -> np.ndarray:
        """Return memory with a row of at least `size` for each thread, far from the others'.

        A single row needs no gap, nor do those of nothing, which a kernel only takes.
        """
        gap = GAP // np.dtype(dtype or self._dtype).itemsize if threads > 1 and size > 1 else 0
        return self(name, threads, size + gap, dtype=dtype)
