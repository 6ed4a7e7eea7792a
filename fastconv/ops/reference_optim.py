"""Slow, obvious NumPy twins of the optimizers' kernels: one step in place, over float64 arrays.

Every function has the arguments of its twin in `fastconv.ops.optim`.  Arguments are not checked.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sgd(
    value: Array,
    gradient: Array,
    velocity: Array | None,
    learning_rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    gradient_scale: float = 1.0,
    clip_value: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    """Gradient descent; `velocity` is None where momentum is 0."""
    gradient = _prepare(value, gradient, learning_rate, gradient_scale, clip_value, weight_decay)
    if velocity is None:
        value -= learning_rate * gradient
        return
    velocity[...] = momentum * velocity - learning_rate * gradient
    value += momentum * velocity - learning_rate * gradient if nesterov else velocity


def adam(
    value: Array,
    gradient: Array,
    m: Array,
    v: Array,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: int,
    gradient_scale: float = 1.0,
    clip_value: float = 0.0,
    weight_decay: float = 0.0,
    largest_v: Array | None = None,
) -> None:
    """Adam; `step` counts from 1, `largest_v` is AMSGrad's."""
    gradient = _prepare(value, gradient, learning_rate, gradient_scale, clip_value, weight_decay)
    m[...] = beta_1 * m + (1 - beta_1) * gradient
    v[...] = beta_2 * v + (1 - beta_2) * gradient**2
    if largest_v is not None:
        largest_v[...] = v = np.maximum(largest_v, v)
    alpha = learning_rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    value -= alpha * m / (np.sqrt(v) + epsilon)


def nadam(
    value: Array,
    gradient: Array,
    m: Array,
    v: Array,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: int,
    gradient_scale: float = 1.0,
    clip_value: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    """Nadam; `step` counts from 1."""
    gradient = _prepare(value, gradient, learning_rate, gradient_scale, clip_value, weight_decay)
    momenta = beta_1 * (1 - 0.5 * 0.96 ** np.arange(1, step + 2))
    m[...] = beta_1 * m + (1 - beta_1) * gradient
    v[...] = beta_2 * v + (1 - beta_2) * gradient**2
    m_hat = momenta[-1] * m / (1 - np.prod(momenta))
    m_hat += (1 - momenta[-2]) * gradient / (1 - np.prod(momenta[:-1]))
    value -= learning_rate * m_hat / (np.sqrt(v / (1 - beta_2**step)) + epsilon)


def rmsprop(
    value: Array,
    gradient: Array,
    mean_square: Array,
    velocity: Array | None,
    mean_gradient: Array | None,
    learning_rate: float,
    rho: float,
    momentum: float,
    epsilon: float,
    gradient_scale: float = 1.0,
    clip_value: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    """RMSprop; `velocity` is None without momentum, `mean_gradient` where not centered."""
    gradient = _prepare(value, gradient, learning_rate, gradient_scale, clip_value, weight_decay)
    mean_square[...] = rho * mean_square + (1 - rho) * gradient**2
    denominator = mean_square
    if mean_gradient is not None:
        mean_gradient[...] = rho * mean_gradient + (1 - rho) * gradient
        denominator = denominator - mean_gradient**2
    increment = learning_rate * gradient / np.sqrt(denominator + epsilon)
    if velocity is not None:
        velocity[...] = momentum * velocity + increment
        increment = velocity
    value -= increment


def adagrad(
    value: Array,
    gradient: Array,
    sum_of_squares: Array,
    learning_rate: float,
    epsilon: float,
    gradient_scale: float = 1.0,
    clip_value: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    """Adagrad."""
    gradient = _prepare(value, gradient, learning_rate, gradient_scale, clip_value, weight_decay)
    sum_of_squares += gradient**2
    value -= learning_rate * gradient / np.sqrt(sum_of_squares + epsilon)


def lion(
    value: Array,
    gradient: Array,
    m: Array,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    gradient_scale: float = 1.0,
    clip_value: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    """Lion."""
    gradient = _prepare(value, gradient, learning_rate, gradient_scale, clip_value, weight_decay)
    value -= learning_rate * np.sign(beta_1 * m + (1 - beta_1) * gradient)
    m[...] = beta_2 * m + (1 - beta_2) * gradient


def _prepare(
    value: Array,
    gradient: Array,
    learning_rate: float,
    gradient_scale: float,
    clip_value: float,
    weight_decay: float,
) -> Array:
    """Decay `value` in place and return the gradient scaled, then clipped."""
    value -= value * weight_decay * learning_rate
    gradient = gradient * gradient_scale
    return np.clip(gradient, -clip_value, clip_value) if clip_value else gradient
