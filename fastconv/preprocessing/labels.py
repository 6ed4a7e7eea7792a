"""Labels as people have them, from a table or a file name: what is no label is refused."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .._core.naming import shortened
from .listing import normalized


def class_labels(labels: Iterable[Any], argument: str, owner: str) -> list[str | int]:
    """Return labels of classes as whole numbers, or strings in NFC, as folders' names are.

    Raises:
        ValueError: some are neither, such as the NaN of a table's empty cell, or there are
            strings among numbers; the message names the rows.
    """
    values = [label.item() if isinstance(label, np.generic) else label for label in labels]
    values = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
    _refuse(
        [row for row, v in enumerate(values) if not (isinstance(v, (str, int)) and v != "")],
        values,
        f"{owner}: {argument}",
        "a class is a string or a whole number",
    )
    strings = [row for row, value in enumerate(values) if isinstance(value, str)]
    if 0 < len(strings) < len(values):
        _refuse(strings, values, f"{owner}: {argument}", "the others are numbers")
    return [normalized(value) if isinstance(value, str) else value for value in values]


def raw_targets(labels: Sequence[Any] | np.ndarray, owner: str) -> np.ndarray:
    """Return targets, numbers or arrays of them, as float32, (n, ...).

    Raises:
        ValueError: some are no finite numbers of float32; the message names the rows.
    """
    rows = labels if isinstance(labels, np.ndarray) else list(labels)
    accepted = "class_mode='raw' takes finite numbers, or arrays of one shape of them"
    try:
        array = np.asarray(rows)
    except ValueError as error:
        raise ValueError(f"{owner}: labels are not of one shape ({error}); {accepted}") from None
    if array.dtype.kind not in "buif":
        wrong = [row for row, value in enumerate(rows) if not isinstance(value, numbers.Real)]
        _refuse(wrong, rows, f"{owner}: labels", accepted)
    with np.errstate(over="ignore"):
        targets = array.astype(np.float32)
    finite = np.isfinite(targets.reshape(len(targets), -1)).all(axis=1)
    _refuse(np.flatnonzero(~finite).tolist(), rows, f"{owner}: labels", accepted)
    return targets


def _refuse(
    rows: Sequence[int], values: Sequence[Any] | np.ndarray, what: str, accepted: str
) -> None:
    if rows:
        named = shortened([f"row {row} is {values[row]!r}" for row in rows])
        raise ValueError(f"{what}: {named}; {accepted}; correct these rows or leave them out")
