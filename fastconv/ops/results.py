"""Memory of results: the caller's, or that of an earlier result that nobody looks at any more.

The system hands out memory page by page and clears each: a result of some megabytes may take as
long as what is computed into it.  So the memory of large results comes back when they are gone,
and the next one of about that size gets it.  Small ones are NumPy's.
"""

from __future__ import annotations

import math

import numpy as np

from .._core.lending import Block, smallest
from .._core.session import forgotten_by
from .._core.validation import output_array

LEAST = 2**19
"""Numbers in a result whose memory is used again.  What the C library finds for less is seldom
fresh, and found in less time."""
MOST_BYTES = 2**28
"""Of all memory that waits to be used again."""
MOST_BLOCKS = 32
WASTE = 1.25
"""How many times larger than its result memory may be: a small result holds no large block."""


class Recycled:
    """Memory of results that are gone, for those to come.

    There is no lock: a result may be let go of at any moment, even within these methods.  Each
    step is one that Python does at once, and what another thread took meanwhile is not there.
    """

    def __init__(self, most_bytes: int = MOST_BYTES, most_blocks: int = MOST_BLOCKS) -> None:
        self._most_bytes, self._most_blocks = most_bytes, most_blocks
        self._free: dict[Block, int] = {}  # those that came back last are at the end

    @property
    def nbytes(self) -> int:
        """How much memory waits to be used again."""
        return sum(list(self._free.values()))

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Return uninitialised memory for a result."""
        size = math.prod(shape)
        if size < LEAST or (nbytes := size * dtype.itemsize) > self._most_bytes:
            return np.empty(shape, dtype)
        # Those first that came back last, which are in the caches still.
        while (block := smallest([*self._free][::-1], nbytes, WASTE * nbytes)) is not None:
            if self._free.pop(block, None) is not None:
                break
        return (block or Block(nbytes)).lend(shape, dtype, self._take_back)

    def _take_back(self, block: Block) -> None:
        free = self._free
        free[block] = block.nbytes
        sizes = list(free.values())
        excess, surplus = sum(sizes) - self._most_bytes, len(sizes) - self._most_blocks
        if excess <= 0 and surplus <= 0:
            return
        for oldest in list(free):
            if excess <= 0 and surplus <= 0:
                break
            free.pop(oldest, None)
            excess, surplus = excess - oldest.nbytes, surplus - 1

    def clear(self) -> None:
        """Let go of all of it."""
        self._free.clear()


memory = Recycled()
forgotten_by(memory.clear)


def result(
    out: np.ndarray | None,
    shape: tuple[int, ...],
    dtype: np.dtype,
    owner: str,
    *inputs: np.ndarray | None,
    argument: str = "out",
) -> np.ndarray:
    """Return `out`, checked, or memory for a result if it is None."""
    if out is None:
        return memory.empty(shape, dtype)
    return output_array(out, shape, dtype, argument, owner, *inputs)
