"""The attributes of optimizers, checked whenever they are assigned; the next step takes them."""

from __future__ import annotations

import math
from typing import Any

from .._core.options import Check, Option, owner_of
from .._core.validation import positive_integer, real


def number(highest: float = math.inf, below: float = math.inf) -> Check:
    """Return the check of a number from 0 to `highest`, and below `below`."""
    limits = "of at least 0" if highest == math.inf else f"from 0 to {highest:g}"

    def check(value: Any, argument: str, owner: str) -> float:
        if not 0 <= real(value, argument, owner) <= highest:
            raise ValueError(f"{owner}: {argument} is {value!r}; it must be a number {limits}")
        if not value < below:
            raise ValueError(f"{owner}: {argument} is {value!r}; it must be below {below:g}")
        return float(value)

    return check


at_least_zero = number()


def optional(value: Any, argument: str, owner: str) -> float | None:
    """Return None or a number of at least 0."""
    return None if value is None else at_least_zero(value, argument, owner)


def count(value: Any, argument: str, owner: str) -> int:
    """Return a whole number of at least 0."""
    return 0 if type(value) is int and value == 0 else positive_integer(value, argument, owner)


class ClipOption(Option):
    """A limit for gradients, None for none; of two that exclude each other one may be set."""

    def __init__(self, other: str) -> None:
        super().__init__(optional)
        self._other = other

    def __set__(self, instance: Any, value: Any) -> None:
        if value is not None and instance.__dict__.get(self._other) is not None:
            first, second = sorted((self.name, self._other))
            raise ValueError(
                f"{owner_of(instance)}: {first} and {second} are both given; give one of them"
            )
        super().__set__(instance, value)
