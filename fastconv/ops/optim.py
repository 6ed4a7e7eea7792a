"""Optimizers' update rules, in place over C-contiguous, aligned float32 arrays of one shape.

Common arguments: `gradient_scale` multiplies the gradient first, then `clip_value`
(0: no limit) bounds it, and `weight_decay * learning_rate` of the value is taken off.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from .._core import runtime
from .._core.memory import contiguous

_kernels = runtime.kernels.optimizers


_SGD, _ADAM, _RMSPROP = range(3)


class Product(Protocol):
    """A gradient that is not written out: it takes the step in its own way."""

    def update(
        self, rule: dict[str, float], value: np.ndarray, slots: tuple[np.ndarray | None, ...]
    ) -> None:
        """Change `value` and the flat `slots` as `rule` says."""


def sgd(
    value: np.ndarray,
    gradient: np.ndarray | Product,
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
    rule = {
        "kind": _SGD,
        "rate": learning_rate,
        "momentum": momentum,
        "nesterov": nesterov,
        "first": 0.0,
        "second": 0.0,
        "epsilon": 0.0,
        "scale": gradient_scale,
        "clip": clip_value,
        "decay": weight_decay * learning_rate,
    }
    _update(rule, value, gradient, velocity, None, None)


def adam(
    value: np.ndarray,
    gradient: np.ndarray | Product,
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
    rule = {
        "kind": _ADAM,
        "rate": learning_rate * math.sqrt(1 - beta_2**step) / (1 - beta_1**step),
        "momentum": 0.0,
        "nesterov": False,
        "first": beta_1,
        "second": beta_2,
        "epsilon": epsilon,
        "scale": gradient_scale,
        "clip": clip_value,
        "decay": weight_decay * learning_rate,
    }
    _update(rule, value, gradient, m, v, None)


def rmsprop(
    value: np.ndarray,
    gradient: np.ndarray | Product,
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
    rule = {
        "kind": _RMSPROP,
        "rate": learning_rate,
        "momentum": momentum,
        "nesterov": False,
        "first": rho,
        "second": 0.0,
        "epsilon": epsilon,
        "scale": gradient_scale,
        "clip": clip_value,
        "decay": weight_decay * learning_rate,
    }
    _update(rule, value, gradient, mean_square, velocity, mean_gradient)


def sum_of_squares(gradient: np.ndarray) -> float:
    """Return the sum of squares, added in one fixed order in double precision."""
    if not gradient.size:
        return 0.0
    partial = np.empty(-(-gradient.size // _kernels.CHUNK_VALUES))
    return _kernels.sum_of_squares(_read(gradient), partial, runtime.threads_for(gradient.size))


def _update(
    rule: dict[str, float],
    value: np.ndarray,
    gradient: np.ndarray | Product,
    *slots: np.ndarray | None,
) -> None:
    if not value.size:
        return
    flat = tuple(None if slot is None else _flat(slot) for slot in slots)
    if isinstance(gradient, np.ndarray):
        threads = runtime.threads_for(value.size)
        _kernels.update(rule, _flat(value), flat, _read(gradient), threads)
    else:
        gradient.update(rule, value, flat)


def _read(array: np.ndarray) -> np.ndarray:
    return contiguous(array).reshape(-1)


def _flat(array: np.ndarray) -> np.ndarray:
    """Return a view to write to; of other arrays there would be a copy."""
    if not (array.flags.c_contiguous and array.flags.aligned):
        raise ValueError(
            f"optimizer: an array to update has strides {array.strides}; it must be C-contiguous "
            "and aligned"
        )
    return array.reshape(-1)
