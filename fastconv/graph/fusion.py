"""Which neighbouring layers run as one kernel.

A plan is a list of stages, each a layer or an object that stands for several and has
their `call` and `backward`.  The user's layers stay as they are: a stage reads
their parameters and writes their gradients.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import activations
from .._core import runtime
from .._core.geometry import pool2d_window
from ..layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPooling2D,
    ReLU,
)
from ..layers.base import Layer
from ..ops.plans import ConvPoolPlan, Pool2DPlan


class ConvRelu:
    """Conv2D and the ReLU layer behind it: the kernel cuts its sums while they are in registers."""

    def __init__(self, convolution: Conv2D, relu: Layer) -> None:
        self.layers = (convolution, relu)
        self._output: np.ndarray | None = None

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Return the cut output in the convolution's own buffer."""
        y = self.layers[0].rectified(x, training)
        self._output = y if training else None
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        """Write the convolution's gradients and return the input's, if anyone needs it."""
        convolution, relu = self.layers
        if self._output is None:
            raise _no_forward_pass(convolution)
        dy = relu.checked_gradient(dy, self._output.shape)
        dz = relu.activation.backward(dy, self._output, relu.buffer("dz", dy.shape))
        return convolution.pre_activation_backward(dz)


class FusedConvPool:
    """Conv2D with ReLU and the 2x2 max pooling behind it, as one operation."""

    def __init__(self, *layers: Layer) -> None:
        self.layers = layers
        self._convolution, self._pooling = layers[0], layers[-1]
        self._kept: tuple[ConvPoolPlan, np.ndarray, np.ndarray] | None = None

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Return the pooled output in the pooling layer's own buffer."""
        convolution, pooling = self._convolution, self._pooling
        plan = convolution.plan(("fused", x.shape), lambda: self._make_plan(x.shape))
        out = pooling.buffer("output", plan.output_shape)
        winners = pooling.buffer("winners", plan.output_shape, np.uint8) if training else None
        plan.forward(x, convolution.kernel.value, self._bias("value"), out, winners)
        self._kept = (plan, x, winners) if training else None
        return out

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        """Write the convolution's gradients and return the input's, if anyone needs it."""
        convolution = self._convolution
        if self._kept is None:
            raise _no_forward_pass(convolution)
        plan, x, winners = self._kept
        dy = self._pooling.checked_gradient(dy, plan.output_shape)
        # It may be x itself: the plan reads x for the kernel's gradient first.
        dx = convolution.input_gradient_buffer(x)
        plan.backward(
            dy,
            winners,
            x,
            convolution.kernel.value,
            dx,
            convolution.kernel.gradient,
            self._bias("gradient"),
        )
        return dx

    def _bias(self, field: str) -> np.ndarray | None:
        bias = self._convolution.bias
        return None if bias is None else getattr(bias, field)

    def _make_plan(self, input_shape: tuple[int, ...]) -> ConvPoolPlan:
        convolution = self._convolution
        return ConvPoolPlan(
            input_shape,
            convolution.kernel.shape,
            strides=convolution.strides,
            padding=convolution.padding,
            owner=convolution.owner,
        )


class GatedPool:
    """Conv2D with ReLU and any max pooling behind it: two kernels, and no pass for the ReLU.

    What the ReLU stops has a maximum of 0, and the pooling passes no gradient to it.
    """

    def __init__(self, *layers: Layer) -> None:
        self.layers = layers
        self._convolution, self._pooling = layers[0], layers[-1]
        self._kept: tuple[Pool2DPlan, tuple[int, ...], np.ndarray] | None = None

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Return the pooled output in the pooling layer's own buffer."""
        pooling = self._pooling
        y = self._convolution.rectified(x, training)
        plan = pooling.plan(("gated", y.shape), lambda: self._make_plan(y.shape))
        out = pooling.buffer("output", plan.output_shape)
        winners = pooling.buffer("winners", plan.output_shape, np.uint8) if training else None
        plan.forward(y, out, winners)
        self._kept = (plan, y.shape, winners) if training else None
        return out

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        """Write the convolution's gradients and return the input's, if anyone needs it."""
        if self._kept is None:
            raise _no_forward_pass(self._convolution)
        plan, shape, winners = self._kept
        dy = self._pooling.checked_gradient(dy, plan.output_shape)
        dz = self._pooling.buffer("dx", shape)
        plan.backward(dy, None, dz, winners)
        return self._convolution.pre_activation_backward(dz)

    def _make_plan(self, shape: tuple[int, ...]) -> Pool2DPlan:
        pooling = self._pooling
        return Pool2DPlan(
            "max",
            shape,
            pool_size=pooling.pool_size,
            strides=pooling.strides,
            padding=pooling.padding,
            gated=True,
            owner=pooling.owner,
        )


