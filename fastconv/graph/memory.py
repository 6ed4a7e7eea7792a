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

from .._core.lending import Block, smallest
from ..layers.workspace import Workspace

_SMALLEST = 256  # bytes: less is not worth a search


class Arena:
    """The blocks of memory that all passes of an executor use, one after another."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []

    @property
    def nbytes(self) -> int:
        """How many bytes all blocks have together."""
        return sum(block.nbytes for block in self.blocks)

    def keep(self, used: Iterable[Block]) -> None:
        """Let go of all blocks but those that are `used`."""
        kept = set(used)
        self.blocks = [block for block in self.blocks if block in kept]


class _Lent(NamedTuple):
    """What a result was lent."""

    array: weakref.ref[np.ndarray]
    block: Block
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
        array = block.lend(shape, dtype, self._free.append)
        self._lent[workspace, key] = _Lent(weakref.ref(array), block, shape, dtype)
        return array

    def _take(self, size: int) -> Block:
        """Return the smallest free block that is large enough, or a new one."""
        block = smallest(self._free, size, math.inf)
        if block is None:
            block = Block(size)
            self._arena.blocks.append(block)
        else:
            self._free.remove(block)
        return block

    def finish(self) -> list[Block]:
        """Let every workspace keep the memory that its results had; return the blocks."""
        for (workspace, key), lent in self._lent.items():
            if (workspace, key) not in self._several:
                workspace.keep(key, lent.block.view(lent.shape, lent.dtype))
        return [lent.block for lent in self._lent.values()]
