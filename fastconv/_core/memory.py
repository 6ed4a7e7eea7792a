"""Memory that starts where vectors like it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_FLOAT32 = np.dtype(np.float32)
ALIGNMENT = 64  # bytes: one cache line, one AVX-512 register


def aligned_empty(shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
    """Return an uninitialised C-contiguous array that starts on a cache line."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    aligned: np.ndarray = memory[start : start + size].view(dtype).reshape(shape)
    return aligned


def contiguous(array: Any, dtype: Any = None) -> np.ndarray:
    """Return `array`, or a copy where it must be one, as the kernels read memory.

    That is C-contiguous, each value at a multiple of its size: what came out of the middle of
    a file or of a packed record may lie between.
    """
    # As nearly all are: in half the time of what follows.
    packed: np.ndarray = array
    plain = type(array) is np.ndarray and array.dtype is _FLOAT32 and array.flags.carray
    if plain and (dtype is None or dtype == np.float32):  # NumPy's dtypes equal None, if float64
        return packed
    packed = np.ascontiguousarray(array, dtype)
    return packed if packed.flags.aligned else packed.copy()
