"""What trained weights must keep to: functions that are applied after each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ._core.json_values import Configured
from ._core.naming import describe
from ._core.options import Option, Strict
from ._core.registry import Registry, custom_function, custom_object_scope
from ._core.validation import at_least_zero, fraction, integer, is_integer

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]

#: Keras's: norms of 0 are divided by it.
_EPSILON = 1e-7


class Constraint(Strict, Configured):
    """Base class: `constraint(w)` returns what a weight of value `w` becomes, of its shape.

    A function does as well.
    """

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """Return the value that is allowed; `w` is not changed."""
        return w

    def __repr__(self) -> str:
        return describe(self)


def _axes(value: Any, argument: str, owner: str) -> int | tuple[int, ...]:
    """Return an axis or several."""
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return tuple(integer(axis, argument, owner) for axis in value)
    return integer(value, argument, owner)


class _Norm(Constraint):
    """A constraint of the norms along `axis`, an axis or several."""

    axis = Option(_axes)

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = axis

    def _norms(self, w: np.ndarray) -> np.ndarray:
        # In float64: along the first axis NumPy adds one row after the other.
        squares = np.sum(np.square(w), axis=self.axis, keepdims=True, dtype=np.float64)
        norms: np.ndarray = np.sqrt(squares)
        return norms

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis if is_integer(self.axis) else list(self.axis)}  # type: ignore[arg-type]


def _to(w: np.ndarray, norms: np.ndarray, wanted: np.ndarray | float) -> np.ndarray:
    scaled: np.ndarray = w * (wanted / (_EPSILON + norms)).astype(np.float32)
    return scaled


class MaxNorm(_Norm):
    """Norms along `axis` of at most `max_value`.

    `axis=0` takes each column of a Dense layer's kernel, `axis=[0, 1, 2]` each filter of a
    convolution's.
    """

    max_value = Option(at_least_zero)

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        super().__init__(axis)
        self.max_value = max_value

    def __call__(self, w: np.ndarray) -> np.ndarray:
        norms = self._norms(w)
        return _to(w, norms, np.minimum(norms, self.max_value))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, **super().get_config()}


class MinMaxNorm(_Norm):
    """Norms along `axis` from `min_value` to `max_value`; `rate` is how far a step goes there."""

    min_value, max_value = Option(at_least_zero), Option(at_least_zero)
    rate = Option(fraction)

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ) -> None:
        super().__init__(axis)
        self.min_value, self.max_value, self.rate = min_value, max_value, rate

    def __call__(self, w: np.ndarray) -> np.ndarray:
        norms = self._norms(w)
        allowed = np.clip(norms, self.min_value, self.max_value)
        return _to(w, norms, self.rate * allowed + (1 - self.rate) * norms)

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            **super().get_config(),
        }


class UnitNorm(_Norm):
    """Norms along `axis` of 1."""

    def __call__(self, w: np.ndarray) -> np.ndarray:
        return _to(w, self._norms(w), 1.0)


class NonNeg(Constraint):
    """No number below 0."""

    def __call__(self, w: np.ndarray) -> np.ndarray:
        positive: np.ndarray = np.maximum(w, 0)
        return positive


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm
maxnorm, nonneg, unitnorm = MaxNorm, NonNeg, UnitNorm  # as in Keras 1 and 2


class _OfFunction(Constraint):
    """A function of a user's."""

    def __init__(self, function: Callable[[np.ndarray], Any]) -> None:
        self._function = function

    def __repr__(self) -> str:
        return getattr(self._function, "__name__", type(self._function).__name__)

    def __call__(self, w: np.ndarray) -> np.ndarray:
        return np.asarray(self._function(w))


def get(identifier: Any, *, owner: str = "constraints") -> Constraint | None:
    """Return the constraint of a name, a class, a configuration or a function; None for None.

    A function is saved by its name and found again through `custom_objects`. Raises
    ValueError for an unknown name and TypeError for anything else, naming `owner`.
    """
    if identifier is None:
        return None
    function = custom_function(identifier, Constraint)
    return _registry.get(identifier, owner) if function is None else _OfFunction(function)


def serialize(constraint: Constraint | None) -> dict[str, Any] | None:
    """Return that from which `get` makes the same constraint again; it fits JSON."""
    if constraint is None:
        return None
    if isinstance(constraint, _OfFunction):
        return {"class_name": repr(constraint), "config": {}}
    return _registry.serialize(constraint)


def deserialize(
    config: dict[str, Any] | None, custom_objects: dict[str, Any] | None = None
) -> Constraint | None:
    """Return the constraint that `serialize` has described."""
    with custom_object_scope(custom_objects):
        return get(config)


_registry: Registry[Constraint] = Registry(
    Constraint,
    {"max_norm": MaxNorm, "min_max_norm": MinMaxNorm, "non_neg": NonNeg, "unit_norm": UnitNorm},
    words=("constraints", "constraint", "a Constraint"),
)
