"""Passes over whole arrays, in parallel and without temporaries."""

from __future__ import annotations

import numpy as np

from .. import runtime

_kernels = runtime.kernels.optim


def relu(x: np.ndarray, out: np.ndarray) -> None:
    """Write max(x, 0) to `out`, which may be x; a NaN stays one.  Both C-contiguous."""
    if x.size:
        _kernels.relu(x.reshape(-1), out.reshape(-1), runtime.threads_for(x.size))


def relu_backward(dy: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    """Write dy where y > 0, else 0, to `out`, which may be dy.  All C-contiguous."""
    if dy.size:
        _kernels.relu_gradient(
            dy.reshape(-1), y.reshape(-1), out.reshape(-1), runtime.threads_for(dy.size)
        )


def sigmoid(x: np.ndarray, out: np.ndarray) -> None:
    """Write 1 / (1 + exp(-x)) to `out`, which may be x.  Both C-contiguous float32."""
    if x.size:
        _kernels.sigmoid(x.reshape(-1), out.reshape(-1), runtime.threads_for(x.size))


def softmax(x: np.ndarray, out: np.ndarray) -> None:
    """Write exp(x) / sum(exp(x)) along the last axis to `out`, which may be x.

    Both C-contiguous float32.
    """
    if x.size:
        rows = (-1, x.shape[-1])
        _kernels.softmax(x.reshape(rows), out.reshape(rows), runtime.threads_for(x.size))


def dropout(x: np.ndarray, seed: int, rate: float, out: np.ndarray) -> None:
    """Write x / (1 - rate) to `out`, which may be x, but 0 for a share `rate` of the values.

    Which ones is a function of `seed`, an int below 2**64, and of the place alone; the share
    is `rate` rounded to 32 bits.  x: C-contiguous float32.  What is 0 stays 0.
    """
    if rate == 1:
        out.fill(0)
    elif x.size:
        threshold = min(round(rate * 2**32), 2**32 - 1)
        scale, threads = 1 / (1 - rate), runtime.threads_for(x.size)
        _kernels.dropout(x.reshape(-1), seed, threshold, scale, out.reshape(-1), threads)
