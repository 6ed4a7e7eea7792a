"""Folders of images as `keras.utils` gives them: with TensorFlow's types."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ...preprocessing.dataset import image_dataset_from_directory as _of_directory
from ..eager import as_tensor

__all__ = ["image_dataset_from_directory"]


@functools.wraps(_of_directory)
def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    *more: Any,
    **options: Any,
) -> Any:
    found = _of_directory(directory, labels, label_mode, *more, **options)
    mode = label_mode if labels is not None else None

    def seen(*batch: Any) -> Any:
        """Return a batch that has `numpy()`; labels of the type and shape that Keras gives."""
        if len(batch) == 1:
            return as_tensor(batch[0])
        x, y = batch
        if mode == "int":
            y = np.asarray(y, np.int32)
        elif mode == "binary":
            y = np.reshape(y, (-1, 1))
        return as_tensor((x, y))

    if isinstance(found, tuple):
        return tuple(one.map(seen) for one in found)
    return found.map(seen)
