"""Metrics: what is reported of a model besides its loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import losses
from .._core.registry import Registry, custom_object, custom_object_scope
from ..losses.functions import (
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
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
)
from .accuracy import (
    Accuracy,
    AccuracyByShape,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from .auc import AUC
from .base import Metric, Variable, check_name, is_name, logged
from .confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from .f_score import F1Score, FBetaScore
from .iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from .of_losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    LossMetric,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from .reductions import Mean, MeanMetric, MeanMetricWrapper, Sum
from .regression import R2Score, RootMeanSquaredError
from .trade_offs import (
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "LossMetric",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetric",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "Variable",
    "accuracy",
    "binary_accuracy",
    "binary_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_hinge",
    "check_name",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "is_name",
    "kl_divergence",
    "larger_is_better",
    "log_cosh",
    "logged",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

_BY_SHAPE = ("accuracy", "acc")


def get(identifier: Any) -> Metric:
    """Return a new metric of a name, function, class or config, or the metric itself.

    "accuracy" and "acc" take their kind from the shapes of the first batch; the
    name of any loss is its mean. The name given is the name in the logs. A
    function is one of this module or of the losses, or one of your own; see
    `MeanMetricWrapper`. Raises ValueError for an unknown name and TypeError for
    anything else.
    """
    if isinstance(identifier, str):
        return _of_name(identifier)
    if isinstance(identifier, losses.Loss):
        return LossMetric(identifier)
    if callable(identifier) and not isinstance(identifier, (type, Metric)):
        return _of_function(identifier)
    return _registry.get(identifier)


def is_built_in(identifier: Any) -> bool:
    """Return whether `get` makes a metric of fastconv's own of it: of a name, without options."""
    return isinstance(identifier, str) and custom_object(identifier) is None


def _of_name(name: str) -> Metric:
    own = custom_object(name)
    if own is None and name.lower() in _BY_SHAPE:
        return AccuracyByShape(name)
    if own is not None and not isinstance(own, type):
        metric = get(own)
    elif _registry.lookup(name) is None and losses.known(name):
        metric = LossMetric(name)
    else:
        found = _registry.find_class(name)
        try:
            metric = found()
        except TypeError as error:
            raise TypeError(
                f"metrics: {name!r} cannot be made of its name alone ({error}); give an object, "
                f"{found.__name__}(...)"
            ) from None
    metric.name = check_name(name)
    return metric


def _of_function(function: Callable[..., Any]) -> Metric:
    name = getattr(function, "__name__", "")
    if globals().get(name) is function and name in _registry.known:
        return _registry.get(name)
    if getattr(losses, name, None) is function:
        return LossMetric(function, name)
    return MeanMetricWrapper(function)


def serialize(metric: Metric) -> str | dict[str, Any]:
    """Return that from which `get` makes the same metric again; it fits JSON."""
    return metric.name if isinstance(metric, AccuracyByShape) else _registry.serialize(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Metric:
    """Return the metric that `serialize` was given, or of a name, as `get` does."""
    with custom_object_scope(custom_objects):
        return get(config)


def larger_is_better(name: str) -> bool | None:
    """Return whether more of what is called `name` is better, None where that is not known.

    >>> larger_is_better("accuracy"), larger_is_better("mse"), larger_is_better("share")
    (True, False, None)
    """
    # A whole name: what others may be called so, as an "iou" or a "dice", may be a loss or none.
    if name in _registry.known or name in _ALIASES:
        return _registry.find_class(name).larger_is_better
    return False if name in _OF_LOSSES else None


_ALIASES = {
    "acc": "accuracy",
    "bce": "binary_crossentropy",
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "rmse": "root_mean_squared_error",
    "f_beta_score": "fbeta_score",
}
_OF_LOSSES = (
    "loss",
    "huber",
    "log_cosh",
    "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
)

_registry: Registry[Metric] = Registry(
    Metric,
    {
        "accuracy": Accuracy,
        "binary_accuracy": BinaryAccuracy,
        "categorical_accuracy": CategoricalAccuracy,
        "sparse_categorical_accuracy": SparseCategoricalAccuracy,
        "top_k_categorical_accuracy": TopKCategoricalAccuracy,
        "sparse_top_k_categorical_accuracy": SparseTopKCategoricalAccuracy,
        "auc": AUC,
        "precision": Precision,
        "recall": Recall,
        "precision_at_recall": PrecisionAtRecall,
        "recall_at_precision": RecallAtPrecision,
        "sensitivity_at_specificity": SensitivityAtSpecificity,
        "specificity_at_sensitivity": SpecificityAtSensitivity,
        "f1_score": F1Score,
        "fbeta_score": FBetaScore,
        "true_positives": TruePositives,
        "false_positives": FalsePositives,
        "true_negatives": TrueNegatives,
        "false_negatives": FalseNegatives,
        "io_u": IoU,
        "binary_io_u": BinaryIoU,
        "mean_io_u": MeanIoU,
        "one_hot_io_u": OneHotIoU,
        "one_hot_mean_io_u": OneHotMeanIoU,
        "mean_squared_error": MeanSquaredError,
        "root_mean_squared_error": RootMeanSquaredError,
        "mean_absolute_error": MeanAbsoluteError,
        "mean_absolute_percentage_error": MeanAbsolutePercentageError,
        "mean_squared_logarithmic_error": MeanSquaredLogarithmicError,
        "log_cosh_error": LogCoshError,
        "cosine_similarity": CosineSimilarity,
        "r2_score": R2Score,
        "hinge": Hinge,
        "squared_hinge": SquaredHinge,
        "categorical_hinge": CategoricalHinge,
        "kl_divergence": KLDivergence,
        "poisson": Poisson,
        "binary_crossentropy": BinaryCrossentropy,
        "categorical_crossentropy": CategoricalCrossentropy,
        "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
        "mean": Mean,
        "sum": Sum,
        "mean_metric_wrapper": MeanMetricWrapper,
        "loss_metric": LossMetric,
    },
    words=("metrics", "metric", "a Metric"),
    aliases=_ALIASES,
)
