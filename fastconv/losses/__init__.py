"""Losses, their gradients, and the stable forms of a loss on logits.

Each loss is computed in float64 per sample (the mean along the last axis, or
minus the log-likelihood of the class), weighted, and averaged over the batch
as Keras does: the weighted sum is divided by the number of samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.registry import Registry
from .base import Loss
from .crossentropy import (
    EPSILON,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from .regression import MeanSquaredError

__all__ = [
    "EPSILON",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Loss",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "get",
    "mean_squared_error",
    "serialize",
    "sparse_categorical_crossentropy",
]


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0
) -> np.ndarray:
    """Return the binary cross-entropy of each sample."""
    return _losses(BinaryCrossentropy(from_logits, label_smoothing), y_true, y_pred)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0
) -> np.ndarray:
    """Return the cross-entropy of each sample with one-hot targets."""
    return _losses(CategoricalCrossentropy(from_logits, label_smoothing), y_true, y_pred)


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False
) -> np.ndarray:
    """Return the cross-entropy of each sample with class numbers."""
    return _losses(SparseCategoricalCrossentropy(from_logits), y_true, y_pred)


def mean_squared_error(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the mean squared error of each sample."""
    return _losses(MeanSquaredError(), y_true, y_pred)


def get(identifier: Any) -> Loss:
    """Return the loss of a name, a function of this module, a class, a config or itself.

    Raises ValueError for an unknown name and TypeError for anything else.
    """
    function = getattr(identifier, "__name__", "")
    if function in _registry.known and globals().get(function) is identifier:
        return _registry.get(function)
    return _registry.get(identifier)


def serialize(loss: Loss) -> dict[str, Any]:
    """Return {"class_name", "config"}, from which `get` makes the same loss again."""
    return _registry.serialize(loss)


def _losses(loss: Loss, y_true: Any, y_pred: Any) -> np.ndarray:
    predictions = np.asarray(y_pred, np.float32)
    targets = loss.prepare(np.asarray(y_true), predictions)
    return loss.losses_and_gradient(targets, predictions, logits=False)[0].astype(np.float32)


_registry: Registry[Loss] = Registry(
    Loss,
    {
        "binary_crossentropy": BinaryCrossentropy,
        "categorical_crossentropy": CategoricalCrossentropy,
        "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
        "mean_squared_error": MeanSquaredError,
    },
    words=("losses", "loss", "a Loss, which knows its gradient"),
    aliases={"mse": "mean_squared_error", "bce": "binary_crossentropy"},
)
