"""ONNX's operators that compute number by number: activations, and what merges tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import activations, layers
from .building import Builder
from .file import Operation
from .values import Value, by_channels, channels_back, in_order

Handler = Callable[[Builder, Operation], Value]


def _activated(builder: Builder, value: Value, activation: Any) -> Value:
    kinds = {"relu": layers.ReLU}
    kind = kinds.get(activation) if isinstance(activation, str) else None
    options = {} if kind else {"activation": activation}
    return value.with_tensor(builder.call(kind or layers.Activation, value.tensor, **options))


def _named(activation: str) -> Handler:
    return lambda builder, operation: _activated(builder, builder.value(operation), activation)


def _affine(builder: Builder, value: Value, scale: Any = 1.0, offset: Any = 0.0) -> Value:
    """Return value * scale + offset of numbers."""
    made = builder.call(layers.Rescaling, value.tensor, scale=float(scale), offset=float(offset))
    return value.with_tensor(made)


def _elu(builder: Builder, operation: Operation) -> Value:
    alpha = operation.attributes.get("alpha", 1.0)
    return _activated(builder, builder.value(operation), activations.Elu(alpha))


def _selu(builder: Builder, operation: Operation) -> Value:
    value = builder.value(operation)
    alpha = operation.attributes.get("alpha", 1.6732632)
    gamma = operation.attributes.get("gamma", 1.0507010)
    if math.isclose(alpha, 1.6732632, rel_tol=1e-6) and math.isclose(
        gamma, 1.0507010, rel_tol=1e-6
    ):
        return _activated(builder, value, "selu")
    return _affine(builder, _activated(builder, value, activations.Elu(alpha)), gamma)


def _leaky_relu(builder: Builder, operation: Operation) -> Value:
    slope = operation.attributes.get("alpha", 0.01)
    value = builder.value(operation)
    return value.with_tensor(builder.call(layers.LeakyReLU, value.tensor, negative_slope=slope))


def _thresholded_relu(builder: Builder, operation: Operation) -> Value:
    value, threshold = builder.value(operation), operation.attributes.get("alpha", 1.0)
    return value.with_tensor(builder.call(layers.ReLU, value.tensor, threshold=threshold))


def _hard_sigmoid(builder: Builder, operation: Operation) -> Value:
    value = builder.value(operation)
    alpha, beta = operation.attributes.get("alpha", 0.2), operation.attributes.get("beta", 0.5)
    if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        return _activated(builder, value, "hard_sigmoid")
    line = _affine(builder, value, alpha, beta)
    return line.with_tensor(builder.call(layers.ReLU, line.tensor, max_value=1.0))


def _swish(builder: Builder, operation: Operation) -> Value:
    value, alpha = builder.value(operation), operation.attributes.get("alpha", 1.0)
    if alpha == 1:
        return _activated(builder, value, "silu")
    return _affine(builder, _activated(builder, _affine(builder, value, alpha), "silu"), 1 / alpha)


def _gelu(builder: Builder, operation: Operation) -> Value:
    approximate = operation.attributes.get("approximate", "none")
    if approximate not in ("none", "tanh"):
        raise ValueError(f"its approximate is {approximate!r}")
    activation = activations.Gelu(approximate == "tanh")
    return _activated(builder, builder.value(operation), activation)


def _prelu(builder: Builder, operation: Operation) -> Value:
    value = builder.numbered(operation)
    slopes = _spread(builder.weight(operation, 1, "slope"), value)[0]
    shared = [axis + 1 for axis, size in enumerate(slopes.shape) if size == 1]
    made = builder.weighted(
        layers.PReLU, value.tensor, (slopes,), value.order, shared_axes=shared or None
    )
    return value.with_tensor(made)


def _spread(array: np.ndarray, value: Value) -> np.ndarray:
    """Return a constant with as many axes as a tensor, in that tensor's order.

    Raises ValueError where it would make the tensor larger.
    """
    missing = value.rank - array.ndim
    shape = (1,) * missing + array.shape
    sizes = zip(shape, value.shape, strict=False)
    if missing < 0 or shape[0] != 1 or any(mine not in (1, size) for mine, size in sizes):
        raise ValueError(
            f"a constant of shape {array.shape} does not fit each image of {value.shape}"
        )
    turned = np.empty(value.rank, int)
    turned[list(value.order)] = np.arange(value.rank)
    spread: np.ndarray = array.reshape(shape).transpose(turned)
    return spread


def _clip(builder: Builder, operation: Operation) -> Value:
    low, high = (
        _bound(builder, operation, place, name, without)
        for place, name, without in ((1, "min", -math.inf), (2, "max", math.inf))
    )
    value = builder.value(operation)
    if low > high or math.isnan(low + high):
        raise ValueError(f"its min is {low} and its max {high}")
    if low == -math.inf and high == math.inf:
        return value
    if low == 0:
        limit = {} if high == math.inf else {"max_value": high}
        return value.with_tensor(builder.call(layers.ReLU, value.tensor, **limit))
    # Of bounds on one side of 0 the distances are clipped, and below 0 the numbers' opposites.
    if low > 0:
        value = _affine(builder, value, offset=-low)
        limit = {} if high == math.inf else {"max_value": high - low}
        value = value.with_tensor(builder.call(layers.ReLU, value.tensor, **limit))
        return _affine(builder, value, offset=low)
    if high < 0:
        value = _at_most(builder, _affine(builder, value, offset=-high), 0.0)
        value = _affine(builder, value, offset=high)
    elif high < math.inf:
        value = _at_most(builder, value, high)
    if low > -math.inf:
        value = _affine(builder, value, -1.0)
        value = _affine(builder, _at_most(builder, value, -low), -1.0)
    return value


def _at_most(builder: Builder, value: Value, high: float) -> Value:
    """Return min(x, high), for a number of at least 0."""
    made = builder.call(layers.ReLU, value.tensor, negative_slope=1.0, max_value=high)
    return value.with_tensor(made)


def _bound(builder: Builder, operation: Operation, place: int, name: str, without: float) -> float:
    given = builder.constant(operation, place, name)
    if given is None:
        return float(operation.attributes.get(name, without))
    number = float(given.reshape(-1)[0])
    # Files spell "none" as the largest number of a type, too.
    return math.copysign(math.inf, number) if abs(number) >= 3.4e38 else number


def _softmax(activation: str, layer: Any) -> Handler:
    """Return what makes a softmax; before opset 13 it went over all axes from its own on."""

    def make(builder: Builder, operation: Operation) -> Value:
        value = builder.numbered(operation)
        old = builder.opset < 13
        axis = operation.attributes.get("axis", 1 if old else -1) % value.rank
        axes = [axis]
        if old:
            behind = [place for place in range(axis, value.rank) if value.shape[place] != 1]
            axes = behind or [axis]
        if 0 in axes:
            raise ValueError(f"its axis is {axis}, the batch's")
        own = [value.order[place] for place in axes]
        if own == [value.rank - 1]:
            return _activated(builder, value, activation)
        if layer is None:
            raise ValueError(f"its axis is {axis}; it must be that of the channels")
        return value.with_tensor(builder.call(layer, value.tensor, axis=own))

    return make


def _merge(kind: Any, with_constant: Callable[[np.ndarray, bool], Any]) -> Handler:
    """Return what merges tensors by a layer, or a tensor and a constant.

    `with_constant(constant, is_first)` gives the scale and the offset of that.
    """

    def make(builder: Builder, operation: Operation) -> Value:
        operation.attributes.get("broadcast")  # of opset 6; its `axis` is not read
        given = [builder.values[name] for name in operation.inputs]
        constants = [one for one in given if not isinstance(one, Value)]
        if constants and len(given) > 2:
            raise ValueError("it merges several tensors and a constant")
        if not constants:
            return _merged(builder, kind, given)
        first = constants[0] is given[0]
        value = by_channels(given[1 if first else 0], builder.rearrange)
        array = np.asarray(constants[0])
        if array.dtype.kind != "f":
            raise ValueError(f"its constant is of {array.dtype}; it must be of float32")
        with np.errstate(all="ignore"):
            scale, offset = with_constant(_spread(array, value).astype(np.float32), first)
        made = builder.call(
            layers.Rescaling,
            value.tensor,
            scale=builder.options(_shortened(scale)),
            offset=builder.options(_shortened(offset)),
        )
        return value.with_tensor(made)

    return make


def _shortened(array: Any) -> np.ndarray:
    """Return an array without the sizes of 1 in front."""
    made: np.ndarray = np.asarray(array)
    while made.ndim and made.shape[0] == 1:
        made = made[0]
    return made


def _merged(builder: Builder, kind: Any, values: list[Value]) -> Value:
    rank = values[0].rank
    if any(value.rank != rank for value in values):
        raise ValueError(f"its inputs have shapes {[value.shape for value in values]}")
    if len(values) == 1:
        return values[0]
    if any(value.rows != values[0].rows for value in values):
        values = [by_channels(value, builder.rearrange) for value in values]
    if values[0].rows is not None:
        return values[0].with_tensor(builder.call(kind, [value.tensor for value in values]))
    images = channels_back(rank)
    order = images if any(value.order == images for value in values) else values[0].order
    tensors = [in_order(value, order, builder.rearrange).tensor for value in values]
    return Value(builder.call(kind, tensors), order)


def _no_constant(array: np.ndarray, is_first: bool) -> Any:
    raise ValueError("one of its inputs is a constant")


def _subtracted(array: np.ndarray, is_first: bool) -> Any:
    return (-1.0, array) if is_first else (1.0, -array)


def _divided(array: np.ndarray, is_first: bool) -> Any:
    if is_first:
        raise ValueError("it divides a constant by a tensor")
    return 1 / array, 0.0


def _division(builder: Builder, operation: Operation) -> Value:
    if isinstance(builder.values[operation.inputs[1]], Value):
        raise ValueError("it divides by a tensor")
    return _merge(None, _divided)(builder, operation)


def _negated(builder: Builder, operation: Operation) -> Value:
    return _affine(builder, builder.value(operation), -1.0)


HANDLERS: dict[str, Handler] = {
    "Add": _merge(layers.Add, lambda array, is_first: (1.0, array)),
    "Clip": _clip,
    "Div": _division,
    "Elu": _elu,
    "Exp": _named("exponential"),
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _named("hard_silu"),
    "LeakyRelu": _leaky_relu,
    "LogSoftmax": _softmax("log_softmax", None),
    "Max": _merge(layers.Maximum, _no_constant),
    "Mean": _merge(layers.Average, _no_constant),
    "Min": _merge(layers.Minimum, _no_constant),
    "Mish": _named("mish"),
    "Mul": _merge(layers.Multiply, lambda array, is_first: (array, 0.0)),
    "Neg": _negated,
    "PRelu": _prelu,
    "Relu": _named("relu"),
    "Selu": _selu,
    "Sigmoid": _named("sigmoid"),
    "Softmax": _softmax("softmax", layers.Softmax),
    "Softplus": _named("softplus"),
    "Softsign": _named("softsign"),
    "Sub": _merge(layers.Subtract, _subtracted),
    "Sum": _merge(layers.Add, lambda array, is_first: (1.0, array)),
    "Swish": _swish,
    "Tanh": _named("tanh"),
    "ThresholdedRelu": _thresholded_relu,
}
