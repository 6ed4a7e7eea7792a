"""What labels say: which values they may have, and their classes' names and weights."""

from __future__ import annotations

import math
import unicodedata
import warnings
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from .._core.validation import NUMBER_KINDS
from ..losses import Loss
from .batches import Batch


def check_label_dtype(y: np.ndarray, owner: str) -> None:
    """Refuse labels that are no numbers, such as the classes' names."""
    if y.dtype.kind not in NUMBER_KINDS:
        raise TypeError(
            f"{owner}: y has dtype {y.dtype}; it must be of numbers; for names of classes give "
            "numpy.unique(y, return_inverse=True)[1]"
        )


def rows_without_number(y: np.ndarray, first: int = 0) -> str:
    """Return `; y is no number in rows 3, 7`, counted from `first`, or nothing."""
    if y.dtype.kind != "f":
        return ""
    bad = ~np.isfinite(y.reshape(len(y), -1)).all(axis=1)
    rows = (first + np.flatnonzero(bad)).tolist()
    if not rows:
        return ""
    listed = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
    return f"; y is no number in row{'s' * (len(rows) > 1)} {listed}"


#: Predicted values whose labels are checked at a time; bounds the memory of the check.
_VALUES_CHECKED = 1 << 16


class LabelCheck(NamedTuple):
    """What a loss says to labels, for predictions of rows of a `shape`."""

    loss: Loss
    shape: tuple[int, ...]
    logits: bool
    class_weight: Mapping[int, float] | None

    def all_rows(self, y: np.ndarray, weight: np.ndarray | None, owner: str) -> None:
        """Raise what the loss would raise, whatever the prediction."""
        # So many rows at a time: a row of labels may be as large as an image.
        step = max(1, _VALUES_CHECKED // max(1, math.prod(self.shape)))
        if len(y) <= step and self.class_weight is None:  # as most batches
            self._rows(y, weight, 0, owner)
            return
        for start in range(0, len(y), step):
            rows = slice(start, start + step)
            part = Batch(y[rows], y[rows], None if weight is None else weight[rows])
            weights = weigh_classes(part, self.class_weight, owner).sample_weight
            self._rows(y[rows], weights, start, owner)

    def _rows(self, y: np.ndarray, weight: np.ndarray | None, start: int, owner: str) -> None:
        try:
            self.loss.check(y, (len(y), *self.shape), weight, logits=self.logits)
        except (ValueError, TypeError) as error:
            where = rows_without_number(y, start)
            raise reworded(error, f"{owner}: {error}{where}") from None


def reworded(error: Exception, text: str) -> Exception:
    """Return an error of the same kind that says more."""
    return (ValueError if isinstance(error, ValueError) else TypeError)(text)


# Weights of classes


def check_class_weight(class_weight: Any, owner: str) -> dict[int, float] | None:
    """Return `class_weight`, class index to weight, or raise."""
    if class_weight is None:
        return None
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f"{owner}: class_weight is {class_weight!r}; it must be a dict such as "
            "{0: 1.0, 1: 2.0}"
        )
    weights = {}
    for index, weight in class_weight.items():
        if not (_is_class(index) and _is_finite(weight)):
            raise ValueError(
                f"{owner}: class_weight is {class_weight!r}; it must have class indices "
                "(0, 1, ...) for keys and finite numbers for values"
            )
        weights[int(index)] = float(weight)
    return weights


def _is_class(index: Any) -> bool:
    return isinstance(index, Real) and float(index).is_integer() and float(index) >= 0


def _is_finite(weight: Any) -> bool:
    return isinstance(weight, Real) and math.isfinite(weight)


def check_weighed_classes(
    class_weight: Mapping[int, float] | None, classes: int, owner: str
) -> None:
    """Refuse a weight of a class that a model of so many classes does not have."""
    for index in class_weight or ():
        if index >= classes:
            raise ValueError(
                f"{owner}: class_weight has the class {index}; it must be one of the model's "
                f"{classes} classes, 0 to {classes - 1}"
            )


def weigh_classes(
    batch: Batch, class_weight: Mapping[int, float] | None, owner: str = "class_weight"
) -> Batch:
    """Multiply each row's weight by that of its class; classes not named weigh 1.

    As in Keras a row's class is its label, rounded, or the place of the
    largest number of its one-hot label.

    Raises ValueError where rows are not of one class each, and where
    `sample_weight` has more than one number for a row.
    """
    if class_weight is None or batch.y is None:
        return batch
    classes = _classes_of_rows(batch.y, owner)
    weight = np.ones(len(classes), np.float32)
    for index, value in class_weight.items():
        weight[classes == index] = value
    if batch.sample_weight is not None:
        if batch.sample_weight.size != len(classes):
            raise ValueError(
                f"{owner}: sample_weight has shape {batch.sample_weight.shape}; together with "
                f"class_weight it must be {classes.shape}"
            )
        weight *= batch.sample_weight.reshape(len(classes))
    return batch._replace(sample_weight=weight)


def _classes_of_rows(labels: np.ndarray, owner: str) -> np.ndarray:
    if labels.size == len(labels):
        classes = labels.reshape(len(labels))
        return np.rint(classes) if classes.dtype.kind == "f" else classes
    if labels.ndim == 2 and np.allclose(labels.sum(axis=1), 1, atol=1e-3):
        return labels.argmax(axis=1)
    raise ValueError(
        f"{owner}: class_weight weighs whole rows by the one class of each; y of shape "
        f"{labels.shape} has "
        + (
            "rows that are not one-hot (they do not add up to 1)"
            if labels.ndim == 2
            else "many labels for a row"
        )
        + "; give sample_weight instead"
    )


# Names of classes


def numbered(names: Any) -> dict[str, int] | None:
    """Return `class_indices`, or a list of classes' names, as a dict; None for anything else."""
    if isinstance(names, Mapping):
        pairs: Iterable[tuple[Any, Any]] = names.items()
    elif isinstance(names, (list, tuple)):
        pairs = zip(names, range(len(names)), strict=True)
    else:
        return None
    # One name may be written in two ways: file systems differ in how they compose letters.
    return {unicodedata.normalize("NFC", str(name)): number for name, number in pairs}


def class_indices_of(data: Any) -> Any:
    """Return the numbers of the classes' names of an iterator whose labels they are, or None."""
    if getattr(data, "class_mode", "categorical") in (None, "input", "raw"):
        return None
    return getattr(data, "class_indices", None)


def check_same_classes(
    known: Any, given: Any, owner: str, role: str = "training", *, stacklevel: int = 2
) -> None:
    """Refuse data whose classes' numbers mean something else than the `role`'s.

    `known` and `given` are `class_indices`, lists of names, or None where names
    are not told. Where no name is common to both it may be another way of
    naming the same: a warning says which name is taken for which, at `stacklevel`.
    """
    mine, theirs = numbered(known), numbered(given)
    if not mine or not theirs or mine == theirs:
        return
    shared = mine.keys() & theirs.keys()
    said = f"{owner}: the classes are {_listed(theirs)}, the {role}'s {_listed(mine)}"
    if any(mine[name] != theirs[name] for name in shared) or (
        theirs.keys() - shared if shared else len(mine) != len(theirs)
    ):
        raise ValueError(
            f"{said}; they must be the same: name the folders alike, or give classes=[...] to both"
        )
    if shared:
        said += "; there is no data of " + ", ".join(name for name in mine if name not in shared)
    else:
        said += "; they are taken for the same classes by their numbers"
    warnings.warn(said, stacklevel=stacklevel)


def _listed(classes: Mapping[str, int]) -> str:
    return ", ".join(f"{number}: {name}" for name, number in classes.items())
