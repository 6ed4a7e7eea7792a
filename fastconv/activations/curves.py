"""Activations that are smooth, element by element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._core.validation import at_least_zero, truth
from ..ops import elementwise
from .base import Activation, Elementwise

# As Klambauer et al. (2017) have them, to the digits of Keras.
_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946

_ROOT_2_OVER_PI = math.sqrt(2 / math.pi)


class Sigmoid(Activation):
    """1 / (1 + exp(-z))."""

    name = "sigmoid"

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        elementwise.sigmoid(z, out)
        return out

    def backward(
        self, dy: np.ndarray, y: np.ndarray, out: np.ndarray, z: np.ndarray | None = None
    ) -> np.ndarray:
        np.subtract(1, y, out=out)
        np.multiply(out, y, out=out)
        np.multiply(out, dy, out=out)
        return out


class Tanh(Activation):
    """The hyperbolic tangent."""

    name = "tanh"

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        np.tanh(z, out=out)
        return out

    def backward(
        self, dy: np.ndarray, y: np.ndarray, out: np.ndarray, z: np.ndarray | None = None
    ) -> np.ndarray:
        np.multiply(y, y, out=out)
        np.subtract(1, out, out=out)
        np.multiply(out, dy, out=out)
        return out


class _Saturating(Elementwise):
    """`_scale` z where z > 0, `_scale` `_alpha` (exp(z) - 1) elsewhere."""

    _scale = 1.0

    def _saturation(self) -> float:
        """Return what the output of large negative numbers comes near to, with the sign turned."""
        raise NotImplementedError

    def _value(self, z: np.ndarray, out: np.ndarray) -> None:
        below = np.minimum(z, 0)
        np.expm1(below, out=below)
        np.multiply(below, np.float32(self._saturation()), out=below)
        np.maximum(z, 0, out=out)
        if self._scale != 1:
            np.multiply(out, np.float32(self._scale), out=out)
        np.add(out, below, out=out)

    def _slope(self, known: np.ndarray, out: np.ndarray) -> None:
        np.add(known, np.float32(self._saturation()), out=out)
        np.copyto(out, np.float32(self._scale), where=known > 0)


class Elu(_Saturating):
    """z where z > 0, `alpha` (exp(z) - 1) elsewhere."""

    name = "elu"
    _numbers = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = at_least_zero(alpha, "alpha", "elu")

    def _saturation(self) -> float:
        return self.alpha

    def get_config(self) -> dict[str, Any]:
        return {"alpha": self.alpha}


class Selu(_Saturating):
    """1.0507 z where z > 0, 1.7581 (exp(z) - 1) elsewhere."""

    name = "selu"
    _scale = _SELU_SCALE

    def _saturation(self) -> float:
        return _SELU_SCALE * _SELU_ALPHA


class Exponential(Elementwise):
    """exp(z)."""

    name = "exponential"

    def _value(self, z: np.ndarray, out: np.ndarray) -> None:
        np.exp(z, out=out)

    def _slope(self, known: np.ndarray, out: np.ndarray) -> None:
        np.copyto(out, known)


class Softplus(Elementwise):
    """log(1 + exp(z))."""

    name = "softplus"

    def _value(self, z: np.ndarray, out: np.ndarray) -> None:
        rest = np.abs(z)
        np.negative(rest, out=rest)
        np.exp(rest, out=rest)
        np.log1p(rest, out=rest)
        np.maximum(z, 0, out=out)
        np.add(out, rest, out=out)

    def _slope(self, known: np.ndarray, out: np.ndarray) -> None:
        # The sigmoid of the input, by the output: 1 - exp(-y).
        np.negative(known, out=out)
        np.expm1(out, out=out)
        np.negative(out, out=out)


class Softsign(Elementwise):
    """z / (1 + |z|)."""

    name = "softsign"

    def _value(self, z: np.ndarray, out: np.ndarray) -> None:
        size = np.abs(z)
        np.add(size, 1, out=size)
        np.divide(z, size, out=out)

    def _slope(self, known: np.ndarray, out: np.ndarray) -> None:
        np.abs(known, out=out)
        np.subtract(1, out, out=out)
        np.multiply(out, out, out=out)


class Silu(Elementwise):
    """z sigmoid(z), also called swish."""

    name = "silu"
    needs_input = True

    def _value(self, z: np.ndarray, out: np.ndarray) -> None:
        gate = np.empty_like(out)
        elementwise.sigmoid(z, gate)
        np.multiply(z, gate, out=out)

    def _slope(self, known: np.ndarray, out: np.ndarray) -> None:
        # s (1 + z (1 - s)) for s = sigmoid(z).
        gate = np.empty_like(out)
        elementwise.sigmoid(known, gate)
        np.subtract(1, gate, out=out)
        np.multiply(out, known, out=out)
        np.add(out, 1, out=out)
        np.multiply(out, gate, out=out)


class Gelu(Elementwise):
    """z P(z), where P is the share of normal numbers below z; by tanh if `approximate`."""

    name = "gelu"
    needs_input = True
    _numbers = ("approximate",)

    def __init__(self, approximate: bool = False) -> None:
        self.approximate = truth(approximate, "approximate", "gelu")

    def _value(self, z: np.ndarray, out: np.ndarray) -> None:
        share = np.empty_like(out)
        self._share(z, share)
        np.multiply(z, share, out=out)

    def _slope(self, known: np.ndarray, out: np.ndarray) -> None:
        share, square = np.empty_like(out), known * known
        self._share(known, share)
        if self.approximate:
            # The derivative of P: 2 P (1 - P) times that of what tanh is taken of.
            np.multiply(square, np.float32(3 * 0.044715), out=out)
            np.add(out, 1, out=out)
            np.multiply(out, np.float32(2 * _ROOT_2_OVER_PI), out=out)
            np.multiply(out, share, out=out)
            np.multiply(out, 1 - share, out=out)
        else:
            np.multiply(square, -0.5, out=out)
            np.exp(out, out=out)
            np.multiply(out, np.float32(1 / math.sqrt(2 * math.pi)), out=out)
        np.multiply(out, known, out=out)
        np.add(out, share, out=out)

    def _share(self, z: np.ndarray, out: np.ndarray) -> None:
        """Write P(z), to 1e-7."""
        if self.approximate:
            np.multiply(z, z, out=out)
            np.multiply(out, np.float32(0.044715), out=out)
            np.add(out, 1, out=out)
            np.multiply(out, z, out=out)
            np.multiply(out, np.float32(_ROOT_2_OVER_PI), out=out)
            np.tanh(out, out=out)
        else:
            np.multiply(z, np.float32(math.sqrt(0.5)), out=out)
            _error_function(out)
        np.add(out, 1, out=out)
        np.multiply(out, 0.5, out=out)

    def get_config(self) -> dict[str, Any]:
        return {"approximate": self.approximate}


# erf(x) = x P(x x) / Q(x x) for |x| < 4, highest powers first; these are Eigen's.
_ERF_P = (
    -2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
    -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02,
)  # fmt: skip
_ERF_Q = (
    -1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
    -1.42647390514189e-02,
)  # fmt: skip


def _error_function(x: np.ndarray) -> None:
    """Replace x by erf(x)."""
    np.clip(x, -4, 4, out=x)
    square = x * x
    np.multiply(x, _polynomial(_ERF_P, square), out=x)
    np.divide(x, _polynomial(_ERF_Q, square), out=x)


def _polynomial(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        np.multiply(total, x, out=total)
        np.add(total, np.float32(coefficient), out=total)
    return total


class Mish(Elementwise):
    """z tanh(log(1 + exp(z)))."""

    name = "mish"
    needs_input = True

    # With e = exp(z) and n = e (e + 2), the tanh is n / (n + 2).  Beyond 20 it is 1, and its
    # square would overflow.

    def _value(self, z: np.ndarray, out: np.ndarray) -> None:
        _, n = self._parts(np.minimum(z, 20))
        np.divide(n, n + 2, out=n)
        np.multiply(z, n, out=out)

    def _slope(self, known: np.ndarray, out: np.ndarray) -> None:
        # n / (n + 2) + 4 z e (e + 1) / (n + 2)^2
        z = np.minimum(known, 20)
        e, n = self._parts(z)
        np.add(e, 1, out=out)
        np.multiply(out, e, out=out)
        np.multiply(out, z, out=out)
        np.multiply(out, 4, out=out)
        np.add(n, 2, out=e)
        np.divide(out, e, out=out)
        np.add(out, n, out=out)
        np.divide(out, e, out=out)

    def _parts(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        e = np.exp(z)
        n = e + 2
        np.multiply(n, e, out=n)
        return e, n
