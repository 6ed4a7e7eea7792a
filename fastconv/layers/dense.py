"""Fully connected layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.memory import contiguous
from .._core.validation import positive_integer, truth
from ..ops.plans import DensePlan
from .activated import ActivatedLayer
from .arguments import Shape
from .options import (
    FixedOption,
    Weight,
    constraint_option,
    initializer_option,
    regularizer_option,
    weights_config,
)


class Dense(ActivatedLayer):
    """`activation(x @ kernel + bias)` along the last axis: (..., inputs) to (..., units).

    Weights: `kernel` (inputs, units) and, if `use_bias`, `bias` (units,).
    `input_dim=n` is the same as `input_shape=(n,)`.  Regularizers and constraints are
    names or objects of `fastconv.regularizers` and `fastconv.constraints`.

    >>> Dense(2, kernel_initializer="ones")(np.ones((1, 3)))
    array([[3., 3.]], dtype=float32)
    """

    units, use_bias = FixedOption(positive_integer), FixedOption(truth)
    kernel_initializer, bias_initializer = initializer_option(), initializer_option()
    kernel_regularizer, bias_regularizer = regularizer_option(), regularizer_option()
    kernel_constraint, bias_constraint = constraint_option(), constraint_option()
    kernel, bias = Weight(), Weight()

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        input_dim: int | None = None,
        **options: Any,
    ) -> None:
        if input_dim is not None:
            options.setdefault("input_shape", (input_dim,))
        super().__init__(activation, **options)
        self.units, self.use_bias = units, use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint
        self.kernel = self.bias = None

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(
                f"{self.owner}: the input has shape {tuple(input_shape)}; (batch, ..., inputs) "
                "with a known number of inputs is needed; give Input every size, or put "
                "GlobalAveragePooling2D before it"
            )
        self.kernel = self.add_weight(
            (input_shape[-1], self.units),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[1:-1], self.units)

    def pre_activation(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        x = contiguous(x, np.float32)
        inputs = self.kernel.shape[0]
        if x.ndim < 2 or x.shape[-1] != inputs:
            raise ValueError(
                f"{self.owner}: the input has shape {x.shape}; the last axis must be {inputs}"
            )
        rows = x if x.ndim == 2 else x.reshape(-1, inputs)
        workspace = self._workspace  # once: it is looked up by thread
        plan = workspace.plan(
            (rows.shape,), lambda: DensePlan(len(rows), inputs, self.units, dtype=np.float32)
        )
        out = workspace.buffer("output", (len(rows), self.units), np.float32)
        plan.forward(rows, self.kernel.contents, self.bias.contents if self.use_bias else None, out)
        workspace.saved_for_backward = (plan, x) if training else None
        return out if rows is x else out.reshape(*x.shape[:-1], self.units)

    def pre_activation_backward(self, dz: np.ndarray) -> np.ndarray | None:
        plan, x = self._saved_for_backward()
        dz = self.checked_gradient(dz, (*x.shape[:-1], self.units))
        dx = self.input_gradient_buffer(x)
        defers = plan.defers and self.kernel.can_defer
        product = plan.backward(
            dz.reshape(-1, self.units),
            x.reshape(-1, x.shape[-1]),
            self.kernel.contents,
            None if dx is None else dx.reshape(-1, x.shape[-1]),
            None if defers else self.kernel.gradient,
            self.bias.gradient if self.use_bias else None,
            at_zeros=self.needs_gradient_at_zeros,
        )
        if defers:
            self.kernel.defer(product)
        return dx

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "use_bias": self.use_bias,
            **weights_config(self, "kernel", "bias"),
        }
