"""Batch normalization as part of the convolution before it, for prediction."""

from __future__ import annotations

import numpy as np


def fold(
    kernel: np.ndarray,
    bias: np.ndarray | None,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    epsilon: float,
    *,
    axis: int = -1,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel and the bias whose convolution is that of these, normalized.

    kernel: its `axis` has the filters: the last of conv2d and dense layers, and of a depthwise
    kernel as (rows, columns, 1, channels * multiplier); 2 of conv2d_transpose.
    The others: (filters,); bias, gamma and beta may be None.  `mean` and `variance` are the moving
    ones.  It is computed in float64 and rounded once, to the kernel's dtype: outputs are those of
    both layers to rounding, not the same bits.
    """
    exact = kernel.astype(np.float64)
    scale = 1 / np.sqrt(variance.astype(np.float64) + epsilon)
    if gamma is not None:
        scale = scale * gamma
    shape = [1] * kernel.ndim
    shape[axis] = -1
    exact *= scale.reshape(shape)
    shift = (0.0 if bias is None else bias.astype(np.float64)) - mean
    shift = shift * scale + (0.0 if beta is None else beta)
    return exact.astype(kernel.dtype), shift.astype(kernel.dtype)
