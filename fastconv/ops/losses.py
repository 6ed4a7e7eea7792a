"""Cross-entropies of logits with their gradients, and means of losses, in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._core import runtime
from .._core.memory import contiguous
from .._core.validation import expect_shape

_kernels = runtime.kernels.losses

EXPONENTIAL_WORK = 16
"""Multiply-adds that take as long as one value's exponential and logarithm."""


def sigmoid_cross_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the means along the last axis of -t log p - (1 - t) log(1 - p), and their gradients.

    p is the sigmoid of the logit.  Any logits, float64 targets of their shape, from 0 to 1;
    another shape is a ValueError.
    """
    return _along_rows(_kernels.sigmoid_cross_entropy, logits, targets)


def softmax_cross_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return -sum(t log p) along the last axis, p the softmax of the logits, and the gradients.

    Any logits, float64 targets of their shape; another one is a ValueError.
    """
    return _along_rows(_kernels.softmax_cross_entropy, logits, targets)


def mean_loss(
    losses: np.ndarray, weights: np.ndarray | None, gradients: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the weighted sum of losses over their number, and its gradient, float32.

    losses and weights: (...) float64, gradients: (..., outputs) float64, each of its own loss.
    Raises ValueError for shapes that do not fit each other.
    """
    expect_shape(gradients, (*losses.shape, *gradients.shape[-1:]), "gradients", "mean_loss")
    if weights is not None:
        expect_shape(weights, losses.shape, "weights", "mean_loss")
    gradient = np.empty(gradients.shape, np.float32)
    if not losses.size or not gradients.size:
        return 0.0, gradient
    rows = (-1, gradients.shape[-1])
    mean = _kernels.mean_loss(
        _float64(losses).reshape(-1),
        None if weights is None else _float64(weights).reshape(-1),
        _float64(gradients).reshape(rows),
        gradient.reshape(rows),
        runtime.threads_for(gradients.size),
    )
    return mean, gradient


def extremes(values: np.ndarray) -> tuple[float, float]:
    """Return the least and the largest of float64 values; NaN if any is.

    For the few labels of a batch, which NumPy needs two calls and ten times as long for.
    Raises ValueError where there are none.
    """
    if not values.size:
        raise ValueError(f"extremes: the values have shape {values.shape}; give at least one")
    return _kernels.extremes(_float64(values).reshape(-1))


def _float64(array: np.ndarray) -> np.ndarray:
    return contiguous(array, np.float64)


def _along_rows(
    kernel: Callable[..., None], logits: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    expect_shape(targets, logits.shape, "targets", kernel.__name__)
    losses, gradient = np.empty(logits.shape[:-1]), np.empty(logits.shape)
    if not logits.size:
        losses.fill(0)
        return losses, gradient
    rows = (-1, logits.shape[-1])
    kernel(
        _float64(logits).reshape(rows),
        _float64(targets).reshape(rows),
        losses.reshape(-1),
        gradient.reshape(rows),
        runtime.threads_for(logits.size * EXPONENTIAL_WORK),
    )
    return losses, gradient
