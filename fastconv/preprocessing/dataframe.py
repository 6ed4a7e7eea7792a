"""Batches from a table whose columns have image files, targets and weights."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .._core.naming import shortened
from .._core.validation import truth, wrong_type, wrong_value
from .files import CLASS_MODES, targets_of
from .labels import class_labels, raw_targets
from .paths import PathsIterator
from .transform import ImageTransform


class DataFrameIterator(PathsIterator):
    """Batches of the image files named in a column of a table, of pandas or a dict of columns.

    Args:
        dataframe: the table. It is read now; later changes of it do not count.
        directory: what relative paths start from; None is the working directory.
        x_col: the column of the files.
        y_col: the column of the labels or targets, or several of them.
        weight_col: a column of finite numbers, the rows' sample weights: batches are
            (x, y, weights) then.
        classes: the labels to use, in the order of their numbers; rows of others are left
            out. By default those that occur, sorted.
        class_mode: "categorical", "binary", "sparse", "input", "raw" and None as in
            PathsIterator. With "categorical" a cell may be a list of labels, each of which is
            a 1 in the row of targets; "raw" also takes several columns, (n, columns);
            "multi_output" takes a list of columns, and gives a tuple of float32 arrays.
        validate_filenames: whether to look at every file now, and leave out those that are no
            images. Without, one that cannot be read is told of and left out when it is its
            turn.
        subset, others: see PathsIterator.

    Attributes: those of PathsIterator; `sample_weight` where there is a `weight_col`.

    Raises:
        ValueError: a column that is not there, cells that are neither labels nor numbers.
        TypeError: a path that is no string; a column that is not of numbers.
    """

    owner = "flow_from_dataframe"
    _class_modes = ("multi_output", "raw", *CLASS_MODES)

    def __init__(
        self,
        dataframe: Mapping[str, Any],
        image_data_generator: ImageTransform,
        directory: str | os.PathLike[str] | None = None,
        x_col: str = "filename",
        y_col: str | Sequence[str] | None = "class",
        weight_col: str | None = None,
        *,
        classes: Sequence[Any] | None = None,
        class_mode: str | None = "categorical",
        validate_filenames: bool = True,
        **options: Any,
    ) -> None:
        self._validates = truth(validate_filenames, "validate_filenames", self.owner)
        if not (isinstance(dataframe, Mapping) or hasattr(dataframe, "columns")):
            condition = "a pandas.DataFrame or a dict of columns"
            raise wrong_type(dataframe, "dataframe", self.owner, condition)
        self._x_col = x_col
        paths = self._paths_in(dataframe, x_col)
        labels = self._targets_in(dataframe, y_col, class_mode)
        if weight_col is not None:
            if class_mode is None:
                remedy = "there are no targets to weigh"
                raise wrong_value(weight_col, "weight_col", self.owner, "None", remedy)
            self._weights = self._weights_in(dataframe, weight_col)
        if classes is not None and len(classes) and labels is not None:
            paths, labels = self._of_classes(classes, paths, labels, class_mode)
        self._several = class_mode == "categorical" and labels is not None and _has_lists(labels)
        super().__init__(
            paths,
            labels,
            image_data_generator,
            directory,
            classes=classes,
            class_mode=class_mode,
            **options,
        )

    # Columns

    def _column(self, table: Mapping[str, Any], name: Any) -> list[Any]:
        if name not in table:
            listed = f"one of {', '.join(map(str, table))}"
            raise wrong_value(name, "a column", self.owner, listed)
        cells = list(table[name])
        if len(cells) != len(table[self._x_col]):
            raise ValueError(
                f"{self.owner}: column {name!r} has {len(cells)} rows; it must have "
                f"{len(table[self._x_col])}, as {self._x_col!r} has"
            )
        return cells

    def _paths_in(self, table: Mapping[str, Any], x_col: str) -> list[Any]:
        paths = self._column(table, x_col)
        wrong = [
            f"row {row} is {path!r}"
            for row, path in enumerate(paths)
            if not isinstance(path, (str, os.PathLike)) or path == ""
        ]
        if wrong:
            raise TypeError(
                f"{self.owner}: All values in column x_col={x_col} must be strings: "
                f"{shortened(wrong)}"
            )
        return paths

    def _targets_in(self, table: Mapping[str, Any], y_col: Any, class_mode: str | None) -> Any:
        """Return the labels or targets of each row, None where there are none."""
        if class_mode in ("input", None):
            return None
        if y_col is None:
            raise wrong_value(
                y_col,
                "y_col",
                self.owner,
                f"a column, for class_mode={class_mode!r}",
                "for images without targets give class_mode=None",
            )
        single = isinstance(y_col, str) or not isinstance(y_col, Iterable)
        if class_mode == "multi_output" and single:
            raise TypeError(
                f'{self.owner}: If class_mode="multi_output", y_col must be a list. Received '
                f"{type(y_col).__name__}."
            )
        columns = [self._column(table, name) for name in ([y_col] if single else y_col)]
        if not columns or not (single or class_mode in ("raw", "multi_output")):
            remedy = "several are for class_mode='raw' or 'multi_output'"
            raise wrong_value(y_col, "y_col", self.owner, "one column", remedy)
        if class_mode == "multi_output":
            return [raw_targets(column, self.owner) for column in columns]
        if single:
            return columns[0]
        return np.stack([raw_targets(column, self.owner) for column in columns], axis=1)

    def _weights_in(self, table: Mapping[str, Any], weight_col: str) -> np.ndarray:
        values = np.asarray(self._column(table, weight_col))
        if values.dtype.kind not in "biuf":
            raise TypeError(f"{self.owner}: Column weight_col={weight_col} must be numeric.")
        if not np.isfinite(values).all():
            rows = [f"row {row}" for row in np.flatnonzero(~np.isfinite(values)).tolist()]
            raise ValueError(
                f"{self.owner}: column weight_col={weight_col} is no finite number in "
                f"{shortened(rows)}"
            )
        return values.astype(np.float32)

    def _of_classes(
        self, classes: Sequence[Any], paths: list[Any], labels: list[Any], class_mode: str | None
    ) -> tuple[list[Any], list[Any]]:
        """Return the rows whose labels are among the classes; others of a list are dropped."""
        if class_mode in ("raw", "multi_output"):
            remedy = f"class_mode={class_mode!r} has none"
            raise wrong_value(list(classes), "classes", self.owner, "None", remedy)
        known = set(class_labels(classes, "classes", self.owner))
        kept: list[int] = []
        for row, label in enumerate(labels):
            if not _is_list(label):
                found = known.intersection(class_labels([label], f"row {row}", self.owner))
            elif found := known.intersection(class_labels(label, f"row {row}", self.owner)):
                labels[row] = [one for one in label if {one} & found]
            if found:
                kept.append(row)
        if self._weights is not None:
            self._weights = self._weights[kept]
        if not kept:
            raise ValueError(f"{self.owner}: no row has a label among classes, {list(classes)!r}")
        return [paths[row] for row in kept], [labels[row] for row in kept]

    # What PathsIterator does with them

    def _label(self, labels: Any, classes: Sequence[Any] | None, count: int) -> None:
        if self.class_mode == "multi_output":
            self.class_indices, self.num_classes = {}, 0
            self.labels = np.empty(count, object)
            self.labels[:] = list(zip(*labels, strict=True))
            return
        if not self._several:
            super()._label(labels, classes, count)
            return
        rows = [
            class_labels(label if _is_list(label) else [label], f"labels of row {row}", self.owner)
            for row, label in enumerate(labels)
        ]
        every = class_labels([one for row in rows for one in row], "labels", self.owner)
        given = classes is not None and len(classes) > 0
        known = class_labels(classes or (), "classes", self.owner) if given else sorted(set(every))
        numbers = {value: number for number, value in enumerate(known)}
        self.class_indices = {str(value): number for value, number in numbers.items()}
        self.labels = np.zeros((count, len(known)), np.float32)
        for row, values in enumerate(rows):
            self.labels[row, [numbers[value] for value in values]] = 1
        self.num_classes = 0  # no image has a number of one class
        self._told_classes = len(known)

    def _readable(self, paths: Sequence[str]) -> list[int]:
        return super()._readable(paths) if self._validates else list(range(len(paths)))

    def _announce(self, text: str) -> None:
        """Say what was found, as Keras 2 does."""
        count = text.split()[1]
        validated = "validated" if self._validates else "non-validated"
        classes = self.num_classes or getattr(self, "_told_classes", 0)
        belonging = f" belonging to {classes} classes" if classes else ""
        super()._announce(f"Found {count} {validated} image filenames{belonging}.")

    def _assemble(self, indices: np.ndarray, epoch: int, threads: int | None) -> Any:
        batch, used = self._images(indices, epoch, threads)
        if self.class_mode is None:
            return batch
        targets: Any
        if self.class_mode == "input":
            targets = batch.copy()
        elif self.class_mode == "multi_output":
            rows = self._listing["labels"][used]
            columns = range(len(self._listing["labels"][0]))
            targets = tuple(np.array([row[n] for row in rows], np.float32) for n in columns)
        elif self.class_mode == "raw" or self._several:
            targets = self._listing["labels"][used]
        else:
            numbers = self._listing["labels"][used]
            targets = targets_of(self.class_mode, batch, numbers, self.num_classes)
        weights = self._listing.get("sample_weight")
        return (batch, targets) if weights is None else (batch, targets, weights[used])


def _is_list(label: Any) -> bool:
    return isinstance(label, (list, tuple, set, frozenset, np.ndarray))


def _has_lists(labels: Iterable[Any]) -> bool:
    return any(map(_is_list, labels))
