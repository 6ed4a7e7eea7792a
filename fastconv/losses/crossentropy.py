"""Cross-entropies, of probabilities or, more stably, of logits."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.options import Option
from .._core.validation import fraction, integer, optional, truth, wrong_value
from ..ops import losses as kernels
from .base import EPSILON, Loss, check_finite


class CrossEntropy(Loss):
    """Base of cross-entropies, of probabilities or (`from_logits`) of logits."""

    from_logits = Option(truth)
    label_smoothing = Option(fraction)
    axis = Option(integer)
    _activation: str | None = None

    @property
    def activation(self) -> str | None:
        """The activation to take in; none where the predictions are logits as they stand."""
        # A model's softmax is along the last axis.
        return None if self.from_logits or self.axis != -1 else self._activation

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis

    def losses_and_gradient(
        self, targets: np.ndarray, predictions: np.ndarray, logits: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        if logits or self.from_logits:
            return self._of_logits(targets, predictions)
        return self._of_probabilities(targets, predictions)

    def _smoothed(self, targets: np.ndarray, classes: int) -> np.ndarray:
        smoothing = self.label_smoothing
        return targets * (1 - smoothing) + smoothing / classes if smoothing else targets

    def _of_logits(self, targets: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError

    def _of_probabilities(
        self, targets: np.ndarray, probabilities: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "axis": self.axis,
        }


class BinaryTargets(CrossEntropy):
    """Base of cross-entropies of targets from 0 to 1, each of a sigmoid of its own.

    `label_smoothing` s moves targets to t (1 - s) + s / 2.
    """

    _activation = "sigmoid"

    def prepare(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        targets = super().prepare(y_true, y_pred)
        low, high = kernels.extremes(targets) if targets.size else (0, 1)
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"{self.name}: the targets run from {low:g} to {high:g}; they must be from 0 to 1"
            )
        return self._smoothed(targets, 2)


class BinaryCrossentropy(BinaryTargets):
    """-t log p - (1 - t) log(1 - p), the mean along the last axis; p is a sigmoid of the logit.

    `label_smoothing` s moves targets to t (1 - s) + s / 2.
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)

    def _of_logits(self, targets: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return kernels.sigmoid_cross_entropy(logits, targets)

    def _of_probabilities(
        self, targets: np.ndarray, probabilities: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        p, inside = clip(probabilities)
        losses = -targets * np.log(p) - (1 - targets) * np.log1p(-p)
        gradient = inside * (p - targets) / (p * (1 - p))
        return losses.mean(axis=-1), gradient / max(targets.shape[-1], 1)


class OneHotTargets(CrossEntropy):
    """Base of cross-entropies of one-hot targets, of a softmax along the last axis.

    `label_smoothing` s moves targets to t (1 - s) + s / classes.
    """

    _activation = "softmax"

    def prepare(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        self._check_classes(y_pred)
        if y_true.shape != y_pred.shape and y_true.size == y_pred[..., 0].size:
            raise ValueError(
                f"{self.name}: the targets have shape {y_true.shape} and the predictions "
                f"{y_pred.shape}; for class numbers use 'sparse_categorical_crossentropy'"
            )
        targets = super().prepare(y_true, y_pred)
        check_finite(targets, "the targets run", self.name)
        return self._smoothed(targets, targets.shape[-1])

    def _check_classes(self, y_pred: np.ndarray) -> None:
        if y_pred.shape[-1] < 2:
            raise ValueError(
                f"{self.name}: the predictions have shape {y_pred.shape}, one output, which is "
                "always 1 of 1; for two classes use 'binary_crossentropy' after a 'sigmoid'"
            )


class CategoricalCrossentropy(OneHotTargets):
    """-sum(t log p) along the last axis, of one-hot targets; p is a softmax of the logits.

    `label_smoothing` s moves targets to t (1 - s) + s / classes.
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)

    def _of_logits(self, targets: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return kernels.softmax_cross_entropy(logits, targets)

    def _of_probabilities(
        self, targets: np.ndarray, probabilities: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        p, inside, total = normalized(probabilities)
        losses = -(targets * np.log(p)).sum(axis=-1)
        pull = inside * targets / p
        along = (pull * p).sum(axis=-1, keepdims=True)
        return losses, (along - pull) / total


def _no_smoothing(value: Any, argument: str, owner: str) -> float:
    if value != 0:
        remedy = "smooth one-hot targets, with 'categorical_crossentropy'"
        raise wrong_value(value, argument, owner, "0", remedy)
    return 0.0


class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """`CategoricalCrossentropy` of class numbers from 0, of the predictions' shape less `axis`.

    Samples of the number `ignore_class` neither have a loss nor count in a mean.
    """

    label_smoothing = Option(_no_smoothing)
    ignore_class = Option(optional(integer))

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, 0.0, axis, reduction, name, dtype)
        self.ignore_class = ignore_class

    def prepare(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        self._check_classes(y_pred)
        shape, classes = y_pred.shape[:-1], y_pred.shape[-1]
        if y_true.shape not in (shape, (*shape, 1)):
            hint = (
                "; for one-hot targets use 'categorical_crossentropy'"
                if y_true.shape == y_pred.shape
                else ""
            )
            raise ValueError(
                f"{self.name}: the targets have shape {y_true.shape} and the predictions "
                f"{y_pred.shape}; class numbers of shape {shape} are expected{hint}"
            )
        labels = y_true.reshape(shape)
        whole = labels.dtype.kind in "iub" or (
            labels.dtype.kind == "f"
            and bool((np.isfinite(labels) & (labels == np.floor(labels))).all())
        )
        if not whole:
            raise ValueError(f"{self.name}: the targets must be whole numbers, class numbers")
        numbers = labels.astype(np.int64, copy=False)
        counted = None if self.ignore_class is None else numbers != self.ignore_class
        if counted is not None:
            numbers = np.where(counted, numbers, 0)
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < classes):
            raise ValueError(
                f"{self.name}: the class numbers run from {numbers.min()} to {numbers.max()}; "
                f"there are {classes} outputs, so they must be from 0 to {classes - 1}"
            )
        targets = np.zeros((numbers.size, classes))
        targets[np.arange(numbers.size), numbers.reshape(-1)] = (
            1 if counted is None else counted.reshape(-1)
        )
        return targets.reshape(y_pred.shape)

    def counted(self, targets: np.ndarray) -> np.ndarray | None:
        return None if self.ignore_class is None else np.any(targets, axis=-1)

    def losses_and_gradient(
        self, targets: np.ndarray, predictions: np.ndarray, logits: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        counted = self.counted(targets)
        if counted is not None:
            # Whatever is predicted there, a NaN too.
            predictions = np.where(counted[..., None], predictions, 1)
        return super().losses_and_gradient(targets, predictions, logits)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "ignore_class": self.ignore_class}
        del config["label_smoothing"]
        return config


def clip(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities within float32's [EPSILON, 1 - EPSILON] and where they already were."""
    low, high = float(EPSILON), float(np.float32(1) - EPSILON)
    p = probabilities.astype(np.float64)
    return np.clip(p, low, high), (p >= low) & (p <= high)


def normalized(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return probabilities over their sum, clipped, where they needed no clipping, and the sum.

    Keras divides by the sum first, so that what need not be a softmax becomes one.
    """
    total = probabilities.sum(axis=-1, keepdims=True, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        p, inside = clip(probabilities / total)
    return p, inside, total
