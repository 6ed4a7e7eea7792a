"""Losses, their gradients, and the stable forms of a loss on logits.

Each loss is computed in float64 per sample (the mean along the last axis, or
minus the log-likelihood of the class), weighted, and averaged over the batch
as Keras does: the weighted sum is divided by the number of samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.registry import Registry, custom_object, custom_object_scope
from . import functions
from .base import EPSILON, Loss
from .crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from .distributions import KLDivergence
from .focal import BinaryFocalCrossentropy, CategoricalFocalCrossentropy
from .functions import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    cosine_similarity,
    dice,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
    tversky,
)
from .margins import CategoricalHinge, Hinge, SquaredHinge
from .overlap import Dice, Tversky
from .own import LossFunctionWrapper
from .regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
)

__all__ = [
    "EPSILON",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "known",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]


def get(identifier: Any) -> Loss:
    """Return the loss of a name, a function, a class, a config or itself.

    A function is one of this module, or one of your own that returns
    (loss, gradient); see `LossFunctionWrapper`.

    Raises ValueError for an unknown name and TypeError for anything else.
    """
    if isinstance(identifier, str):
        own = custom_object(identifier)
        if own is not None and not isinstance(own, type):
            return get(own)
    elif callable(identifier) and not isinstance(identifier, (type, Loss)):
        name = getattr(identifier, "__name__", "")
        if getattr(functions, name, None) is identifier:
            return _registry.get(name)
        return LossFunctionWrapper(identifier)
    return _registry.get(identifier)


def known(name: str) -> bool:
    """Whether a name is that of a loss, in any of Keras's spellings."""
    return _registry.lookup(name) is not None


def serialize(loss: Loss) -> dict[str, Any]:
    """Return {"class_name", "config"}, from which `get` makes the same loss again."""
    return _registry.serialize(loss)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Loss:
    """Return the loss that `serialize` was given, or of a name, as `get` does."""
    with custom_object_scope(custom_objects):
        return get(config)


_registry: Registry[Loss] = Registry(
    Loss,
    {
        "binary_crossentropy": BinaryCrossentropy,
        "binary_focal_crossentropy": BinaryFocalCrossentropy,
        "categorical_crossentropy": CategoricalCrossentropy,
        "categorical_focal_crossentropy": CategoricalFocalCrossentropy,
        "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
        "mean_squared_error": MeanSquaredError,
        "mean_absolute_error": MeanAbsoluteError,
        "mean_absolute_percentage_error": MeanAbsolutePercentageError,
        "mean_squared_logarithmic_error": MeanSquaredLogarithmicError,
        "huber": Huber,
        "log_cosh": LogCosh,
        "hinge": Hinge,
        "squared_hinge": SquaredHinge,
        "categorical_hinge": CategoricalHinge,
        "kl_divergence": KLDivergence,
        "poisson": Poisson,
        "cosine_similarity": CosineSimilarity,
        "dice": Dice,
        "tversky": Tversky,
        "loss_function_wrapper": LossFunctionWrapper,
    },
    words=("losses", "loss", "a Loss, which knows its gradient"),
    aliases={
        "bce": "binary_crossentropy",
        "mse": "mean_squared_error",
        "mae": "mean_absolute_error",
        "mape": "mean_absolute_percentage_error",
        "msle": "mean_squared_logarithmic_error",
        "huber_loss": "huber",
        "kld": "kl_divergence",
        "kullback_leibler_divergence": "kl_divergence",
    },
)
