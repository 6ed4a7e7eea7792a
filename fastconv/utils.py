"""Seeding and automatic names."""

from __future__ import annotations

import random as python_random
import re
from collections import Counter

import numpy as np

from . import random
from ._locks import Locked


def set_random_seed(seed: int) -> None:
    """Seed fastconv's, NumPy's and Python's random numbers, as Keras does.

    Call it before a model is built: weights and dropout draw their seeds then.

    >>> set_random_seed(7)
    >>> first = random.next_seed()
    >>> set_random_seed(7)
    >>> random.next_seed() == first
    True

    Raises TypeError or ValueError unless `seed` is an int in [0, 2**32).
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"set_random_seed: seed is {seed!r}; give a whole number")
    if not 0 <= seed < 2**32:
        raise ValueError(f"set_random_seed: seed is {seed}; it must be in [0, 2**32)")
    random.seed(int(seed))
    np.random.seed(int(seed))
    python_random.seed(int(seed))


class _Names(Locked):
    """Counts the automatic names given out, by prefix."""

    def __init__(self) -> None:
        super().__init__()
        self._count: Counter[str] = Counter()

    def next(self, prefix: str) -> str:
        with self.lock:
            number = self._count[prefix]
            self._count[prefix] += 1
        return f"{prefix}_{number}" if number else prefix

    def clear(self) -> None:
        with self.lock:
            self._count.clear()


_names = _Names()


def automatic_name(class_name: str) -> str:
    """Return the next free name for a class: Conv2D gives "conv2d", then "conv2d_1"."""
    return _names.next(snake_case(class_name))


def clear_session() -> None:
    """Start automatic names from the beginning again."""
    _names.clear()


def snake_case(class_name: str) -> str:
    """Return Keras's spelling of a class name: MaxPooling2D gives "max_pooling2d"."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().lstrip("_")
