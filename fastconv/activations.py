"""Activation functions, element by element or (softmax) along the last axis.

Each is an object with `forward` and `backward` that write into given memory,
and can be called on an array like a function: `activations.relu(x)`.
"""

from __future__ import annotations

from typing import Any, SupportsIndex

import numpy as np

from ._core.json_values import Configured
from ._core.registry import Registry
from ._core.validation import at_least_zero, optional
from .ops import elementwise


class Activation(Configured):
    """Base class of activations.

    `backward` works from the output alone, so that `forward` may overwrite its
    input and no second array is kept.  Layers share the activations of a name: their
    numbers stay.
    """

    name = "activation"
    _numbers: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        # The numbers of this module's are set by their constructors, once.
        settable = name in self._numbers and name not in self.__dict__
        if type(self).__module__ == __name__ and not settable:
            raise AttributeError(
                f"{type(self).__name__}: {name} cannot be set, since layers share their "
                "activations; make another one and assign it to a layer's activation"
            )
        object.__setattr__(self, name, value)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """Copy to the one of that name, which layers know by sight."""
        if _registry.known.get(self.name) is self:
            return get, (self.name,)
        return super().__reduce_ex__(protocol)

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Return the activation of `z`, written to `out` (which may be `z`).

        Both float32 of one shape, `out` C-contiguous; calling the activation takes any numbers.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def backward(self, dy: np.ndarray, y: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Return the gradient of the input for that of the output, written to `out`.

        `y` is what `forward` returned; `out` is neither `dy` nor `y`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define backward")

    def __call__(self, x: Any) -> np.ndarray:
        """Return the activation of `x` as a new float32 array."""
        z = np.array(x, np.float32, order="C")
        return self.forward(z, z)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class Linear(Activation):
    """The identity; nothing is copied, `forward` and `backward` return their argument."""

    name = "linear"

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        return z

    def backward(self, dy: np.ndarray, y: np.ndarray, out: np.ndarray) -> np.ndarray:
        return dy


class Relu(Activation):
    """max(z, 0), at most `max_value`, and `negative_slope` (z - `threshold`) below `threshold`.

    NaN stays NaN; the gradient at 0 is 0.
    """

    name = "relu"
    _numbers = ("max_value", "negative_slope", "threshold")

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
    ) -> None:
        self.max_value = optional(at_least_zero)(max_value, "max_value", "relu")
        self.negative_slope = at_least_zero(negative_slope, "negative_slope", "relu")
        self.threshold = at_least_zero(threshold, "threshold", "relu")

    @property
    def plain(self) -> bool:
        """Whether this is max(z, 0) and nothing more."""
        return self.max_value is None and not self.negative_slope and not self.threshold

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        if self.plain:
            elementwise.relu(z, out)
            return out
        slope, threshold = np.float32(self.negative_slope), np.float32(self.threshold)
        below = z <= threshold
        if out is not z:
            np.copyto(out, z)
        if slope:
            np.subtract(out, threshold, out=out, where=below)
            np.multiply(out, slope, out=out, where=below)
        else:
            np.copyto(out, 0, where=below)
        return out if self.max_value is None else np.minimum(out, self.max_value, out=out)

    def backward(self, dy: np.ndarray, y: np.ndarray, out: np.ndarray) -> np.ndarray:
        if self.plain:
            elementwise.relu_backward(dy, y, out)
            return out
        # Above the threshold the output is the input; below, it is 0 or negative.
        above = y > np.float32(self.threshold)
        if self.max_value is not None:
            above &= y < np.float32(self.max_value)
        np.multiply(dy, above, out=out)
        if self.negative_slope:
            np.multiply(dy, np.float32(self.negative_slope), out=out, where=y < 0)
        return out

    def get_config(self) -> dict[str, Any]:
        return {
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class LeakyRelu(Activation):
    """z where z > 0, `negative_slope` z elsewhere; Keras 3's slope is 0.2."""

    name = "leaky_relu"
    _numbers = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.2) -> None:
        self.negative_slope = at_least_zero(negative_slope, "negative_slope", "leaky_relu")

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        if out is not z:
            np.copyto(out, z)
        np.multiply(out, np.float32(self.negative_slope), out=out, where=out < 0)
        return out

    def backward(self, dy: np.ndarray, y: np.ndarray, out: np.ndarray) -> np.ndarray:
        np.copyto(out, dy)
        np.multiply(out, np.float32(self.negative_slope), out=out, where=y <= 0)
        return out

    def get_config(self) -> dict[str, Any]:
        return {"negative_slope": self.negative_slope}


class Sigmoid(Activation):
    """1 / (1 + exp(-z))."""

    name = "sigmoid"

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        elementwise.sigmoid(z, out)
        return out

    def backward(self, dy: np.ndarray, y: np.ndarray, out: np.ndarray) -> np.ndarray:
        np.subtract(1, y, out=out)
        np.multiply(out, y, out=out)
        np.multiply(out, dy, out=out)
        return out


class Tanh(Activation):
    """The hyperbolic tangent."""

    name = "tanh"

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        np.tanh(z, out=out)
        return out

    def backward(self, dy: np.ndarray, y: np.ndarray, out: np.ndarray) -> np.ndarray:
        np.multiply(y, y, out=out)
        np.subtract(1, out, out=out)
        np.multiply(out, dy, out=out)
        return out


class Softmax(Activation):
    """exp(z) along the last axis, divided by its sum."""

    name = "softmax"

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        elementwise.softmax(z, out)
        return out

    def backward(self, dy: np.ndarray, y: np.ndarray, out: np.ndarray) -> np.ndarray:
        np.multiply(dy, y, out=out)
        np.subtract(dy, out.sum(axis=-1, keepdims=True), out=out)
        np.multiply(out, y, out=out)
        return out


linear = Linear()
relu = Relu()
leaky_relu = LeakyRelu()
sigmoid = Sigmoid()
tanh = Tanh()
softmax = Softmax()

_registry = Registry(
    Activation,
    {a.name: a for a in (linear, relu, sigmoid, tanh, softmax, leaky_relu)},
    words=("activations", "activation", "an Activation"),
)


def get(identifier: Any, *, owner: str = "activations") -> Activation:
    """Return the activation of a name, a class, a config, None (linear) or itself.

    Raises ValueError for an unknown name and TypeError for anything else,
    naming `owner`.
    """
    return linear if identifier is None else _registry.get(identifier, owner)


def is_relu(activation: Activation) -> bool:
    """Return whether `activation` is max(z, 0) and nothing more."""
    return type(activation) is Relu and activation.plain


def serialize(activation: Activation) -> str | dict[str, Any]:
    """Return that from which `get` makes the same activation again: a name where that is enough."""
    known = _registry.known.get(activation.name)
    if type(known) is type(activation) and known.get_config() == activation.get_config():
        return activation.name
    return _registry.serialize(activation)
