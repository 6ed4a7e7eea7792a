"""What normalizes each sample by itself has in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.memory import contiguous
from .._core.validation import above_zero, truth
from .arguments import Shape
from .base import Layer
from .options import (
    FixedOption,
    LayerOption,
    Weight,
    constraint_option,
    initializer_option,
    regularizer_option,
    weights_config,
)
from .parameter import Parameter


class Standardization(Layer):
    """Base of layers that take groups of numbers to mean 0 and deviation 1, then to their weights.

    A subclass says by `_layout` how an input is seen: its shape there, the axes of a group, and
    the shape in which the weights, (..., sizes of a sample), meet it.
    """

    center, scale, epsilon = FixedOption(truth), FixedOption(truth), LayerOption(above_zero)
    beta_initializer, gamma_initializer = initializer_option(), initializer_option()
    beta_regularizer, gamma_regularizer = regularizer_option(), regularizer_option()
    beta_constraint, gamma_constraint = constraint_option(), constraint_option()
    gamma, beta = Weight(), Weight()

    def __init__(
        self,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.epsilon, self.center, self.scale = epsilon, center, scale
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.beta_regularizer, self.gamma_regularizer = beta_regularizer, gamma_regularizer
        self.beta_constraint, self.gamma_constraint = beta_constraint, gamma_constraint
        self.gamma = self.beta = None

    def _layout(
        self, shape: tuple[int, ...]
    ) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Return (shape, axes of a group, shape of the weights) for an input of `shape`."""
        raise NotImplementedError

    def _add_weights(self, shape: tuple[int, ...]) -> None:
        """Create gamma and beta, in this order."""
        if self.scale:
            self.gamma = self._add("gamma", shape)
        if self.center:
            self.beta = self._add("beta", shape)

    def _add(self, name: str, shape: tuple[int, ...]) -> Parameter:
        return self.add_weight(
            shape,
            getattr(self, f"{name}_initializer"),
            name=name,
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[1:])

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        x = contiguous(x, np.float32)
        shape, axes, weights = self.plan((x.shape,), lambda: self._layout(x.shape))
        seen, out = x.reshape(shape), self.buffer("output", shape)
        # Means are in float64: along many pixels a float32 sum would lose digits.
        mean = seen.mean(axis=axes, dtype=np.float64, keepdims=True)
        normalized = self.buffer("normalized", shape)
        np.subtract(seen, mean.astype(np.float32), out=normalized)
        np.multiply(normalized, normalized, out=out)
        variance = out.mean(axis=axes, dtype=np.float64, keepdims=True)
        inverse = (1 / np.sqrt(variance + self.epsilon)).astype(np.float32)
        np.multiply(normalized, inverse, out=normalized)
        if self.scale:
            np.multiply(normalized, self.gamma.contents.reshape(weights), out=out)
        else:
            np.copyto(out, normalized)
        if self.center:
            np.add(out, self.beta.contents.reshape(weights), out=out)
        saved = (x.shape, shape, axes, weights, normalized, inverse)
        self._workspace.saved_for_backward = saved if training else None
        return out.reshape(x.shape)

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        input_shape, shape, axes, weights, normalized, inverse = self._saved_for_backward()
        dy = self.checked_gradient(dy, input_shape).reshape(shape)
        product = self.buffer("dz", shape)
        np.multiply(dy, normalized, out=product)
        others = tuple(axis for axis, size in enumerate(weights) if size == 1)
        if self.scale:
            total = np.add.reduce(product, axis=others, dtype=np.float64)
            self.gamma.gradient[...] = total.reshape(self.gamma.shape)
        if self.center:
            total = np.add.reduce(dy, axis=others, dtype=np.float64)
            self.beta.gradient[...] = total.reshape(self.beta.shape)
        if not self.needs_input_gradient:
            return None
        # Less the parts that shift and stretch a group: they change its mean and variance.
        dx = self.buffer("dx", shape)
        if self.scale:
            gamma = self.gamma.contents.reshape(weights)
            np.multiply(product, gamma, out=product)
            np.multiply(dy, gamma, out=dx)
        else:
            np.copyto(dx, dy)
        stretch = product.mean(axis=axes, dtype=np.float64, keepdims=True).astype(np.float32)
        shift = dx.mean(axis=axes, dtype=np.float64, keepdims=True).astype(np.float32)
        np.multiply(normalized, stretch, out=product)
        np.subtract(dx, product, out=dx)
        np.subtract(dx, shift, out=dx)
        np.multiply(dx, inverse, out=dx)
        gradient: np.ndarray = dx.reshape(input_shape)
        return gradient

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **weights_config(self, "beta", "gamma"),
        }
