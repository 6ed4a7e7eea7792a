"""`tf.random`: NumPy's global numbers, which `set_seed` seeds."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...utils import set_random_seed
from ..eager import as_tensor

__all__ = ["normal", "set_seed", "shuffle", "uniform"]


def set_seed(seed: int) -> None:
    """Seed fastconv's, NumPy's and Python's random numbers."""
    set_random_seed(seed)


def normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32", seed: Any = None
) -> Any:
    draw = np.random if seed is None else np.random.RandomState(seed)
    return as_tensor(np.asarray(draw.normal(mean, stddev, tuple(shape)), np.dtype(dtype)))


def uniform(
    shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32", seed: Any = None
) -> Any:
    draw = np.random if seed is None else np.random.RandomState(seed)
    kind, most = np.dtype(dtype), 1 if maxval is None else maxval
    if kind.kind in "iu":
        return as_tensor(np.asarray(draw.randint(minval, most, tuple(shape)), kind))
    return as_tensor(np.asarray(draw.uniform(minval, most, tuple(shape)), kind))


def shuffle(value: Any, seed: Any = None) -> Any:
    draw = np.random if seed is None else np.random.RandomState(seed)
    return as_tensor(draw.permutation(np.asarray(value)))
