"""Small things done to arrays of labels and batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.validation import number_array, positive_integer


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Return class numbers as rows of zeros with a one, (..., num_classes) float64.

    Args:
        x: whole numbers from 0, of any shape; a last axis of 1 is dropped.
        num_classes: by default the largest number plus 1.

    Raises ValueError for a number that is no class's, TypeError for what are no numbers.

    >>> to_categorical([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]])
    """
    owner = "to_categorical"
    given = number_array(x, "x", owner)
    numbers = given.astype(np.int64)
    if not np.array_equal(numbers, given):
        raise ValueError(f"{owner}: x holds numbers that are not whole; give class numbers")
    if numbers.ndim > 1 and numbers.shape[-1] == 1:
        numbers = numbers[..., 0]
    if num_classes is None:
        count = int(numbers.max(initial=-1)) + 1
    else:
        count = positive_integer(num_classes, "num_classes", owner)
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < count:
        raise ValueError(
            f"{owner}: x holds numbers from {numbers.min()} to {numbers.max()}; they must be "
            f"from 0 to {count - 1}"
        )
    rows = np.zeros((*numbers.shape, count))
    np.put_along_axis(rows, numbers[..., np.newaxis], 1, axis=-1)
    return rows


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray:
    """Return `x` divided by its norm of `order` along `axis`; what is all 0 stays so."""
    array = number_array(x, "x", "normalize")
    norm = np.atleast_1d(np.linalg.norm(array, order, axis))
    norm[norm == 0] = 1
    quotient: np.ndarray = array / np.expand_dims(norm, axis)
    return quotient


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Return a batch of what there is: `x` (in a tuple if it is one), (x, y) or all three."""
    if sample_weight is not None:
        return x, y, sample_weight
    if y is not None:
        return x, y
    return (x,) if isinstance(x, (tuple, list)) else x


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Return (x, y, sample_weight) of a batch, None for what it has not.

    Raises ValueError for a tuple of more than three.
    """
    parts = tuple(data) if isinstance(data, (tuple, list)) else (data,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(
            f"unpack_x_y_sample_weight: data has {len(parts)} parts; it must be x, (x,), (x, y) "
            "or (x, y, sample_weight)"
        )
    return (*parts, None, None)[:3]