class NormalizationRelu:
    """BatchNormalization and the ReLU behind it, which costs no pass of its own."""

    def __init__(self, normalization: BatchNormalization, relu: Layer) -> None:
        self.layers = (normalization, relu)

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Return the normalized and cut values in the normalization's own buffer."""
        return self.layers[0].normalize(x, training, relu=True)

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        """Write the normalization's gradients and return the input's, if anyone needs it."""
        return self.layers[0].backward(dy)


Stage = Layer | ConvRelu | FusedConvPool | GatedPool | NormalizationRelu


def plan(layers: Sequence[Layer]) -> list[Stage]:
    """Return the stages that compute what `layers`, all built, compute one after another."""
    stages: list[Stage] = []
    waiting = list(layers)
    while waiting:
        stage = _first_stage(waiting)
        stages.append(stage)
        waiting = waiting[len(members(stage)) :]
    return stages


def members(stage: Stage) -> tuple[Layer, ...]:
    """Return the layers that a stage stands for."""
    return (stage,) if isinstance(stage, Layer) else stage.layers


def _first_stage(layers: Sequence[Layer]) -> Stage:
    first, *rest = layers
    count = _rectified(layers)
    if 0 < count < len(layers):
        if _fuses(first, layers[count]):
            return FusedConvPool(*layers[: count + 1])
        if _gates(layers[count]):
            return GatedPool(*layers[: count + 1])
    if count == 2:
        return ConvRelu(first, rest[0])
    if rest and type(first) is BatchNormalization and _is_relu(rest[0]):
        return NormalizationRelu(first, rest[0])
    return first


def _rectified(layers: Sequence[Layer]) -> int:
    """Return how many layers in front are a convolution and its ReLU: one, two, or none."""
    # Exact types: a subclass may compute something else.
    if type(layers[0]) is not Conv2D:
        return 0
    if activations.is_relu(layers[0].activation):
        return 1
    linear = type(layers[0].activation) is activations.Linear
    return 2 if linear and len(layers) > 1 and _is_relu(layers[1]) else 0


def _is_relu(layer: Layer) -> bool:
    return type(layer) in (Activation, ReLU) and activations.is_relu(layer.activation)


def _gates(pooling: Layer) -> bool:
    return (
        type(pooling) is MaxPooling2D
        and pooling.pool_size[0] * pooling.pool_size[1] <= runtime.kernels.pool.MOST_WINNERS
    )


def passes_gradient_at_zeros(layer: Layer, at_zeros: bool) -> bool:
    """Return whether `layer` does anything with its output's gradient where the output is 0.

    `at_zeros` says the same of the layer before it.  A ReLU stops the gradient there.
    Dropout, max pooling and Flatten send it to an input that is 0 as well, or stop it.
    """
    # Exact types: a subclass may compute something else.
    if type(layer) in (Dropout, Flatten, MaxPooling2D):
        return at_zeros
    if type(layer) in (Conv2D, Dense, Activation, ReLU):
        return not activations.is_relu(layer.activation)
    return True


def may_overwrite_inputs(stages: Sequence[Stage]) -> list[bool]:
    """Return for each stage whether it can, and may, write its input's gradient over the input.

    It may where the stage before, whose output the input is, goes back without reading it.
    """
    result, unread = [], False
    for stage in stages:
        # Exact types: a subclass may go on reading its input.
        result.append(unread and type(stage) in (FusedConvPool, Dense))
        if type(stage) is not Flatten:  # whose output is its input
            unread = type(stage) in (FusedConvPool, GatedPool, MaxPooling2D)
    return result


def _fuses(convolution: Conv2D, pooling: Layer) -> bool:
    if convolution.groups != 1 or convolution.dilation_rate != (1, 1):
        return False
    # Exact types: a subclass may compute something else.
    if type(pooling) is not MaxPooling2D or (pooling.pool_size, pooling.strides) != ((2, 2),) * 2:
        return False
    shape = (1, *convolution.output_shape[1:])
    window = pool2d_window(shape, 2, 2, pooling.padding, owner=pooling.owner)
    # However it is spelt: "same" pads only where the size is odd.
    return not window.padded


def _no_forward_pass(layer: Layer) -> RuntimeError:
    return RuntimeError(f"{layer.owner}: backward(dy) needs call(x, training=True) before it")
