"""What belongs to no model: the random seed, automatic names, classes of a user's own."""

from __future__ import annotations

import random as python_random

import numpy as np

from ._core import random
from ._core.naming import automatic_names
from ._core.registry import custom_object_scope

__all__ = ["clear_session", "custom_object_scope", "set_random_seed"]


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


def clear_session() -> None:
    """Start automatic names from the beginning again."""
    automatic_names.clear()
