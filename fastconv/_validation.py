"""Argument checks and their wording.

Every message follows one formula: what it is about, what was given, what is
accepted.  Nothing here allocates or computes; callers run these checks before
any kernel and before anything is changed.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ._memory import contiguous

FLOAT_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
NUMBER_KINDS = "fiub"
"""The `dtype.kind` of real numbers and of truth values."""


def positive_pair(value: Any, argument: str, owner: str) -> tuple[int, int]:
    """Return `value`, an int or a pair of ints, as a pair of ints of at least 1."""
    pair = (value, value) if _is_integer(value) else value
    try:
        first, second = (operator.index(v) for v in pair)
    except (TypeError, ValueError):
        raise TypeError(
            f"{owner}: {argument} is {value!r}; give a whole number or a pair of whole numbers"
        ) from None
    if first < 1 or second < 1:
        raise ValueError(f"{owner}: {argument} is {value!r}; every number must be at least 1")
    return first, second


def positive_integer(value: Any, argument: str, owner: str) -> int:
    """Return `value` as an int of at least 1."""
    if not _is_integer(value):
        raise TypeError(f"{owner}: {argument} is {value!r}; give a whole number")
    if value < 1:
        raise ValueError(f"{owner}: {argument} is {value}; it must be at least 1")
    return int(value)


def channels_last(data_format: str | None, owner: str) -> None:
    """Refuse any image layout but NHWC."""
    if data_format not in (None, "channels_last"):
        raise ValueError(
            f"{owner}: data_format={data_format!r} is not supported; fastconv keeps images as "
            "(batch, height, width, channels): use 'channels_last' and move the channel axis "
            "with numpy.moveaxis(x, 1, -1)"
        )


def float_array(value: Any, argument: str, owner: str, ndim: int | None = None) -> np.ndarray:
    """Return `value` as a C-contiguous, aligned float32 or float64 array of `ndim` dimensions.

    Such arrays are passed through, others are copied; any other dtype is
    a TypeError, since a silent conversion would hide a mistake and cost memory.
    """
    if not isinstance(value, np.ndarray):
        raise TypeError(
            f"{owner}: {argument} is a {type(value).__name__}; give a NumPy array of float32 "
            "or float64"
        )
    if value.dtype not in FLOAT_DTYPES:
        raise TypeError(
            f"{owner}: {argument} has dtype {value.dtype}; float32 and float64 are supported: "
            f"use {argument}.astype('float32')"
        )
    if ndim is not None and value.ndim != ndim:
        raise ValueError(
            f"{owner}: {argument} has shape {value.shape}; {ndim} dimensions are needed"
            + (" (batch, height, width, channels)" if ndim == 4 and argument != "kernel" else "")
        )
    # A big-endian float32 compares unequal to np.float32, so only layout is left to mend.
    return contiguous(value)


def any_array(value: Any, argument: str, owner: str) -> np.ndarray:
    """Return `value` as an array of any shape and dtype."""
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError(
            f"{owner}: {argument} is a {type(value).__name__} whose rows differ in shape; numbers "
            "are needed, one shape for all rows"
        ) from None


def number_array(value: Any, argument: str, owner: str) -> np.ndarray:
    """Return `value` as an array of real numbers, of any shape."""
    array = any_array(value, argument, owner)
    if array.dtype.kind not in NUMBER_KINDS:
        raise TypeError(
            f"{owner}: {argument} has dtype {array.dtype}; numbers are needed, one shape for all "
            "rows"
        )
    return array


def same_dtype(owner: str, **arrays: np.ndarray | None) -> np.dtype:
    """Return the one dtype of the given arrays; None is passed over."""
    found = {name: array.dtype for name, array in arrays.items() if array is not None}
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{name} {dtype}" for name, dtype in found.items())
        raise TypeError(f"{owner}: the arrays differ in dtype ({listed}); convert them to one")
    return next(iter(found.values()))


def expect_shape(array: np.ndarray, shape: tuple[int, ...], argument: str, owner: str) -> None:
    """Refuse `array` unless it has exactly `shape`."""
    if array.shape != tuple(shape):
        raise ValueError(f"{owner}: {argument} has shape {array.shape}; {tuple(shape)} is expected")


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
