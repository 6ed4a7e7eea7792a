"""What large weights cost: penalties that training adds to the loss, and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._core.json_values import Configured
from ._core.naming import describe
from ._core.options import Option, Strict
from ._core.registry import Registry, custom_function, custom_object_scope
from ._core.validation import at_least_zero, wrong_value
from .ops import optim

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "serialize",
]


class Regularizer(Strict, Configured):
    """Base class: `regularizer(w)` returns the penalty of a weight's value, a number.

    Training needs `gradient(w)` too, an array of w's shape: the penalty's derivative.
    A function that has an attribute `gradient`, such a function, is a regularizer as well.
    """

    def __call__(self, w: np.ndarray) -> float:
        """Return the penalty of a weight whose value is `w`, which is not changed."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__(w)")

    def gradient(self, w: np.ndarray) -> np.ndarray:
        """Return the gradient of the penalty with respect to `w`, of its shape."""
        raise NotImplementedError(
            f"{type(self).__name__} does not define gradient(w), the derivative of its penalty, "
            "so nothing can be trained with it"
        )

    def add_gradient(self, w: np.ndarray, out: np.ndarray) -> None:
        """Add the gradient for `w` to `out`, of its shape."""
        gradient = np.asarray(self.gradient(w))
        if gradient.shape != out.shape:
            raise ValueError(
                f"{type(self).__name__}: gradient(w) returned the shape {gradient.shape}; it must "
                f"be the weight's, {out.shape}"
            )
        np.add(out, gradient, out=out, casting="same_kind")

    def __repr__(self) -> str:
        return describe(self)


def _factor(value: Any, argument: str, owner: str) -> float:
    if not np.isfinite(at_least_zero(value, argument, owner)):
        raise wrong_value(value, argument, owner, "a finite number of at least 0")
    return float(value)


class L1L2(Regularizer):
    """l1 times the sum of absolute values + l2 times the sum of squares."""

    l1, l2 = Option(_factor), Option(_factor)

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = 0.0 if l1 is None else l1
        self.l2 = 0.0 if l2 is None else l2

    def __call__(self, w: np.ndarray) -> float:
        penalty = 0.0
        if self.l1:
            penalty += self.l1 * float(np.sum(np.abs(w), dtype=np.float64))
        if self.l2:
            penalty += self.l2 * optim.sum_of_squares(np.asarray(w, np.float32))
        return penalty

    def gradient(self, w: np.ndarray) -> np.ndarray:
        out = np.zeros_like(w, np.float32, order="C")
        self.add_gradient(w, out)
        return out

    def add_gradient(self, w: np.ndarray, out: np.ndarray) -> None:
        if self.l1:
            optim.add_signs(out, w, self.l1)
        if self.l2:
            optim.add(out, w, 2 * self.l2)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(L1L2):
    """l1 times the sum of absolute values."""

    def __init__(self, l1: float | None = 0.01) -> None:
        super().__init__(0.01 if l1 is None else l1, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(L1L2):
    """l2 times the sum of squares."""

    def __init__(self, l2: float | None = 0.01) -> None:
        super().__init__(0.0, 0.01 if l2 is None else l2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


l1, l2, l1_l2 = L1, L2, L1L2


class _OfFunction(Regularizer):
    """A function of a user's, with its gradient."""

    def __init__(self, function: Callable[[np.ndarray], Any], owner: str) -> None:
        self._function = function
        self._gradient = getattr(function, "gradient", None)
        if not callable(self._gradient):
            raise TypeError(
                f"{owner}: the regularizer {_name(function)!r} is a function without a gradient; "
                "set its attribute gradient to a function of w, the penalty's derivative, or "
                "derive a class from fastconv.regularizers.Regularizer"
            )

    def __repr__(self) -> str:
        return _name(self._function)

    def __call__(self, w: np.ndarray) -> float:
        return float(self._function(w))

    def gradient(self, w: np.ndarray) -> np.ndarray:
        assert self._gradient is not None, "the constructor has asked for it"
        gradient: np.ndarray = self._gradient(w)
        return gradient


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def get(identifier: Any, *, owner: str = "regularizers") -> Regularizer | None:
    """Return the regularizer of a name, class, configuration or function; None for None.

    A function needs an attribute `gradient`, see `Regularizer`; it is saved by its name and
    found again through `custom_objects`. Raises ValueError for an unknown name and TypeError
    for anything else, naming `owner`.
    """
    if identifier is None:
        return None
    function = custom_function(identifier, Regularizer)
    return _registry.get(identifier, owner) if function is None else _OfFunction(function, owner)


def serialize(regularizer: Regularizer | None) -> dict[str, Any] | None:
    """Return that from which `get` makes the same regularizer again; it fits JSON."""
    if regularizer is None:
        return None
    if isinstance(regularizer, _OfFunction):
        return {"class_name": repr(regularizer), "config": {}}
    return _registry.serialize(regularizer)


def deserialize(
    config: dict[str, Any] | None, custom_objects: dict[str, Any] | None = None
) -> Regularizer | None:
    """Return the regularizer that `serialize` has described."""
    with custom_object_scope(custom_objects):
        return get(config)


_registry: Registry[Regularizer] = Registry(
    Regularizer,
    {"l1": L1, "l2": L2, "l1_l2": L1L2},
    words=("regularizers", "regularizer", "a Regularizer"),
)
