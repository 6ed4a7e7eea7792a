"""Memory that is lent, and lent again when the last array that looks at it is gone.

Python tells when that is: the array that is lent, each view of it, memoryviews, what DLPack or
another library made of it, all keep the lease.  Whoever lends decides who is next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .memory import aligned_empty


class Block:
    """Bytes that start on a cache line."""

    __slots__ = ("_interface", "_memory", "_pointer", "nbytes")

    def __init__(self, nbytes: int) -> None:
        self._memory = aligned_empty((nbytes,), np.uint8)
        self._pointer = self._memory.ctypes.data
        self._interface: tuple[Any, np.dtype | None, dict[str, Any]] = (), None, {}
        self.nbytes = nbytes

    def view(self, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
        """Return the first bytes as an array; who asks knows that nobody else uses them."""
        array: np.ndarray = np.ndarray(shape, dtype, self._memory)
        return array

    def lend(
        self, shape: tuple[int, ...], dtype: np.dtype, give_back: Callable[[Block], None]
    ) -> np.ndarray:
        """Return the first bytes as an array; `give_back(block)` is called when nobody looks at
        them any more, in whatever thread and at whatever moment that is."""
        described = self._interface
        if described[0] != shape or described[1] is not dtype:  # as it is for most, the last time's
            place = {"typestr": dtype.str, "data": (self._pointer, False), "version": 3}
            described = self._interface = shape, dtype, {"shape": shape, **place}
        return np.asarray(_Lease(self, described[2], give_back))


class _Lease:
    """What the arrays that look at a block have as their base."""

    __slots__ = ("__array_interface__", "_block", "_give_back")

    def __init__(
        self, block: Block, interface: dict[str, Any], give_back: Callable[[Block], None]
    ) -> None:
        self._block, self._give_back = block, give_back
        self.__array_interface__ = interface

    def __del__(self) -> None:
        self._give_back(self._block)


def smallest(free: Iterable[Block], least: int, most: float) -> Block | None:
    """Return the smallest block of `least` to `most` bytes, the first of equals."""
    best = None
    for block in free:
        if least <= block.nbytes <= most:
            if block.nbytes == least:
                return block
            if best is None or block.nbytes < best.nbytes:
                best = block
    return best
