"""Activation functions, element by element or (softmax) along the last axis.

Each is an object with `forward` and `backward` that write into given memory,
and can be called on an array like a function: `activations.relu(x)`.  A layer takes it
by name, by object, or as a function of your own that returns (y, gradient):

>>> def cube(z):
...     return z**3, lambda dy: 3 * z**2 * dy
>>> fastconv.layers.Dense(2, activation=cube).activation
FunctionActivation(function='cube')
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._core.registry import Registry, custom_object, custom_object_scope
from .base import Activation, FunctionActivation, share
from .curves import (
    Elu,
    Exponential,
    Gelu,
    Mish,
    Selu,
    Sigmoid,
    Silu,
    Softplus,
    Softsign,
    Tanh,
)
from .distributions import LogSoftmax, Softmax
from .rectifiers import HardSigmoid, HardSilu, LeakyRelu, Linear, Relu, Relu6

__all__ = [
    "Activation", "Elu", "Exponential", "FunctionActivation", "Gelu", "HardSigmoid", "HardSilu",
    "LeakyRelu", "Linear", "LogSoftmax", "Mish", "Relu", "Relu6", "Selu", "Sigmoid", "Silu",
    "Softmax", "Softplus", "Softsign", "Tanh", "deserialize", "elu", "exponential", "gelu", "get",
    "hard_sigmoid", "hard_silu", "hard_swish", "is_relu", "leaky_relu", "limit_of", "linear",
    "log_softmax",
    "mish", "relu", "relu6", "selu", "serialize", "sigmoid", "silu", "softmax", "softplus",
    "softsign", "swish", "tanh",
]  # fmt: skip

linear = share(Linear())
relu = share(Relu())
relu6 = share(Relu6())
sigmoid = share(Sigmoid())
tanh = share(Tanh())
softmax = share(Softmax())
leaky_relu = share(LeakyRelu())
elu = share(Elu())
selu = share(Selu())
gelu = share(Gelu())
silu = swish = share(Silu())
softplus = share(Softplus())
softsign = share(Softsign())
hard_sigmoid = share(HardSigmoid())
hard_silu = hard_swish = share(HardSilu())
mish = share(Mish())
exponential = share(Exponential())
log_softmax = share(LogSoftmax())

_shared_ones: dict[str, Activation] = {
    a.name: a
    for a in (
        linear, relu, sigmoid, tanh, softmax, leaky_relu, relu6, elu, selu, gelu, silu,
        softplus, softsign, hard_sigmoid, hard_silu, mish, exponential, log_softmax,
    )
}  # fmt: skip

_registry: Registry[Activation] = Registry(
    Activation,
    _shared_ones,
    words=("activations", "activation", "an Activation"),
    aliases={"swish": "silu", "hard_swish": "hard_silu"},
)


def get(identifier: Any, *, owner: str = "activations") -> Activation:
    """Return the activation of a name, a class, a config, None (linear) or itself.

    A layer that is nothing but an activation, such as `LeakyReLU(0.1)`, stands for it, and a
    function of your own, which returns (y, gradient), becomes one; it is found again
    by its name in `custom_objects`.  Raises ValueError for an unknown name and TypeError for
    anything else, naming `owner`.
    """
    if identifier is None:
        return linear
    if isinstance(inner := getattr(identifier, "as_activation", None), Activation):
        return inner
    if isinstance(identifier, dict):
        identifier = _without_layers_arguments(identifier)
    if isinstance(identifier, str) and _is_function(found := custom_object(identifier)):
        identifier = found
    if _is_function(identifier):
        return FunctionActivation(identifier)
    return _registry.get(identifier, owner)


def _is_function(thing: Any) -> bool:
    """Whether this may be a user's function that returns (y, gradient)."""
    known = isinstance(thing, (Activation, type, np.ufunc, str, dict))
    return callable(thing) and not known and not hasattr(thing, "compute_output_shape")


def _without_layers_arguments(config: dict[str, Any]) -> Any:
    """Return a config as Keras writes it, of a function or of a layer, in the words of `get`."""
    name, arguments = config.get("class_name"), config.get("config")
    if name == "function" and isinstance(arguments, str):
        return arguments
    if "registered_name" in config and isinstance(arguments, dict):
        own = {k: v for k, v in arguments.items() if k not in ("name", "trainable", "dtype")}
        return {"class_name": name, "config": own}
    return config


def is_relu(activation: Activation) -> bool:
    """Return whether `activation` is max(z, 0) and nothing more."""
    return limit_of(activation) == math.inf


def limit_of(activation: Activation) -> float:
    """Return the limit of an activation that clips to 0 ... limit, inf for a ReLU, else 0.0."""
    return activation.limit if isinstance(activation, Relu) else 0.0


def serialize(activation: Any) -> str | dict[str, Any]:
    """Return that from which `get` makes the same activation again: a name where that is enough."""
    activation = get(activation)
    if isinstance(activation, FunctionActivation):
        return _function_name(activation)
    known = _shared_ones.get(activation.name)
    if known is None or type(known) is not type(activation):
        return _registry.serialize(activation)
    if known.get_config() == activation.get_config():
        return known.name
    return _registry.serialize(activation)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Activation:
    """Make an activation from what `serialize` returned, or from Keras's config."""
    with custom_object_scope(custom_objects):
        return get(config)


def _function_name(activation: FunctionActivation) -> str:
    name = activation.get_config()["function"]
    if not name.isidentifier():
        raise ValueError(
            f"activations: {name} has no name by which it could be saved and found again; define "
            "the function with def"
        )
    # So marked, it is never taken for a built-in one of that name.
    return f"Custom>{name}"
