"""What belongs to no model: the random seed, automatic names, classes of a user's own."""

from __future__ import annotations

import random as python_random

import numpy as np

from ._core import random
from ._core.naming import automatic_names
from ._core.registry import custom_object_scope
from ._core.validation import integer, wrong_value

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
    number = integer(seed, "seed", "set_random_seed")
    if not 0 <= number < 2**32:
        raise wrong_value(seed, "seed", "set_random_seed", "in [0, 2**32)")
    random.seed(number)
    np.random.seed(number)
    python_random.seed(number)


def clear_session() -> None:
    """Start automatic names from the beginning again."""
    automatic_names.clear()
