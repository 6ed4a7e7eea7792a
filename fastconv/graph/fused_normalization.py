"""Batch normalization with what stands around it: a convolution, an addition, a ReLU."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers import BatchNormalization
from ..layers.base import Layer
from ..ops import elementwise
from ..ops.plans import fold
from .fused_ops import FusedOp


class FusedNormalizationRelu(FusedOp):
    """BatchNormalization and the ReLU behind it, which costs no pass of its own."""

    def __init__(self, normalization: BatchNormalization, relu: Layer) -> None:
        super().__init__(normalization, relu)
        self._normalization = normalization

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self._normalization.normalize(x, training, relu=True)

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        return self._normalization.backward(dy)


class FusedConvNormalization(FusedOp):
    """A convolution and the BatchNormalization behind it, with a ReLU or without.

    In prediction the two are one convolution, whose kernel and bias have the scale and the shift
    of the moving averages in them; the result is that of both to rounding.
    """

    def __init__(
        self, convolution: Any, normalization: BatchNormalization, relu: Layer | None = None
    ) -> None:
        super().__init__(convolution, normalization, *(() if relu is None else (relu,)))
        self.convolution, self.normalization = convolution, normalization
        self._relu = relu is not None

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self.with_residual(x, None, training, self._relu)

    def with_residual(
        self, x: np.ndarray, residual: np.ndarray | None, training: bool, relu: bool
    ) -> np.ndarray:
        """Return the normalized convolution plus `residual`, behind a ReLU where there is one."""
        convolution, normalization = self.convolution, self.normalization
        if training:
            z = convolution.call(x, training)
            return normalization.normalize(z, training, relu=relu, residual=residual)
        kernel, bias = self._folded()
        y: np.ndarray = convolution.convolve_with(x, kernel, bias, relu=relu and residual is None)
        if residual is None:
            return y
        out = normalization.buffer("output", y.shape)
        elementwise.add(y, residual, out, relu)
        return out

    def _folded(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the kernel and the bias of both layers, made of the weights as they are now."""
        convolution, normalization = self.convolution, self.normalization
        kernel = convolution.kernel_of_filters
        return fold(
            kernel,
            None if convolution.bias is None else convolution.bias.value,
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

    def __init__(self, normalized: Any, add: Layer, relu: Layer | None) -> None:
        folds = normalized if isinstance(normalized, FusedConvNormalization) else None
        own = (normalized,) if folds is None else folds.layers
        super().__init__(*own, add, *(() if relu is None else (relu,)))
        self._folds = folds
        self._normalization: BatchNormalization = (
            normalized if folds is None else folds.normalization
        )
        self._relu = relu is not None

    def call(self, inputs: Any, training: bool = False) -> np.ndarray:
        x, residual = inputs
        if self._folds is not None:
            return self._folds.with_residual(x, residual, training, self._relu)
        return self._normalization.normalize(x, training, relu=self._relu, residual=residual)

    def backward(self, dy: np.ndarray) -> list[np.ndarray | None]:
        dz, residual = self._normalization.backward_with_residual(dy)
        if self._folds is not None and dz is not None:
            dz = self._folds.convolution.pre_activation_backward(dz)
        return [dz, residual]
