"""Noise in training, for what fits too well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core import random
from .._core.validation import fraction, fraction_below_one
from ..ops import elementwise
from .options import LayerOption
from .random_layer import NoisyShape, RandomLayer

# What SELU tends to for large negative numbers: its alpha times its scale.
_SELU_LOWEST = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946


def _normal(seed: int, out: np.ndarray) -> np.ndarray:
    """Fill `out` with normal numbers and return it."""
    random.generator(seed).standard_normal(out=out, dtype=np.float32)
    return out


def _product(x: np.ndarray, factors: np.ndarray, out: np.ndarray) -> np.ndarray:
    np.multiply(x, factors, out=out)
    return out


class GaussianNoise(RandomLayer):
    """In training, adds normal numbers of mean 0 and deviation `stddev`, from 0 to 1."""

    stddev = LayerOption(fraction)

    def __init__(self, stddev: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.stddev = stddev

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self._workspace.saved_for_backward = x.shape if training else None
        if not training or self.stddev == 0 or self._workspace.inference:
            return x
        out = _normal(self.draw_seed(), self.buffer("output", x.shape))
        np.multiply(out, np.float32(self.stddev), out=out)
        np.add(out, x, out=out)
        return out

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        dy = self.checked_gradient(dy, self._saved_for_backward())
        return dy if self.needs_input_gradient else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev}


class _Multiplied(RandomLayer):
    """What multiplies by numbers that `call` draws and saves with the input's shape, or None."""

    rate = LayerOption(fraction_below_one)

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        shape, factors = self._saved_for_backward()
        dy = self.checked_gradient(dy, shape)
        if not self.needs_input_gradient:
            return None
        return dy if factors is None else _product(dy, factors, self.buffer("dx", dy.shape))


class GaussianDropout(_Multiplied):
    """In training, multiplies by normal numbers of mean 1 and variance rate / (1 - rate)."""

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.rate = rate

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self._workspace.saved_for_backward = (x.shape, None) if training else None
        if not training or self.rate == 0 or self._workspace.inference:
            return x
        factors = _normal(self.draw_seed(), self.buffer("factors", x.shape))
        np.multiply(factors, np.float32(math.sqrt(self.rate / (1 - self.rate))), out=factors)
        np.add(factors, 1, out=factors)
        self._workspace.saved_for_backward = (x.shape, factors)
        return _product(x, factors, self.buffer("output", x.shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}


class AlphaDropout(_Multiplied, NoisyShape):
    """Dropout that keeps mean 0 and variance 1, for what comes out of SELU.

    In training a share `rate` of the inputs becomes SELU's lowest value; then all is scaled and
    shifted.  `noise_shape` has a 1 (None for the batch) on the axes along which one draw is shared.
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(noise_shape, seed, **options)
        self.rate = rate

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self._workspace.saved_for_backward = (x.shape, None) if training else None
        if not training or self.rate == 0 or self._workspace.inference:
            return x
        rate, lowest = self.rate, _SELU_LOWEST
        scale = ((1 - rate) * (1 + rate * lowest**2)) ** -0.5
        # The factors are `scale` where x is kept and 0 where it becomes the lowest value.
        factors = self.buffer("factors", self.noise_sizes(x.shape))
        factors.fill(scale * (1 - rate))
        elementwise.dropout(factors, self.draw_seed(), rate, factors)
        self._workspace.saved_for_backward = (x.shape, factors)
        out = self.buffer("output", x.shape)
        np.subtract(x, np.float32(lowest), out=out)
        np.multiply(out, factors, out=out)
        np.add(out, np.float32(scale * lowest * (1 - rate)), out=out)
        return out

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}
