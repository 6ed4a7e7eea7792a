"""Scratch memory that a plan allocates on first use and keeps."""

from __future__ import annotations

import contextlib
import operator
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from ..._core.memory import ALIGNMENT, aligned_empty

GAP = 2**16
"""Bytes behind a thread's row.  CPUs go on fetching by the stride that they saw, past the end of a
row: lines of the next thread's would leave its cache each time.  Where two threads have no cache in
common, Winograd's output takes 1.5 times as long without a gap, 1.2 times with one of 16 KB."""


class Scratch:
    """Arrays by name; asking again for what is held, or for less, costs nothing."""

    growths: ClassVar[int] = 0
    """How often any has taken memory: who kept count knows when there is nothing new."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self._latest: dict[str, tuple[tuple[int, ...], np.ndarray]] = {}
        # Also by number of axes and dtype, in which those who share a scratch may differ.
        self._arrays: dict[tuple[Any, ...], tuple[tuple[int, ...], np.ndarray]] = {}

    @property
    def nbytes(self) -> int:
        """How much memory is held."""
        return sum(array.nbytes for _, array in self._arrays.values())

    def __call__(self, name: str, *shape: int, dtype: Any = None) -> np.ndarray:
        """Return uninitialised memory of at least `shape`: no axis is shorter.

        Under one name the memory grows to the longest axes asked for, so that callers
        that take turns with different shapes do not allocate again and again.  The rows
        of a 2-D array are rounded up to whole cache lines, so that each starts on one;
        no axis is empty.
        """
        array = self._found(name, shape, dtype)
        if _keeping.kept is not None:
            _keeping.kept.arrays.append(array)
        return array

    def _found(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        latest = self._latest.get(name)
        if latest is not None and latest[0] == shape and dtype in (None, latest[1].dtype):
            return latest[1]
        dtype = np.dtype(dtype or self.dtype)
        key = (name, len(shape), dtype)
        held, array = self._arrays.get(key, ((), None))
        if array is None or any(map(operator.lt, held, shape)):
            if array is not None:
                shape = tuple(map(max, held, shape))
            sizes = [max(size, 1) for size in shape]
            if len(sizes) == 2:
                line = ALIGNMENT // dtype.itemsize
                sizes[1] = -(-sizes[1] // line) * line
            held, array = shape, aligned_empty(sizes, dtype)
            self._arrays[key] = (held, array)
            Scratch.growths += 1
        self._latest[name] = (held, array)
        return array

    def rows(self, name: str, threads: int, size: int, dtype: Any = None) -> np.ndarray:
        """Return memory with a row of at least `size` for each thread, far from the others'.

        A single row needs no gap, nor do those of nothing, which a kernel only takes.
        """
        if threads > 1 and size > 1:
            size += GAP // np.dtype(dtype or self.dtype).itemsize
        return self(name, threads, size, dtype=dtype)


class Kept:
    """The memory of all that this thread runs meanwhile, to run it again at the same addresses.

    What is made of weights is not computed again then: `constant` gives it memory of its own.
    """

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []

    def __enter__(self) -> Kept:
        self._before, _keeping.kept = _keeping.kept, self
        return self

    def __exit__(self, *error: object) -> None:
        _keeping.kept = self._before


class _Keeping(threading.local):
    """What keeps the memory of the running thread, if anything."""

    kept: Kept | None = None


_keeping = _Keeping()


def is_kept() -> bool:
    """Whether what runs now will run again at the same addresses."""
    return _keeping.kept is not None


def constant(scratch: Scratch, name: str, size: int) -> np.ndarray:
    """Return memory for what is made of weights alone: scratch, new where it is `Kept`."""
    kept = _keeping.kept
    if kept is None:
        return scratch(name, size)
    array = aligned_empty((size,), scratch.dtype)
    kept.arrays.append(array)
    return array


class Pool:
    """Scratch that plans have in common, none of which needs what it wrote at an earlier call.

    Whoever runs many plans one after the other gives them one: `with sharing(pool): ...` around
    where the plans are made.
    """

    def __init__(self) -> None:
        self._of_dtypes: dict[np.dtype, Scratch] = {}

    def scratch(self, dtype: Any) -> Scratch:
        """Return the scratch for a dtype."""
        return self._of_dtypes.setdefault(np.dtype(dtype), Scratch(dtype))

    @property
    def nbytes(self) -> int:
        """How much memory is held."""
        return sum(scratch.nbytes for scratch in self._of_dtypes.values())


class _Current(threading.local):
    """The pool of the plans that the running thread makes, if they have one."""

    pool: Pool | None = None


_current = _Current()


def current_pool() -> Pool | None:
    """Return the pool of the plans that the running thread makes, None if each has its own."""
    return _current.pool


@contextlib.contextmanager
def sharing(pool: Pool | None) -> Iterator[None]:
    """Let the plans that the running thread makes have this pool, or with None each its own."""
    before, _current.pool = _current.pool, pool
    try:
        yield
    finally:
        _current.pool = before


def temporary(dtype: Any) -> Scratch:
    """Return scratch for what a call needs and nobody after it: the pool's, where there is one."""
    return Scratch(dtype) if _current.pool is None else _current.pool.scratch(dtype)
