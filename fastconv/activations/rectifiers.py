"""Activations of straight pieces."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._core.validation import at_least_zero, optional
from ..ops import elementwise
from .base import Activation, Elementwise


class Linear(Activation):
    """The identity; nothing is copied, `forward` and `backward` return their argument."""

    name = "linear"

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        return z

    def backward(
        self, dy: np.ndarray, y: np.ndarray, out: np.ndarray, z: np.ndarray | None = None
    ) -> np.ndarray:
        return dy


class Relu(Activation):
    """max(z, 0), at most `max_value`, and `negative_slope` (z - `threshold`) below `threshold`.

    NaN stays NaN; the gradient at 0 is 0.
    """

    name = "relu"
    _numbers = ("max_value", "negative_slope", "threshold")

    def __init__(
        self,
        negative_slope: float = 0.0,
        max_value: float | None = None,
        threshold: float = 0.0,
    ) -> None:
        self.negative_slope = at_least_zero(negative_slope, "negative_slope", self.name)
        self.max_value = optional(at_least_zero)(max_value, "max_value", self.name)
        self.threshold = at_least_zero(threshold, "threshold", self.name)

    @property
    def limit(self) -> float:
        """The limit, inf for none, where this clips to 0 ... limit and nothing more; else 0.0."""
        if self.negative_slope or self.threshold:
            return 0.0
        return math.inf if self.max_value is None else self.max_value

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        if limit := self.limit:
            elementwise.relu(z, out, limit)
            return out
        slope, threshold = np.float32(self.negative_slope), np.float32(self.threshold)
        below = z <= threshold
        if out is not z:
            np.copyto(out, z)
        if slope:
            np.subtract(out, threshold, out=out, where=below)
            np.multiply(out, slope, out=out, where=below)
        else:
            np.copyto(out, 0, where=below)
        return out if self.max_value is None else np.minimum(out, self.max_value, out=out)

    def backward(
        self, dy: np.ndarray, y: np.ndarray, out: np.ndarray, z: np.ndarray | None = None
    ) -> np.ndarray:
        if limit := self.limit:
            elementwise.relu_backward(dy, y, out, limit)
            return out
        # Above the threshold the output is the input; below, it is 0 or negative.
        above = y > np.float32(self.threshold)
        if self.max_value is not None:
            above &= y < np.float32(self.max_value)
        np.multiply(dy, above, out=out)
        if self.negative_slope:
            np.multiply(dy, np.float32(self.negative_slope), out=out, where=y < 0)
        return out

    def get_config(self) -> dict[str, Any]:
        return {
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class Relu6(Relu):
    """min(max(z, 0), 6)."""

    name = "relu6"

    def __init__(self) -> None:
        super().__init__(max_value=6.0)

    def get_config(self) -> dict[str, Any]:
        return {}


class LeakyRelu(Activation):
    """z where z > 0, `negative_slope` z elsewhere; Keras 3's slope is 0.2."""

    name = "leaky_relu"
    _numbers = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.2) -> None:
        self.negative_slope = at_least_zero(negative_slope, "negative_slope", "leaky_relu")

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        if out is not z:
            np.copyto(out, z)
        np.multiply(out, np.float32(self.negative_slope), out=out, where=out < 0)
        return out

    def backward(
        self, dy: np.ndarray, y: np.ndarray, out: np.ndarray, z: np.ndarray | None = None
    ) -> np.ndarray:
        np.copyto(out, dy)
        np.multiply(out, np.float32(self.negative_slope), out=out, where=y <= 0)
        return out

    def get_config(self) -> dict[str, Any]:
        return {"negative_slope": self.negative_slope}


def _hard_sigmoid(z: np.ndarray, out: np.ndarray) -> None:
    np.add(z, 3, out=out)
    np.clip(out, 0, 6, out=out)
    np.divide(out, 6, out=out)


class HardSigmoid(Elementwise):
    """z / 6 + 1/2, at least 0 and at most 1."""

    name = "hard_sigmoid"

    def _value(self, z: np.ndarray, out: np.ndarray) -> None:
        _hard_sigmoid(z, out)

    def _slope(self, known: np.ndarray, out: np.ndarray) -> None:
        np.multiply((known > 0) & (known < 1), np.float32(1 / 6), out=out)


class HardSilu(Elementwise):
    """z times the hard sigmoid of z, also called hard swish."""

    name = "hard_silu"
    needs_input = True

    def _value(self, z: np.ndarray, out: np.ndarray) -> None:
        gate = np.empty_like(out)
        _hard_sigmoid(z, gate)
        np.multiply(z, gate, out=out)

    def _slope(self, known: np.ndarray, out: np.ndarray) -> None:
        np.divide(known, 3, out=out)
        np.add(out, 0.5, out=out)
        np.copyto(out, 0, where=known <= -3)
        np.copyto(out, 1, where=known >= 3)
