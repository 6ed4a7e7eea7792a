"""Elementwise passes over whole arrays, in parallel and without temporaries."""

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
