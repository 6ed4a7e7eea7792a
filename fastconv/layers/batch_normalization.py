"""Batch normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.memory import contiguous
from .._core.validation import above_zero, fraction, integer, truth
from ..ops.plans import NormalizationPlan
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


class BatchNormalization(Layer):
    """Takes each channel (last axis) to mean 0 and deviation 1, then to `beta` and `gamma`.

    In training the mean and the variance are those of the batch and move the
    kept ones: `moving = momentum * moving + (1 - momentum) * batch`.  Else, and
    always if `trainable` is False, they are the moving ones.  Weights, as
    asked for: `gamma`, `beta`, `moving_mean`, `moving_variance`, (channels,).

    One sample of shape (1, channels) is its own mean: in training its output is `beta`,
    whatever it was, its input's gradient is 0, and it moves the kept variance to 0.  That
    is Keras's answer too; keep such a batch out, or give more rows.  A single image is
    many samples, its pixels.

    `momentum`, `epsilon` and `trainable` may be assigned at any time.
    """

    axis, center, scale = FixedOption(integer), FixedOption(truth), FixedOption(truth)
    momentum, epsilon = LayerOption(fraction), LayerOption(above_zero)
    beta_initializer, gamma_initializer = initializer_option(), initializer_option()
    moving_mean_initializer = initializer_option()
    moving_variance_initializer = initializer_option()
    beta_regularizer, gamma_regularizer = regularizer_option(), regularizer_option()
    beta_constraint, gamma_constraint = constraint_option(), constraint_option()
    gamma, beta, moving_mean, moving_variance = Weight(), Weight(), Weight(), Weight()

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.axis = axis
        self.momentum, self.epsilon = momentum, epsilon
        self.center, self.scale = center, scale
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.moving_mean_initializer = moving_mean_initializer
        self.moving_variance_initializer = moving_variance_initializer
        self.beta_regularizer, self.gamma_regularizer = beta_regularizer, gamma_regularizer
        self.beta_constraint, self.gamma_constraint = beta_constraint, gamma_constraint
        self.gamma = self.beta = self.moving_mean = self.moving_variance = None

    def build(self, input_shape: Shape) -> None:
        if self.axis not in (-1, len(input_shape) - 1):
            raise ValueError(
                f"{self.owner}: axis={self.axis} is not supported; channels are the last axis (-1)"
            )
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(
                f"{self.owner}: the input has shape {tuple(input_shape)}; (batch, ..., channels) "
                "with a known number of channels is needed"
            )
        if self.scale:
            self.gamma = self._add("gamma", input_shape[-1])
        if self.center:
            self.beta = self._add("beta", input_shape[-1])
        self.moving_mean = self._add("moving_mean", input_shape[-1], trainable=False)
        self.moving_variance = self._add("moving_variance", input_shape[-1], trainable=False)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[1:])

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self.normalize(x, training)

    def scale_and_shift(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the mean, the scale and the shift of each channel in prediction, float64."""
        mean = self.moving_mean.contents.astype(np.float64)
        scale = self._inverse(self.moving_variance.contents)
        if self.scale:
            scale = scale * self.gamma.contents
        return mean, scale, self.beta.contents if self.center else np.zeros(())

    def _inverse(self, variance: np.ndarray) -> np.ndarray:
        inverse: np.ndarray = 1 / np.sqrt(variance + np.float64(self.epsilon))
        return inverse

    def normalize(
        self,
        x: np.ndarray,
        training: bool,
        *,
        limit: float = 0.0,
        residual: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return `call(x, training)`, with `residual` added, clipped if `limit` is above 0.

        `backward` is of what ran last, `backward_with_residual` where there is one.
        """
        x = contiguous(x, np.float32)
        if x.shape[-1] != self.moving_mean.size:
            raise ValueError(
                f"{self.owner}: the input has shape {x.shape}; the last axis must be "
                f"{self.moving_mean.size}"
            )
        rows = x.reshape(-1, x.shape[-1])
        adds = residual is not None
        plan = self.plan(
            (rows.shape, limit, adds),
            lambda: NormalizationPlan(*rows.shape, limit=limit, residual=adds),
        )
        from_batch = training and self.trainable and len(rows) > 0 and not self._workspace.inference
        if from_batch:
            mean, variance = plan.moments(rows)
            self._move_averages(mean, variance)
        else:
            mean, variance = self.moving_mean.contents, self.moving_variance.contents
        inverse = self._inverse(variance)
        scale = inverse * self.gamma.contents if self.scale else inverse
        plan.set_affine(mean, scale, self.beta.contents if self.center else 0.0)
        out = self.buffer("output", rows.shape)
        plan.forward(rows, out, None if residual is None else residual.reshape(rows.shape))
        saved = (plan, x, inverse, scale, from_batch)
        self._workspace.saved_for_backward = saved if training else None
        self._workspace.output = out if training and adds and limit else None
        return out.reshape(x.shape)

    def backward_with_residual(self, dy: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
        """Return the gradients of the input and of what was added to the output."""
        plan, x, *_ = self._saved_for_backward()
        dy = self.checked_gradient(dy, x.shape)
        y = self._workspace.output
        if y is None:  # there is no ReLU
            return self.backward(dy), dy
        dz = plan.gate(dy, y.reshape(dy.shape), self.buffer("dz", dy.shape))
        return self.backward(dz), dz

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        plan, x, inverse, scale, from_batch = self._saved_for_backward()
        dy = self.checked_gradient(dy, x.shape).reshape(-1, x.shape[-1])
        rows = x.reshape(dy.shape)
        total, along = plan.sums(dy, rows)
        if self.scale:
            self.gamma.gradient[...] = along * inverse
        if self.center:
            self.beta.gradient[...] = total
        if not self.needs_input_gradient:
            return None
        out = self.buffer("dx", dy.shape)
        if from_batch:
            # Less the parts of dy that shift and stretch the batch: they change mean and variance.
            stretch, shift = along * inverse**2 / len(dy), total / len(dy)
            plan.input_gradient(dy, rows, scale, -scale * stretch, -scale * shift, out)
        else:
            plan.input_gradient(dy, rows, scale, 0.0, 0.0, out)
        dx: np.ndarray = out.reshape(x.shape)
        return dx

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **weights_config(self, "beta", "gamma", "moving_mean", "moving_variance"),
        }

    def _add(self, name: str, channels: int, trainable: bool = True) -> Parameter:
        return self.add_weight(
            (channels,),
            getattr(self, f"{name}_initializer"),
            trainable=trainable,
            name=name,
            regularizer=getattr(self, f"{name}_regularizer", None),
            constraint=getattr(self, f"{name}_constraint", None),
        )

    def _move_averages(self, mean: np.ndarray, variance: np.ndarray) -> None:
        with self._workspaces.locked():  # no thread's batch is lost
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.value[...] = self.momentum * moving.contents + (1 - self.momentum) * batch
