"""Losses as metrics: their mean over all samples, of the predictions as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import losses
from .._core.options import Once
from .._core.validation import fraction, integer, optional, truth
from ..losses.base import broadcast_weights
from .reductions import MeanMetric


class LossMetric(MeanMetric):
    """The mean of any loss, one for each sample; the loss's own reduction plays no part.

    `loss` is a Loss, its name or its configuration.
    """

    larger_is_better = False

    def __init__(self, loss: Any, name: str | None = None, dtype: Any = None) -> None:
        self.loss = losses.get(loss)
        super().__init__(name or self.loss.name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; `sample_weight` is (batch,) or of the losses' shape."""
        y_pred = np.asarray(y_pred)
        if y_pred.dtype.kind != "f":
            y_pred = y_pred.astype(np.float32)
        found = self.loss.evaluate(np.asarray(y_true), y_pred)
        weights = sample_weight
        if found.counted is not None:
            weights = found.counted.astype(np.float64)
            if sample_weight is not None:
                weights *= broadcast_weights(sample_weight, weights.shape, self.name)
        self.add(self._measured(found.losses), weights)

    def _measured(self, values: np.ndarray) -> np.ndarray:
        return values

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "loss": losses.serialize(self.loss)}


class _Named(LossMetric):
    """The metric of a loss that Keras has among the metrics, too."""

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}


class MeanSquaredError(_Named):
    """The mean of (y_pred - y_true)**2."""

    def __init__(self, name: str = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__("mse", name, dtype)


class MeanAbsoluteError(_Named):
    """The mean of |y_pred - y_true|."""

    def __init__(self, name: str = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__("mae", name, dtype)


class MeanAbsolutePercentageError(_Named):
    """100 times the mean of |y_pred - y_true| / |y_true|."""

    def __init__(self, name: str = "mean_absolute_percentage_error", dtype: Any = None) -> None:
        super().__init__("mape", name, dtype)


class MeanSquaredLogarithmicError(_Named):
    """The mean of (log(y_pred + 1) - log(y_true + 1))**2."""

    def __init__(self, name: str = "mean_squared_logarithmic_error", dtype: Any = None) -> None:
        super().__init__("msle", name, dtype)


class LogCoshError(_Named):
    """The mean of log(cosh(y_pred - y_true))."""

    def __init__(self, name: str = "logcosh", dtype: Any = None) -> None:
        super().__init__("log_cosh", name, dtype)


class Hinge(_Named):
    """The mean of max(1 - y_true y_pred, 0)."""

    def __init__(self, name: str = "hinge", dtype: Any = None) -> None:
        super().__init__("hinge", name, dtype)


class SquaredHinge(_Named):
    """The mean of max(1 - y_true y_pred, 0)**2."""

    def __init__(self, name: str = "squared_hinge", dtype: Any = None) -> None:
        super().__init__("squared_hinge", name, dtype)


class CategoricalHinge(_Named):
    """The mean of max(largest of the wrong classes - the right one + 1, 0)."""

    def __init__(self, name: str = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__("categorical_hinge", name, dtype)


class KLDivergence(_Named):
    """The mean of sum(y_true log(y_true / y_pred))."""

    def __init__(self, name: str = "kl_divergence", dtype: Any = None) -> None:
        super().__init__("kl_divergence", name, dtype)


class Poisson(_Named):
    """The mean of y_pred - y_true log(y_pred)."""

    def __init__(self, name: str = "poisson", dtype: Any = None) -> None:
        super().__init__("poisson", name, dtype)


class CosineSimilarity(_Named):
    """The mean cosine of the angle between targets and predictions, not minus it as the loss."""

    larger_is_better = True
    axis = Once(integer)

    def __init__(self, name: str = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        self.axis = axis
        super().__init__(losses.CosineSimilarity(axis), name, dtype)

    def _measured(self, values: np.ndarray) -> np.ndarray:
        return -values

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **({"axis": self.axis} if self.axis != -1 else {})}


class BinaryCrossentropy(_Named):
    """The mean binary cross-entropy, of probabilities or (`from_logits`) of logits."""

    from_logits = Once(truth)
    label_smoothing = Once(fraction)

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        self.from_logits, self.label_smoothing = from_logits, label_smoothing
        super().__init__(losses.BinaryCrossentropy(from_logits, label_smoothing), name, dtype)

    def get_config(self) -> dict[str, Any]:
        own = {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing}
        return {**super().get_config(), **own}


class CategoricalCrossentropy(_Named):
    """The mean cross-entropy of one-hot targets."""

    from_logits = Once(truth)
    label_smoothing = Once(fraction)
    axis = Once(integer)

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis
        loss = losses.CategoricalCrossentropy(from_logits, label_smoothing, axis)
        super().__init__(loss, name, dtype)

    def get_config(self) -> dict[str, Any]:
        own = {
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "axis": self.axis,
        }
        return {**super().get_config(), **own}


class SparseCategoricalCrossentropy(_Named):
    """The mean cross-entropy of class numbers, of which `ignore_class` does not count.

    As in the loss, and in Keras with weights; without them Keras counts what is ignored as 0.
    """

    from_logits = Once(truth)
    ignore_class = Once(optional(integer))
    axis = Once(integer)

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        self.from_logits, self.ignore_class, self.axis = from_logits, ignore_class, axis
        loss = losses.SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis)
        super().__init__(loss, name, dtype)

    def get_config(self) -> dict[str, Any]:
        own = {
            "from_logits": self.from_logits,
            "ignore_class": self.ignore_class,
            "axis": self.axis,
        }
        return {**super().get_config(), **own}
