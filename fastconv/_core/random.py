"""Where fastconv's randomness comes from: one root seed, numbered children.

Child `n` depends on the root seed and on `n` alone, so a run is repeated by
`utils.set_random_seed` and continued by `get_state` and `set_state`.  Unless a
seed is set, the root is drawn from the operating system.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from .locks import Locked
from .validation import natural


class _Root(Locked):
    """The root seed and how many children it has given away."""

    def __init__(self) -> None:
        super().__init__()
        self._seed: int | None = None
        self._count = 0

    def reset(self, seed: int, count: int = 0) -> None:
        with self.lock:
            self._seed, self._count = seed, count

    def state(self) -> tuple[int, int]:
        with self.lock:
            return self._current_seed(), self._count

    def next(self) -> int:
        with self.lock:
            sequence = np.random.SeedSequence(self._current_seed(), spawn_key=(self._count,))
            self._count += 1
        return int(sequence.generate_state(1, np.uint64)[0])

    def _current_seed(self) -> int:
        if self._seed is None:
            self._seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
        return self._seed


_root = _Root()
_own_root: ContextVar[_Root | None] = ContextVar("_own_root", default=None)


def _current_root() -> _Root:
    own = _own_root.get()
    return _root if own is None else own


@contextmanager
def apart(value: int) -> Iterator[None]:
    """Draw from a root of the block's own, seeded by `value`; other threads do not notice."""
    own = _Root()
    own.reset(natural(value, "seed", "random.apart"))
    token = _own_root.set(own)
    try:
        yield
    finally:
        _own_root.reset(token)


def seed(value: int) -> None:
    """Start fastconv's own random numbers anew from `value`, an int of at least 0."""
    _current_root().reset(natural(value, "seed", "random.seed"))


def next_seed() -> int:
    """Return the next child seed, an int below 2**64."""
    return _current_root().next()


def generator(seed: int | None = None) -> np.random.Generator:
    """Return a new PCG64 generator, from `seed` or else from the next child seed."""
    return np.random.Generator(np.random.PCG64(next_seed() if seed is None else seed))


def get_state() -> dict[str, int]:
    """Return the root's state; it fits JSON."""
    seed, count = _current_root().state()
    return {"seed": seed, "count": count}


def set_state(state: dict[str, Any]) -> None:
    """Restore what `get_state` returned."""
    try:
        seed, count = int(state["seed"]), int(state["count"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"random.set_state: {state!r} is no state; give what get_state() returned"
        ) from None
    if seed < 0 or count < 0:
        raise ValueError(f"random.set_state: {state!r} holds a negative number")
    _current_root().reset(seed, count)
