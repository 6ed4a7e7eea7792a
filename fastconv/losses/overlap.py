"""Losses of masks: how little a prediction and its target have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.options import Option
from .._core.validation import at_least_zero, is_integer, wrong_type
from .base import EPSILON, NumberLoss

_EPSILON = float(EPSILON)


def _axes(value: Any, argument: str, owner: str) -> int | tuple[int, ...] | None:
    if value is None or is_integer(value):
        return None if value is None else int(value)
    if isinstance(value, (list, tuple, np.ndarray)) and len(value) and all(map(is_integer, value)):
        return tuple(map(int, value))
    raise wrong_type(value, argument, owner, "None, an axis or several")


class Tversky(NumberLoss):
    """1 - common / (common + alpha missing + beta excess), of each mask along `axis`.

    common is the sum of y_true y_pred, missing that of y_true (1 - y_pred),
    excess that of y_pred (1 - y_true).  With `axis=None` the whole batch is one
    mask; (1, 2, 3) are masks of one sample each.
    """

    axis = Option(_axes)
    alpha = Option(at_least_zero)
    beta = Option(at_least_zero)

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.alpha, self.beta, self.axis = alpha, beta, axis

    def losses_and_gradient(
        self, targets: np.ndarray, predictions: np.ndarray, logits: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        predictions = predictions.astype(np.float64, copy=False)
        common = (targets * predictions).sum(axis=-1, keepdims=True)
        missing = targets.sum(axis=-1, keepdims=True) - common
        excess = predictions.sum(axis=-1, keepdims=True) - common
        total = common + self.alpha * missing + self.beta * excess + _EPSILON
        growth = targets * (1 - self.alpha - self.beta) + self.beta
        gradient = (common * growth / total - targets) / total
        return 1 - (common / total)[..., 0], gradient

    def get_config(self) -> dict[str, Any]:
        own = {"alpha": self.alpha, "beta": self.beta, "axis": self.axis}
        return {**super().get_config(), **own}


class Dice(NumberLoss):
    """1 - 2 sum(y_true y_pred) / (sum(y_true) + sum(y_pred)), of each mask along `axis`.

    With `axis=None` the whole batch is one mask; (1, 2, 3) are masks of one sample each.
    """

    axis = Option(_axes)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "dice",
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.axis = axis

    def losses_and_gradient(
        self, targets: np.ndarray, predictions: np.ndarray, logits: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        predictions = predictions.astype(np.float64, copy=False)
        common = 2 * (targets * predictions).sum(axis=-1, keepdims=True)
        total = (targets + predictions).sum(axis=-1, keepdims=True) + _EPSILON
        gradient = (common / total - 2 * targets) / total
        return 1 - (common / total)[..., 0], gradient

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
