"""Focal cross-entropies, in which what is predicted well already counts for little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core.options import Option
from .._core.validation import at_least_zero, finite, fraction, truth
from .crossentropy import BinaryTargets, OneHotTargets, clip, normalized


class BinaryFocalCrossentropy(BinaryTargets):
    """(1 - q)**gamma times the binary cross-entropy, the mean along the last axis.

    q is the probability of the right answer. With `apply_class_balancing` ones
    weigh `alpha` and zeros 1 - alpha. `label_smoothing` s moves targets to
    t (1 - s) + s / 2.
    """

    apply_class_balancing = Option(truth)
    alpha = Option(fraction)
    gamma = Option(at_least_zero)

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.apply_class_balancing = apply_class_balancing
        self.alpha, self.gamma = alpha, gamma

    def _of_logits(self, targets: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits = logits.astype(np.float64)
        small = np.exp(-np.abs(logits))
        p = np.where(logits >= 0, 1, small) / (1 + small)
        entropy = np.maximum(logits, 0) - logits * targets + np.log1p(small)
        return self._focused(targets, p, entropy, p - targets, p * (1 - p))

    def _of_probabilities(
        self, targets: np.ndarray, probabilities: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        p, inside = clip(probabilities)
        entropy = -targets * np.log(p) - (1 - targets) * np.log1p(-p)
        slope = inside * (p - targets) / (p * (1 - p))
        return self._focused(targets, probabilities.astype(np.float64), entropy, slope, 1.0)

    def _focused(
        self,
        targets: np.ndarray,
        p: np.ndarray,
        entropy: np.ndarray,
        entropy_slope: np.ndarray,
        p_slope: np.ndarray | float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the losses and gradients; the slopes are by the logits or probabilities."""
        wrong = targets * (1 - p) + (1 - targets) * p
        focus, focus_slope = _power(wrong, self.gamma)
        weights: Any = 1.0 / max(targets.shape[-1], 1)
        if self.apply_class_balancing:
            weights = weights * (targets * self.alpha + (1 - targets) * (1 - self.alpha))
        losses = (weights * focus * entropy).sum(axis=-1)
        slope = focus_slope * (1 - 2 * targets) * p_slope * entropy + focus * entropy_slope
        return losses, weights * slope

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "apply_class_balancing": self.apply_class_balancing,
            "alpha": self.alpha,
            "gamma": self.gamma,
        }


def _class_weights(value: Any, argument: str, owner: str) -> float | list[float]:
    if isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str):
        return [finite(one, argument, owner) for one in value]
    return finite(value, argument, owner)


class CategoricalFocalCrossentropy(OneHotTargets):
    """-sum(alpha (1 - p)**gamma t log p) along the last axis, of one-hot targets.

    `alpha` is one number or one for each class. `label_smoothing` s moves
    targets to t (1 - s) + s / classes.
    """

    alpha = Option(_class_weights)
    gamma = Option(at_least_zero)

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.alpha, self.gamma = alpha, gamma

    def _check_classes(self, y_pred: np.ndarray) -> None:
        super()._check_classes(y_pred)
        if isinstance(self.alpha, list) and len(self.alpha) not in (1, y_pred.shape[-1]):
            raise ValueError(
                f"{self.name}: alpha has {len(self.alpha)} weights and the predictions have shape "
                f"{y_pred.shape}; give one for each class"
            )

    def _of_logits(self, targets: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return self._focused(targets, np.exp(log_p), log_p, True, 1.0)

    def _of_probabilities(
        self, targets: np.ndarray, probabilities: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        p, inside, total = normalized(probabilities)
        losses, gradients = self._focused(targets, p, np.log(p), inside, p)
        return losses, gradients / total

    def _focused(
        self, targets: np.ndarray, p: np.ndarray, log_p: np.ndarray, inside: Any, share: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        focus, focus_slope = _power(1 - p, self.gamma)
        weights = -np.asarray(self.alpha) * targets
        losses = (weights * focus * log_p).sum(axis=-1)
        # p times the slope by p, which does not grow without end where p is small.
        pull = inside * weights * (focus - focus_slope * p * log_p)
        along = pull.sum(axis=-1, keepdims=True)
        return losses, (pull - p * along) / share

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "gamma": self.gamma}


def _power(base: np.ndarray, exponent: float) -> tuple[np.ndarray, np.ndarray]:
    """Return base**exponent and its slope, 0 where the base is 0."""
    if not exponent:
        return np.ones_like(base), np.zeros_like(base)
    with np.errstate(divide="ignore", invalid="ignore"):
        return base**exponent, np.where(base == 0, 0, exponent * base ** (exponent - 1))
