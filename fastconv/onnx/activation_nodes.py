"""Activations as ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import activations
from ..activations import Activation
from .writing import Value, Writer


def is_known(activation: Activation) -> bool:
    """Whether an activation has a form in ONNX."""
    return type(activation) in _WRITERS or type(activation) in _ALONG_CHANNELS


def activated(writer: Writer, activation: Activation, value: Value) -> Value:
    """Return the activation of a tensor."""
    operator = _ALONG_CHANNELS.get(type(activation))
    if operator is not None:
        axis = writer.axis(value, len(value.shape) - 1)
        return value.like(writer.node(operator, [value.any], axis=axis))
    write = _WRITERS[type(activation)]
    return writer.elementwise(value, lambda name: write(writer, activation, name))


_ALONG_CHANNELS: dict[type, str] = {
    activations.Softmax: "Softmax",
    activations.LogSoftmax: "LogSoftmax",
}


def _linear(writer: Writer, activation: Any, name: str) -> str:
    return name


def _relu(writer: Writer, activation: Any, name: str) -> str:
    """Write max(z, 0), or whatever of a limit, a slope and a threshold there is."""
    if activation.limit == math.inf:
        return writer.node("Relu", [name])
    largest, slope = activation.max_value, activation.negative_slope
    if activation.limit:
        return writer.node("Clip", [name, writer.constant(0.0), writer.constant(largest)])
    threshold = writer.constant(activation.threshold)
    below = writer.constant(0.0)
    if slope:
        below = writer.node("Sub", [name, threshold])
        below = writer.node("Mul", [below, writer.constant(slope)])
    above = writer.node("Greater", [name, threshold])
    name = writer.node("Where", [above, name, below])
    return name if largest is None else writer.node("Min", [name, writer.constant(largest)])


def _gelu(writer: Writer, activation: Any, name: str) -> str:
    """Write z P(z): by the error function, which older files know, or by tanh."""
    if activation.approximate:
        cube = writer.node("Mul", [writer.node("Mul", [name, name]), name])
        cube = writer.node("Mul", [cube, writer.constant(0.044715)])
        within = writer.node("Add", [name, cube])
        within = writer.node("Mul", [within, writer.constant(math.sqrt(2 / math.pi))])
        share = writer.node("Tanh", [within])
    else:
        within = writer.node("Mul", [name, writer.constant(math.sqrt(0.5))])
        share = writer.node("Erf", [within])
    share = writer.node("Add", [share, writer.constant(1.0)])
    half = writer.node("Mul", [name, writer.constant(0.5)])
    return writer.node("Mul", [half, share])


def _silu(writer: Writer, activation: Any, name: str) -> str:
    return writer.node("Mul", [name, writer.node("Sigmoid", [name])])


def _mish(writer: Writer, activation: Any, name: str) -> str:
    return writer.node("Mul", [name, writer.node("Tanh", [writer.node("Softplus", [name])])])


def _elu(writer: Writer, activation: Any, name: str) -> str:
    return writer.node("Elu", [name], alpha=activation.alpha)


def _leaky_relu(writer: Writer, activation: Any, name: str) -> str:
    return writer.node("LeakyRelu", [name], alpha=activation.negative_slope)


def _hard_sigmoid(writer: Writer, activation: Any, name: str) -> str:
    return writer.node("HardSigmoid", [name], alpha=1 / 6, beta=0.5)


def _named(operator: str) -> Callable[[Writer, Any, str], str]:
    return lambda writer, activation, name: writer.node(operator, [name])


_WRITERS: dict[type, Callable[[Writer, Any, str], str]] = {
    activations.Elu: _elu,
    activations.Exponential: _named("Exp"),
    activations.Gelu: _gelu,
    activations.HardSigmoid: _hard_sigmoid,
    activations.HardSilu: _named("HardSwish"),
    activations.LeakyRelu: _leaky_relu,
    activations.Linear: _linear,
    activations.Mish: _mish,
    activations.Relu: _relu,
    activations.Relu6: _relu,
    activations.Selu: _named("Selu"),
    activations.Sigmoid: _named("Sigmoid"),
    activations.Silu: _silu,
    activations.Softplus: _named("Softplus"),
    activations.Softsign: _named("Softsign"),
    activations.Tanh: _named("Tanh"),
}
