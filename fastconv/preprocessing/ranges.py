"""The ranges that ImageDataGenerator is given: checked, and drawn from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._core.options import Option

OWNER = "ImageDataGenerator"


def checked(check: Callable[[Any, str], Any]) -> Option:
    """Return the attribute of a generator whose values `check(value, name)` returns or refuses."""
    return Option(lambda value, argument, owner: check(value, argument))


def signed_number(value: Any, argument: str) -> float:
    """Return `value` if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{OWNER}: {argument} is {value!r}; a number is accepted")
    if not math.isfinite(value):
        raise ValueError(f"{OWNER}: {argument} is {value!r}; a finite number is accepted")
    return plain(value)


def number(value: Any, argument: str) -> float:
    """Return `value` if it is a finite number of at least 0."""
    if signed_number(value, argument) < 0:
        raise ValueError(f"{OWNER}: {argument} is {value!r}; a number of at least 0 is accepted")
    return plain(value)


def plain(value: float | np.generic) -> float:
    """Return NumPy's number as one of Python's, which a saved model can hold."""
    return value.item() if isinstance(value, np.generic) else value


def pair(value: Any, argument: str) -> tuple[float, float]:
    """Return `value` as a pair of numbers, the lowest first."""
    try:
        lowest, highest = value
    except (TypeError, ValueError):
        raise ValueError(
            f"{OWNER}: {argument} is {value!r}; a pair (lowest, highest) is accepted"
        ) from None
    if number(lowest, argument) > number(highest, argument):
        raise ValueError(f"{OWNER}: {argument} is {value!r}; the lowest comes first")
    return plain(lowest), plain(highest)


def zoom_pair(value: Any) -> tuple[float, float]:
    """Return the smallest and the largest zoom; a single z means (1 - z, 1 + z)."""
    if np.ndim(value):
        lowest, highest = pair(value, "zoom_range")
    else:
        value = number(value, "zoom_range")
        lowest, highest = 1 - value, 1 + value
    if lowest <= 0:
        raise ValueError(
            f"{OWNER}: zoom_range is {value!r}; the smallest factor must stay above 0 (a single "
            "number below 1)"
        )
    return lowest, highest


def amounts(value: Any, argument: str) -> float | tuple[float, ...]:
    """Return the shift `value`: a number, or a tuple of amounts to choose from."""
    if np.ndim(value) == 1 and len(value):
        return tuple(number(abs(amount), argument) for amount in value)
    return number(value, argument)


def one_of(value: Any, accepted: Sequence[Any], argument: str, owner: str = OWNER) -> Any:
    """Return `value` if it is among the `accepted`."""
    if value not in accepted:
        raise ValueError(
            f"{owner}: {argument} is {value!r}; it must be one of {', '.join(map(repr, accepted))}"
        )
    return value


def between(lowest: float, highest: float, draws: np.ndarray) -> np.ndarray:
    """Return the points between the two that `draws`, numbers from 0 to 1, stand for."""
    return lowest + (highest - lowest) * draws


def either_way(limit: float, draws: np.ndarray) -> np.ndarray:
    """Return the points between -limit and limit that `draws`, from 0 to 1, stand for."""
    return between(-limit, limit, draws)


def shifts(
    amount: float | tuple[float, ...], size: int, draws: np.ndarray, signs: np.ndarray
) -> np.ndarray:
    """Return shifts in pixels; `draws` and `signs` are random numbers from 0 to 1."""
    if isinstance(amount, tuple):
        chosen = np.take(amount, (draws * len(amount)).astype(int)) * np.where(signs < 0.5, 1, -1)
        return chosen * (size if max(amount) < 1 else 1.0)
    if isinstance(amount, (int, np.integer)):
        return np.floor(between(1 - amount, amount, draws)) if amount else np.zeros_like(draws)
    return either_way(amount * size if amount < 1 else amount, draws)
