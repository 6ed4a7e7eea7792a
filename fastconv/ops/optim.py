"""Optimizers' update rules, in place over C-contiguous, aligned float32 arrays of one shape.

Common arguments: `gradient_scale` multiplies the gradient first, then `clip_value`
(0: no limit) bounds it, and `weight_decay * learning_rate` of the value is taken off.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from typing import Protocol

import numpy as np

from .._core import runtime
from .._core.memory import contiguous

_kernels = runtime.kernels.optimizers


_SGD, _ADAM, _RMSPROP, _LION = range(4)


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
    rule = _rule(_SGD, learning_rate, gradient_scale, clip_value, weight_decay)
    rule |= {"momentum": momentum, "nesterov": nesterov}
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
    largest_v: np.ndarray | None = None,
) -> None:
    """Adam (Kingma and Ba, 2015) with the bias correction in the rate; `step` counts from 1.

    `largest_v`, of the same shape, is AMSGrad's.
    """
    rule = _rule(_ADAM, learning_rate, gradient_scale, clip_value, weight_decay)
    rule["rate"] *= math.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    rule |= {"first": _rest(beta_1), "second": _rest(beta_2), "epsilon": epsilon}
    _update(rule, value, gradient, m, v, largest_v)


def nadam(
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
    """Nadam (Dozat, 2016): Adam with Nesterov's momentum; `step` counts from 1.

    The momentum of step t is beta_1 (1 - 0.5 0.96**t), its bias the product of all so far.
    """
    now, after = (beta_1 * (1 - 0.5 * _WARMING**t) for t in (step, step + 1))
    bias = beta_1**step * _warmed(step)
    # The square's bias correction is taken out of the root, so that the rule is Adam's.
    unbiased = math.sqrt(1 - beta_2**step)
    rule = _rule(_ADAM, learning_rate, gradient_scale, clip_value, weight_decay)
    rule["rate"] = learning_rate * unbiased * after / (1 - bias * after)
    rule["momentum"] = learning_rate * unbiased * (1 - now) / (1 - bias)
    rule |= {"first": 1 - beta_1, "second": 1 - beta_2, "epsilon": epsilon * unbiased}
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
    rule = _rule(_RMSPROP, learning_rate, gradient_scale, clip_value, weight_decay)
    rule |= {"momentum": momentum, "first": rho, "second": _rest(rho), "epsilon": epsilon}
    _update(rule, value, gradient, mean_square, velocity, mean_gradient)


def adagrad(
    value: np.ndarray,
    gradient: np.ndarray | Product,
    sum_of_squares: np.ndarray,
    learning_rate: float,
    epsilon: float,
    gradient_scale: float = 1.0,
    clip_value: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    """Adagrad (Duchi et al., 2011): rate g / sqrt(sum of squares + epsilon)."""
    rule = _rule(_RMSPROP, learning_rate, gradient_scale, clip_value, weight_decay)
    rule |= {"first": 1.0, "second": 1.0, "epsilon": epsilon}
    _update(rule, value, gradient, sum_of_squares, None, None)


def lion(
    value: np.ndarray,
    gradient: np.ndarray | Product,
    m: np.ndarray,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    gradient_scale: float = 1.0,
    clip_value: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    """Lion (Chen et al., 2023): rate sign(beta_1 m + (1 - beta_1) g), and m moves by beta_2."""
    rule = _rule(_LION, learning_rate, gradient_scale, clip_value, weight_decay)
    rule |= {"momentum": beta_1, "first": 1 - beta_1, "second": 1 - beta_2}
    _update(rule, value, gradient, m, None, None)


def add(out: np.ndarray, array: np.ndarray, factor: float) -> None:
    """Add `factor` times `array` to `out`."""
    _update(_rule(_SGD, -factor), out, array, None, None, None)


def add_signs(out: np.ndarray, array: np.ndarray, factor: float) -> None:
    """Add `factor` times the signs of `array`, that of 0 being 0, to `out`."""
    _update(_rule(_LION, -factor) | {"first": 1.0}, out, array, None, None, None)


def move_average(average: np.ndarray, value: np.ndarray, momentum: float) -> None:
    """average = momentum average + (1 - momentum) value."""
    rest = 1 - momentum
    _update(_rule(_SGD, -rest) | {"decay": rest}, average, value, None, None, None)


def sum_of_squares(gradient: np.ndarray) -> float:
    """Return the sum of squares, added in one fixed order in double precision."""
    if not gradient.size:
        return 0.0
    partial = np.empty(-(-gradient.size // _kernels.CHUNK_VALUES))
    return _kernels.sum_of_squares(_read(gradient), partial, runtime.threads_for(gradient.size))


_WARMING = 0.96


@functools.cache
def _warming_products() -> list[float]:
    factors = (1 - 0.5 * _WARMING**t for t in range(1, 1001))
    return list(itertools.accumulate(factors, operator.mul, initial=1.0))


def _warmed(step: int) -> float:
    """Return the product of 1 - 0.5 0.96**t over the steps up to `step`; later ones are 1."""
    products = _warming_products()
    return products[min(step, len(products) - 1)]


def _rule(
    kind: int,
    rate: float,
    gradient_scale: float = 1.0,
    clip_value: float = 0.0,
    weight_decay: float = 0.0,
) -> dict[str, float]:
    """Return all fields of a rule; those that only some kinds have are 0."""
    return {
        "kind": kind,
        "rate": rate,
        "momentum": 0.0,
        "nesterov": False,
        "first": 0.0,
        "second": 0.0,
        "epsilon": 0.0,
        "scale": gradient_scale,
        "clip": clip_value,
        "decay": weight_decay * rate,
    }


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


def _rest(share: float) -> float:
    """Return 1 - share in float32, from which Adam's and RMSprop's bits have always come."""
    return float(np.float32(1) - np.float32(share))
