"""Batch normalization with what stands around it: a convolution, an addition, clipping."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..activations import limit_of
from ..layers import BatchNormalization
from ..layers.base import Layer
from ..ops import elementwise
from ..ops.plans import fold
from .fused_ops import FusedOp


class FusedNormalizationRelu(FusedOp):
    """BatchNormalization and the ReLU or ReLU6 behind it, which costs no pass of its own."""

    def __init__(self, normalization: BatchNormalization, relu: Any) -> None:
        super().__init__(normalization, relu)
        self._normalization = normalization
        self._limit = limit_of(relu.activation)

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self._normalization.normalize(x, training, limit=self._limit)

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        return self._normalization.backward(dy)


class FusedConvNormalization(FusedOp):
    """A convolution and the BatchNormalization behind it, with a ReLU or ReLU6 or without.

    In prediction the two are one convolution, whose kernel and bias have the scale and the shift
    of the moving averages in them; the result is that of both to rounding.
    """

    def __init__(
        self, convolution: Any, normalization: BatchNormalization, relu: Any = None
    ) -> None:
        super().__init__(convolution, normalization, *(() if relu is None else (relu,)))
        self.convolution, self.normalization = convolution, normalization
        self._limit = 0.0 if relu is None else limit_of(relu.activation)

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self.with_residual(x, None, training, self._limit)

    def with_residual(
        self, x: np.ndarray, residual: np.ndarray | None, training: bool, limit: float
    ) -> np.ndarray:
        """Return the normalized convolution plus `residual`, clipped where `limit` is above 0."""
        convolution, normalization = self.convolution, self.normalization
        if training:
            z = convolution.call(x, training)
            return normalization.normalize(z, training, limit=limit, residual=residual)
        kernel, bias = self._folded()
        own = limit if residual is None else 0.0
        y: np.ndarray = convolution.convolve_with(x, kernel, bias, own)
        if residual is None:
            return y
        out = normalization.buffer("output", y.shape)
        elementwise.add(y, residual, out, limit)
        return out

    def _folded(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the kernel and the bias of both layers, made of the weights as they are now."""
        convolution, normalization = self.convolution, self.normalization
        kernel = convolution.kernel_of_filters
        return fold(
            kernel,
            None if convolution.bias is None else convolution.bias.contents,
            normalization.scale_and_shift(),
            convolution.buffer("folded kernel", kernel.shape),
        )

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        dz = self.normalization.backward(dy)
        return None if dz is None else self.convolution.pre_activation_backward(dz)


class FusedResidual(FusedOp):
    """A normalization, perhaps of a convolution, an Add of it and something else, and a ReLU.

    Its input is the list of what is normalized and what is added.
    """

    takes_list = True

    def __init__(self, normalized: Any, add: Layer, relu: Any) -> None:
        folds = normalized if isinstance(normalized, FusedConvNormalization) else None
        own = (normalized,) if folds is None else folds.layers
        super().__init__(*own, add, *(() if relu is None else (relu,)))
        self._folds = folds
        self._normalization: BatchNormalization = (
            normalized if folds is None else folds.normalization
        )
        self._limit = 0.0 if relu is None else limit_of(relu.activation)

    def call(self, inputs: Any, training: bool = False) -> np.ndarray:
        x, residual = inputs
        if self._folds is not None:
            return self._folds.with_residual(x, residual, training, self._limit)
        return self._normalization.normalize(x, training, limit=self._limit, residual=residual)

    def backward(self, dy: np.ndarray) -> list[np.ndarray | None]:
        dz, residual = self._normalization.backward_with_residual(dy)
        if self._folds is not None and dz is not None:
            dz = self._folds.convolution.pre_activation_backward(dz)
        return [dz, residual]
