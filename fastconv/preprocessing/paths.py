"""Batches from lists of image files and their labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .file_options import FileOptions
from .files import CLASS_MODES, FileIterator, targets_of
from .iterators import subset_bounds
from .labels import class_labels, raw_targets
from .transform import ImageTransform


class PathsIterator(FileIterator):
    """Batches of the image files named in a list, such as the columns of a table.

    Args:
        paths: the files, with any ending.
        labels: for each file its class, a string or a whole number, or, with
            class_mode="raw", its target: a finite number or an array of them.
            None where class_mode needs none. Anything else, such as the NaN of
            an empty cell, is a ValueError that names the rows.
        directory: what relative paths start from; None is the working directory.
        classes: all labels, in the order of their numbers; by default those
            that occur, sorted. Strings are compared in NFC, as DirectoryIterator
            names its classes.
        class_mode: "categorical", "binary", "sparse", "input" and None as in
            DirectoryIterator; "raw" gives the labels as they are, float32.
        subset: as in DirectoryIterator; validation is the first part of each
            class, of the list with class_mode="raw" or without labels.
        others: see FileOptions.

    Attributes: those of DirectoryIterator; with class_mode="raw", `labels` are
    the targets and there are no `classes`.
    """

    owner = "flow_from_paths"
    _class_modes: tuple[str, ...] = ("raw", *CLASS_MODES)
    #: Of each path, where a table has a column of them.
    _weights: np.ndarray | None = None

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        labels: Sequence[Any] | np.ndarray | None,
        image_data_generator: ImageTransform,
        directory: str | os.PathLike[str] | None = None,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[Any] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        subset: str | None = None,
        **options: Any,
    ) -> None:
        given = FileOptions.checked(
            self.owner,
            target_size=target_size,
            color_mode=color_mode,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            **options,
        )
        super().__init__(image_data_generator, given, class_mode, subset)
        self.directory = "" if directory is None else os.fspath(directory)
        names = [os.fspath(path) for path in paths]
        if not names:
            raise ValueError(f"{self.owner}: paths is empty; at least one file is needed")
        self._label(labels, classes, len(names))
        chosen = self._chosen(len(names))
        known: dict[str, Any] = {"filenames": [names[i] for i in chosen]}
        if self.labels is not None:
            known["labels"] = self.labels[chosen]
        if self.num_classes:
            known["classes"] = known["labels"]
        if self._weights is not None:
            known["sample_weight"] = self._weights[chosen]
        files = [os.path.join(self.directory, name) for name in known["filenames"]]
        self._take_files(files, known, f"none of the {len(names)} paths is a readable image")

    def _label(
        self, labels: Sequence[Any] | np.ndarray | None, classes: Sequence[Any] | None, count: int
    ) -> None:
        """Number the labels, or take them as they are."""
        self.class_indices: dict[str, int] = {}
        self.num_classes = 0
        self.labels: np.ndarray | None = None
        if labels is None:
            if self.class_mode not in ("input", None):
                raise ValueError(
                    f"{self.owner}: class_mode={self.class_mode!r} needs labels; give them, or "
                    "class_mode=None"
                )
            return
        if len(labels) != count:
            raise ValueError(
                f"{self.owner}: there are {count} paths and {len(labels)} labels; one label for "
                "each path is needed"
            )
        if self.class_mode == "raw":
            self.labels = raw_targets(labels, self.owner)
            return
        values = class_labels(labels, "labels", self.owner)
        if classes is not None and len(classes):
            known = class_labels(classes, "classes", self.owner)
        else:
            known = sorted(set(values))
        if len(set(known)) < len(known):
            raise ValueError(f"{self.owner}: classes is {known!r}; every class may be named once")
        numbers = {value: number for number, value in enumerate(known)}
        unknown = sorted({repr(value) for value in values if value not in numbers})
        if unknown:
            raise ValueError(f"{self.owner}: labels {', '.join(unknown)} are not in classes")
        if self.class_mode == "binary" and len(known) > 2:
            raise ValueError(
                f"{self.owner}: class_mode='binary' is for two classes, the labels have "
                f"{len(known)}; use 'sparse' or 'categorical'"
            )
        self.class_indices = {str(value): number for value, number in numbers.items()}
        self.num_classes = len(known)
        self.labels = np.array([numbers[value] for value in values], np.int32)

    def _chosen(self, count: int) -> np.ndarray:
        """Return which of the files are of the subset."""
        if self.subset is None:
            return np.arange(count)
        by_class = self.num_classes and self.labels is not None
        numbers = np.asarray(self.labels) if by_class else np.zeros(count)
        parts = []
        for number in np.unique(numbers):
            members = np.flatnonzero(numbers == number)
            split = self.image_data_generator.validation_split
            first, last = subset_bounds(len(members), self.subset, split, self.owner)
            parts.append(members[first:last])
        return np.sort(np.concatenate(parts))

    def _assemble(self, indices: np.ndarray, epoch: int, threads: int | None) -> Any:
        batch, used = self._images(indices, epoch, threads)
        if self.class_mode is None:
            return batch
        labels = self._listing.get("labels")
        numbers = np.zeros(len(used), np.int32) if labels is None else labels[used]
        if self.class_mode == "raw":
            return batch, numbers
        return batch, targets_of(self.class_mode, batch, numbers, self.num_classes)
