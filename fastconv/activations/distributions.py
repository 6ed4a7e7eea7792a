"""Activations that see several numbers at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.handing_out import handed_out
from ..ops import elementwise
from .base import Activation


class _AlongLastAxis(Activation):
    """Along the last axis; called on an array, along any `axis`."""

    def __call__(self, x: Any, axis: int = -1) -> Any:
        """Return the activation of `x` along `axis` as a new float32 array, or as a tensor."""
        if hasattr(x, "activated"):
            if axis not in (-1, x.ndim - 1):
                raise ValueError(
                    f"{self.name}: axis is {axis!r}; it must be -1, the last, on a tensor; put "
                    "the axis there by the layer Permute"
                )
            return x.activated(self)
        z = np.array(np.moveaxis(np.asarray(x), axis, -1), np.float32, order="C")
        return handed_out(np.ascontiguousarray(np.moveaxis(self.forward(z, z), -1, axis)))


class Softmax(_AlongLastAxis):
    """exp(z) along the last axis, divided by its sum."""

    name = "softmax"

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        elementwise.softmax(z, out)
        return out

    def backward(
        self, dy: np.ndarray, y: np.ndarray, out: np.ndarray, z: np.ndarray | None = None
    ) -> np.ndarray:
        np.multiply(dy, y, out=out)
        np.subtract(dy, out.sum(axis=-1, keepdims=True), out=out)
        np.multiply(out, y, out=out)
        return out


class LogSoftmax(_AlongLastAxis):
    """z along the last axis, less the logarithm of the sum of exp(z)."""

    name = "log_softmax"

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        np.subtract(z, z.max(axis=-1, keepdims=True), out=out)
        total = np.exp(out).sum(axis=-1, keepdims=True)
        np.subtract(out, np.log(total, out=total), out=out)
        return out

    def backward(
        self, dy: np.ndarray, y: np.ndarray, out: np.ndarray, z: np.ndarray | None = None
    ) -> np.ndarray:
        np.exp(y, out=out)
        np.multiply(out, dy.sum(axis=-1, keepdims=True), out=out)
        np.subtract(dy, out, out=out)
        return out
