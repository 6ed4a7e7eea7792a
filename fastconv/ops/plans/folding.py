"""Batch normalization folded into the convolution before it, for prediction."""

from __future__ import annotations

import numpy as np


def fold(
    kernel: np.ndarray,
    bias: np.ndarray | None,
    affine: tuple[np.ndarray, np.ndarray, np.ndarray],
    out: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel, written to `out`, and the bias whose convolution is normalized.

    kernel: (rows, columns, channels, filters); bias: (filters,) or None.  `affine` are the mean,
    the scale and the shift of each filter, float64: the normalization is (y - mean) scale + shift.
    Outputs are those of both layers to rounding, not the same bits.
    """
    mean, scale, shift = affine
    np.multiply(kernel, scale.astype(kernel.dtype), out=out)
    folded = ((0.0 if bias is None else bias) - mean) * scale + shift
    return out, folded.astype(kernel.dtype)
