"""Memory of a pass: what is no longer read is used again for what comes later.

The first pass over inputs of some shapes is recorded.  Each result asks for memory, and gives it
back when the last array that looks at it is gone: Python counts who still reads it, views and what
a user's layer keeps included.  Later passes of these shapes go through the same steps, so every
result gets the very memory that it had, without asking.

That holds for fastconv's own layers, which do the same in every pass; what a user's layer reads is
kept until the pass is over (`Recording.pin`), since it may be returned or kept the next time.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from .._core.memory import aligned_empty
from ..layers.workspace import Workspace

_SMALLEST = 256  # bytes: less is not worth a search


class Arena:
    """The blocks of memory that all passes of an executor use, one after another."""

    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = []

    @property
    def nbytes(self) -> int:
        """How many bytes all blocks have together."""
        return sum(block.nbytes for block in self.blocks)

    def keep(self, used: Iterable[np.ndarray]) -> None:
        """Let go of all blocks but those that are `used`."""
        places = {block.ctypes.data for block in used}
        self.blocks = [block for block in self.blocks if block.ctypes.data in places]


class _Lease:
    """Keeps a block taken while any array that was made of it lives."""

    def __init__(self, block: np.ndarray, size: int, free: list[np.ndarray]) -> None:
        self._block, self._free = block, free
        pointer = block.ctypes.data
        self.__array_interface__ = {
            "shape": (size,),
            "typestr": "|u1",
            "data": (pointer, False),
            "version": 3,
        }

    def __del__(self) -> None:
        self._free.append(self._block)


class _Lent(NamedTuple):
    """What a result was lent."""

    array: weakref.ref[np.ndarray]
    block: np.ndarray
    shape: tuple[int, ...]
    dtype: np.dtype


class Recording:
    """A pass that is recorded: `lend` is the lender of its frames, `finish` keeps what it found."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._free = list(arena.blocks)
        self._lent: dict[tuple[Workspace, str], _Lent] = {}
        self._several: set[tuple[Workspace, str]] = set()
        self._pinned: list[np.ndarray] = []

    def pin(self, array: Any) -> None:
        """Keep an array, or a list of them, as it is until the pass is over."""
        self._pinned.append(array)

    def lend(
        self, workspace: Workspace, key: str, shape: tuple[int, ...], dtype: np.dtype
    ) -> np.ndarray | None:
        """Return memory for a result, the same while that lives; None where others must do."""
        lent = self._lent.get((workspace, key))
        held = None if lent is None else lent.array()
        if held is not None and (held.shape, held.dtype) == (shape, dtype):
            return held
        if lent is not None:  # asked for again, which one place in the arena cannot serve
            self._several.add((workspace, key))
            return None
        size = math.prod(shape) * dtype.itemsize
        if size < _SMALLEST:
            return None
        block = self._take(size)
        array = np.asarray(_Lease(block, size, self._free)).view(dtype).reshape(shape)
        self._lent[workspace, key] = _Lent(weakref.ref(array), block, shape, dtype)
        return array

    def _take(self, size: int) -> np.ndarray:
        """Return the smallest free block that is large enough, or a new one."""
        best = None
        for place, block in enumerate(self._free):
            if block.nbytes >= size and (best is None or block.nbytes < self._free[best].nbytes):
                best = place
        if best is not None:
            return self._free.pop(best)
        block = aligned_empty((size,), np.uint8)
        self._arena.blocks.append(block)
        return block

    def finish(self) -> list[np.ndarray]:
        """Let every workspace keep the memory that its results had; return the blocks."""
        for (workspace, key), lent in self._lent.items():
            if (workspace, key) in self._several:
                continue
            size = math.prod(lent.shape) * lent.dtype.itemsize
            workspace.keep(key, lent.block[:size].view(lent.dtype).reshape(lent.shape))
        return [lent.block for lent in self._lent.values()]
