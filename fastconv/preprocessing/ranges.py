"""The ranges that ImageDataGenerator is given: checked, and drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core.options import Check, Option
from .._core.validation import real_number


def choice(accepted: Sequence[Any]) -> Option:
    """Return an attribute whose values are among the `accepted`."""
    return Option(lambda value, argument, owner: one_of(value, accepted, argument, owner))


def optional(check: Check) -> Option:
    """Return an attribute whose values are None or what `check` returns."""

    def none_or_checked(value: Any, argument: str, owner: str) -> Any:
        return None if value is None else check(value, argument, owner)

    return Option(none_or_checked)


def one_of(value: Any, accepted: Sequence[Any], argument: str, owner: str) -> Any:
    """Return `value` if it is among the `accepted`."""
    if value not in accepted:
        raise ValueError(
            f"{owner}: {argument} is {value!r}; it must be one of {', '.join(map(repr, accepted))}"
        )
    return value


def at_least_zero(value: Any, argument: str, owner: str) -> float:
    """Return `value` if it is a finite number of at least 0."""
    number = real_number(value, argument, owner)
    if number < 0:
        raise ValueError(f"{owner}: {argument} is {value!r}; it must be at least 0")
    return number


def fraction(value: Any, argument: str, owner: str) -> float:
    """Return `value` if it is a number from 0 to below 1."""
    number = real_number(value, argument, owner)
    if not 0 <= number < 1:
        raise ValueError(f"{owner}: {argument} is {value!r}; it must be from 0 to below 1")
    return number


def pair(value: Any, argument: str, owner: str) -> tuple[float, float]:
    """Return `value` as a pair of numbers of at least 0, the lowest first."""
    try:
        lowest, highest = value
    except (TypeError, ValueError):
        raise ValueError(
            f"{owner}: {argument} is {value!r}; it must be a pair (lowest, highest)"
        ) from None
    limits = at_least_zero(lowest, argument, owner), at_least_zero(highest, argument, owner)
    if limits[0] > limits[1]:
        raise ValueError(
            f"{owner}: {argument} is {value!r}; it must be a pair (lowest, highest), the lowest "
            "comes first"
        )
    return limits


def zoom_pair(value: Any, argument: str, owner: str) -> tuple[float, float]:
    """Return the smallest and the largest zoom; a single z means (1 - z, 1 + z)."""
    if np.ndim(value):
        lowest, highest = pair(value, argument, owner)
    else:
        spread = at_least_zero(value, argument, owner)
        lowest, highest = 1 - spread, 1 + spread
    if lowest <= 0:
        raise ValueError(
            f"{owner}: {argument} is {value!r}; the smallest factor must stay above 0 (a single "
            "number below 1)"
        )
    return lowest, highest


def amounts(value: Any, argument: str, owner: str) -> float | tuple[float, ...]:
    """Return the shift `value`: a number, or a tuple of amounts to choose from."""
    if np.ndim(value) == 1 and len(value):
        return tuple(at_least_zero(abs(amount), argument, owner) for amount in value)
    return at_least_zero(value, argument, owner)


def between(limits: tuple[float, float], draws: np.ndarray) -> np.ndarray:
    """Return the points between the limits that `draws`, numbers from 0 to 1, stand for."""
    lowest, highest = limits
    return lowest + (highest - lowest) * draws


def either_way(limit: float, draws: np.ndarray) -> np.ndarray:
    """Return the points between -limit and limit that `draws`, from 0 to 1, stand for."""
    return between((-limit, limit), draws)


def shifts(
    amount: float | tuple[float, ...], size: int, draws: np.ndarray, signs: np.ndarray
) -> np.ndarray:
    """Return shifts in pixels; `draws` and `signs` are random numbers from 0 to 1."""
    if isinstance(amount, tuple):
        chosen = np.take(amount, (draws * len(amount)).astype(int)) * np.where(signs < 0.5, 1, -1)
        return chosen * (size if max(amount) < 1 else 1.0)
    if isinstance(amount, (int, np.integer)):
        return np.floor(between((1 - amount, amount), draws)) if amount else np.zeros_like(draws)
    return either_way(amount * size if amount < 1 else amount, draws)
