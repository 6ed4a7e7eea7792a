"""Which neighbouring layers run as one fused op, and what an operation asks of its neighbours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import activations
from .._core import runtime
from .._core.geometry import pool2d_window
from ..layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    MaxPooling2D,
    ReLU,
    SeparableConv2D,
)
from ..layers.base import Layer
from .fused_normalization import FusedConvNormalization, FusedNormalizationRelu
from .fused_ops import FusedConvRelu, FusedConvReluPool, FusedOp, FusedReluMaxPool

Operation = Layer | FusedOp

# Throughout this module types are compared exactly: a subclass may compute something else.


def fuse(layers: Sequence[Layer], shapes: Sequence[Any] | None = None) -> list[Operation]:
    """Return the operations that compute what `layers`, all built, compute one after another.

    `shapes` are those of their outputs here, by default as they were built.
    """
    operations: list[Operation] = []
    waiting = list(layers)
    given = [layer.output_shape for layer in layers] if shapes is None else list(shapes)
    while waiting:
        operation = _first_operation(waiting, given)
        operations.append(operation)
        count = len(members(operation))
        waiting, given = waiting[count:], given[count:]
    return operations


def members(operation: Operation) -> tuple[Layer, ...]:
    """Return the layers that an operation stands for."""
    return operation.layers if isinstance(operation, FusedOp) else (operation,)


def _first_operation(layers: Sequence[Any], shapes: Sequence[Any]) -> Operation:
    first, *rest = layers
    count, limit = _convolution_and_relu(layers)
    if limit == math.inf and count < len(layers):
        if _fuses_with_pooling(first, layers[count], shapes[0]):
            return FusedConvReluPool(*layers[: count + 1])
        if _stops_as_relu(layers[count]):
            return FusedReluMaxPool(*layers[: count + 1])
    if count == 2:
        return FusedConvRelu(first, rest[0])
    if rest and type(first) is BatchNormalization and is_relu(rest[0]):
        return FusedNormalizationRelu(first, rest[0])
    if rest and type(rest[0]) is BatchNormalization and _is_plain_convolution(first):
        behind = rest[1] if len(rest) > 1 and is_relu(rest[1]) else None
        return FusedConvNormalization(first, rest[0], behind)
    alone: Layer = first
    return alone


def fuses_with_add(operation: Operation) -> bool:
    """Whether an operation can take in an Add behind it, and the ReLU behind that."""
    if type(operation) is FusedConvNormalization:
        return len(operation.layers) == 2
    return type(operation) is BatchNormalization


def is_relu(layer: Any) -> bool:
    """Whether a layer is a ReLU, with or without a limit, and nothing more."""
    return type(layer) in (Activation, ReLU) and activations.limit_of(layer.activation) > 0


def _is_plain_convolution(layer: Any) -> bool:
    plain = type(layer) in (Conv2D, DepthwiseConv2D, SeparableConv2D)
    return plain and type(layer.activation) is activations.Linear


def _convolution_and_relu(layers: Sequence[Any]) -> tuple[int, float]:
    """Return how many layers in front are a convolution and its ReLU, and the ReLU's limit.

    They are one or two; none, and 0.0, where there are no such layers.
    """
    if type(layers[0]) is Conv2D:
        if limit := activations.limit_of(layers[0].activation):
            return 1, limit
        linear = type(layers[0].activation) is activations.Linear
        if linear and len(layers) > 1 and is_relu(layers[1]):
            return 2, activations.limit_of(layers[1].activation)
    return 0, 0.0


def _fuses_with_pooling(convolution: Any, pooling: Any, shape: Any) -> bool:
    if convolution.groups != 1 or convolution.dilation_rate != (1, 1):
        return False
    if type(pooling) is not MaxPooling2D or (pooling.pool_size, pooling.strides) != ((2, 2),) * 2:
        return False
    if pooling.dilation_rate != (1, 1) or pooling.ceil_mode:
        return False
    if None in shape[1:3]:  # only the data will tell whether "same" pads
        return bool(pooling.padding == "valid")
    window = pool2d_window((1, *shape[1:]), 2, 2, pooling.padding, owner=pooling.owner)
    # However it is spelt: "same" pads only where the size is odd.
    return not window.padded


def _stops_as_relu(pooling: Any) -> bool:
    """Whether the pooling's kernel can pass no gradient where the maximum is 0."""
    most = runtime.kernels.pool.MOST_ARGMAX
    return type(pooling) is MaxPooling2D and math.prod(pooling.pool_size) <= most


def passes_gradient_at_zeros(layer: Any, at_zeros: bool) -> bool:
    """Return whether `layer` does anything with its output's gradient where the output is 0.

    `at_zeros` says the same of the layer before it.  A ReLU stops the gradient there.
    Dropout, max pooling and Flatten send it to an input that is 0 as well, or stop it.
    """
    if type(layer) in (Dropout, Flatten, MaxPooling2D):
        return at_zeros
    if type(layer) in (Conv2D, Dense, Activation, ReLU):
        return not activations.limit_of(layer.activation)
    return True
