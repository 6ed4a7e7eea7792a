"""Optimizers' update rules, in place over C-contiguous float32 arrays of one shape.

Common arguments: `gradient_scale` multiplies the gradient first, then `clip_value`
(0: no limit) bounds it, and `weight_decay * learning_rate` of the value is taken off.
"""

from __future__ import annotations

import math

import numpy as np

from .. import runtime

_kernels = runtime.kernels.optim


def sgd(
    value: np.ndarray,
    gradient: np.ndarray,
    velocity: np.ndarray | None,
    learning_rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    gradient_scale: float = 1.0,
    clip_value: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    """v = momentum v - rate g; value += v, or momentum v - rate g with `nesterov`.

    `velocity` is None where momentum is 0.
    """
    if not value.size:
        return
    _kernels.sgd(
        _flat(value),
        _flat(gradient),
        _flat(velocity),
        learning_rate,
        momentum,
        nesterov,
        gradient_scale,
        clip_value,
        weight_decay * learning_rate,
        runtime.get_num_threads(),
    )


def adam(
    value: np.ndarray,
    gradient: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: int,
    gradient_scale: float = 1.0,
    clip_value: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    """Adam (Kingma and Ba, 2015) with the bias correction in the rate; `step` counts from 1."""
    if not value.size:
        return
    rate = learning_rate * math.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    _kernels.adam(
        _flat(value),
        _flat(gradient),
        _flat(m),
        _flat(v),
        rate,
        beta_1,
        beta_2,
        epsilon,
        gradient_scale,
        clip_value,
        weight_decay * learning_rate,
        runtime.get_num_threads(),
    )


def rmsprop(
    value: np.ndarray,
    gradient: np.ndarray,
    mean_square: np.ndarray,
    velocity: np.ndarray | None,
    mean_gradient: np.ndarray | None,
    learning_rate: float,
    rho: float,
    momentum: float,
    epsilon: float,
    gradient_scale: float = 1.0,
    clip_value: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    """RMSprop (Tieleman and Hinton, 2012) as Keras 3 has it: rate g / sqrt(square + epsilon).

    `velocity` is None where momentum is 0, `mean_gradient` where it is not centered.
    """
    if not value.size:
        return
    _kernels.rmsprop(
        _flat(value),
        _flat(gradient),
        _flat(mean_square),
        _flat(velocity),
        _flat(mean_gradient),
        learning_rate,
        rho,
        momentum,
        epsilon,
        gradient_scale,
        clip_value,
        weight_decay * learning_rate,
        runtime.get_num_threads(),
    )


def sum_of_squares(gradient: np.ndarray) -> float:
    """Return the sum of squares, added in one fixed order in double precision."""
    if not gradient.size:
        return 0.0
    partial = np.empty(-(-gradient.size // _kernels.CHUNK_VALUES))
    return _kernels.sum_of_squares(_flat(gradient), partial, runtime.get_num_threads())


def _flat(array: np.ndarray | None) -> np.ndarray | None:
    return None if array is None else array.reshape(-1)
