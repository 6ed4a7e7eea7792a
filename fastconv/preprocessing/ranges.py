"""The ranges that ImageDataGenerator is given: checked, and drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.validation import finite, wrong_value


def magnitude(value: Any, argument: str, owner: str) -> float:
    """Return `value` as a finite number of at least 0; an int stays one."""
    number = finite(value, argument, owner)
    if number < 0:
        raise wrong_value(value, argument, owner, "at least 0")
    return number


def pair(value: Any, argument: str, owner: str) -> tuple[float, float]:
    """Return `value` as a pair of numbers of at least 0, the lowest first."""
    condition = "a pair (lowest, highest)"
    try:
        lowest, highest = value
    except (TypeError, ValueError):
        raise wrong_value(value, argument, owner, condition) from None
    limits = magnitude(lowest, argument, owner), magnitude(highest, argument, owner)
    if limits[0] > limits[1]:
        raise wrong_value(value, argument, owner, condition, "the lowest comes first")
    return limits


def zoom_pair(value: Any, argument: str, owner: str) -> tuple[float, float]:
    """Return the smallest and the largest zoom; a single z means (1 - z, 1 + z)."""
    if np.ndim(value):
        lowest, highest = pair(value, argument, owner)
    else:
        spread = magnitude(value, argument, owner)
        lowest, highest = 1 - spread, 1 + spread
    if lowest <= 0:
        condition = "a number below 1, or a pair (lowest, highest) above 0"
        raise wrong_value(value, argument, owner, condition)
    return lowest, highest


def share_pair(value: Any, argument: str, owner: str) -> tuple[float, float]:
    """Return the smallest and the largest share, from 0 to 1; a single s means (s, s)."""
    lowest, highest = pair(value if np.ndim(value) else (value, value), argument, owner)
    if highest > 1:
        condition = "a share of the picture's sides, from 0 to 1, or a pair (lowest, highest)"
        raise wrong_value(value, argument, owner, condition)
    return lowest, highest


def mix_alpha(value: Any, argument: str, owner: str) -> float:
    """Return the parameter of a Beta distribution, 0 for none; NumPy draws no larger one well."""
    alpha = magnitude(value, argument, owner)
    if alpha > 1e6:
        raise wrong_value(value, argument, owner, "from 0 to 1e6", "1 makes all shares probable")
    return alpha


def amounts(value: Any, argument: str, owner: str) -> float | tuple[float, ...]:
    """Return the shift `value`: a number, or a tuple of amounts to choose from."""
    if np.ndim(value) == 1 and len(value):
        return tuple(magnitude(abs(amount), argument, owner) for amount in value)
    return magnitude(value, argument, owner)


def between(limits: tuple[float, float], draws: np.ndarray) -> np.ndarray:
    """Return the points between the limits that `draws`, numbers from 0 to 1, stand for."""
    lowest, highest = limits
    return lowest + (highest - lowest) * draws


def either_way(limit: float, draws: np.ndarray) -> np.ndarray:
    """Return the points between -limit and limit that `draws`, from 0 to 1, stand for."""
    return between((-limit, limit), draws)


def rectangles(shares: np.ndarray, places: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return rectangles inside a picture, (n, 4) ints: top, bottom, left, right.

    Args:
        shares: (n, 2), the rectangles' height and width as shares of the picture's.
        places: (n, 2), random numbers from 0 to 1 that say where the top and the left are.
    """
    size = np.array([height, width])
    lengths = np.rint(shares * size).astype(int)
    # A place is below 1, and yet its product may be rounded up to the whole.
    starts = np.minimum((places * (size - lengths + 1)).astype(int), size - lengths)
    return np.stack([starts, starts + lengths], axis=-1).reshape(-1, 4)


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
