"""Losses and Lambdas of a script's own are differentiated: NumPy's functions, written down.

A `Traced` stands for an array while such a function runs. Each function of NumPy that is applied
to it, or of `keras.ops`, `keras.backend` and `tf.*`, which are made of these, adds a `Traced` with
the rule that takes a gradient back. Rules are in `rules.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._core import differentiation
from . import rules

_numbers = itertools.count()


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """An array, and what it was computed from: (what, rule) with rule(gradient) -> its gradient."""

    __array_priority__ = 1000

    def __init__(self, value: Any, sources: Sequence[tuple[Traced, rules.Rule]] = ()) -> None:
        self.value, self.sources = np.asarray(value), tuple(sources)
        self.number = next(_numbers)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.value.dtype

    @property
    def T(self) -> Any:
        return np.transpose(self)

    def __len__(self) -> int:
        return len(self.value)

    def __repr__(self) -> str:
        return f"<Traced of shape {self.shape}>"

    def __hash__(self) -> int:
        return id(self)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError(
            "a loss or Lambda cannot be differentiated through numpy.asarray, numpy() or a "
            "function of another library; use keras.ops, keras.backend or NumPy on tensors"
        )

    def __bool__(self) -> bool:
        return bool(self.value)

    def numpy(self) -> np.ndarray:
        return self.__array__()

    def get_shape(self) -> tuple[int, ...]:
        return self.shape

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            raise TypeError(f"numpy.{ufunc.__name__}.{method} with {options} has no gradient here")
        values = [value_of(one) for one in inputs]
        result = ufunc(*values)
        if result.dtype == bool or ufunc in rules.FLAT:
            return result
        if ufunc not in rules.ELEMENTWISE:
            raise TypeError(f"numpy.{ufunc.__name__} has no gradient here; use keras.ops")
        found = rules.ELEMENTWISE[ufunc](result, *values)
        return Traced(
            result, [(one, rule) for one, rule in zip(inputs, found, strict=True) if _is(one)]
        )

    def __array_function__(
        self, function: Callable[..., Any], types: Any, arguments: Any, options: Any
    ) -> Any:
        rule = rules.FUNCTIONS.get(function)
        if rule is None:
            name = getattr(function, "__name__", function)
            raise TypeError(f"numpy.{name} has no gradient here; use keras.ops")
        return rule(*arguments, **options)

    def __getitem__(self, index: Any) -> Any:
        def rule(gradient: np.ndarray) -> np.ndarray:
            whole = np.zeros(self.shape, gradient.dtype)
            np.add.at(whole, index, gradient)
            return whole

        return Traced(self.value[index], [(self, rule)])

    def reshape(self, *shape: Any) -> Any:
        return np.reshape(self, shape[0] if len(shape) == 1 else shape)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.mean(self, axis=axis, keepdims=keepdims)

    def astype(self, dtype: Any) -> Any:
        if np.dtype(dtype).kind != "f":
            return self.value.astype(dtype)  # whole numbers have no slope
        return Traced(self.value.astype(dtype), [(self, lambda gradient: gradient)])

    def activated(self, activation: Any) -> Any:
        """Return what an activation of fastconv gives: it is called with this and comes here."""
        z = np.array(self.value, np.float32, order="C")
        y = activation.forward(z, np.empty_like(z))

        def rule(gradient: np.ndarray) -> np.ndarray:
            dy = np.ascontiguousarray(gradient, np.float32)
            more = (z,) if activation.needs_input else ()
            back: np.ndarray = activation.backward(dy, y, np.empty_like(dy), *more)
            return back

        return Traced(y, [(self, rule)])

    def losses(self, loss: Any, y_true: Any) -> Any:
        """Return what a loss of fastconv gives for each sample: its functions come here."""
        y_pred = np.asarray(self.value, np.float32)
        found = loss.evaluate(np.asarray(y_true), y_pred)
        if found.layout is not None:
            raise TypeError(f"{loss.name}: with axis= it has no gradient within other losses")
        gradients = found.gradients.reshape(*found.losses.shape, -1)

        def rule(gradient: np.ndarray) -> np.ndarray:
            spread: np.ndarray = (gradient[..., np.newaxis] * gradients).reshape(y_pred.shape)
            return spread

        return Traced(found.losses.astype(np.float32), [(self, rule)])

    def lost(self, loss: Any, y_true: Any, sample_weight: Any = None) -> Any:
        """Return what a loss of fastconv gives for the batch: its objects come here."""
        if loss.reduction in (None, "none"):
            return self.losses(loss, y_true)
        y_pred = np.asarray(self.value, np.float32)
        number, slope = loss.value_and_gradient(np.asarray(y_true), y_pred, sample_weight)
        return Traced(np.float32(number), [(self, lambda gradient: gradient * slope)])


def _is(value: Any) -> bool:
    return isinstance(value, Traced)


def value_of(value: Any) -> Any:
    """Return the array that a `Traced` stands for, and anything else as it is."""
    return value.value if isinstance(value, Traced) else value


def value_and_pullback(
    function: Callable[..., Any], arrays: Sequence[np.ndarray]
) -> tuple[Any, Callable[[np.ndarray], list[np.ndarray]]]:
    """Return what `function` gives for arrays, and what takes its gradient back to them.

    Raises TypeError, naming it, for a function of NumPy that has no rule here.
    """
    starts = [Traced(array) for array in arrays]
    result = function(*starts)
    if isinstance(result, tuple):
        return tuple(map(value_of, result)), _no_gradient
    if not isinstance(result, Traced):
        result = Traced(result)

    def pullback(gradient: np.ndarray) -> list[np.ndarray]:
        found = _backward(result, gradient)
        return [
            found.get(start.number, np.zeros(start.shape, np.float32)).reshape(start.shape)
            for start in starts
        ]

    return result.value, pullback


def _no_gradient(gradient: np.ndarray) -> list[np.ndarray]:
    raise AssertionError("what brings its own gradient is not differentiated")


def _backward(result: Traced, gradient: np.ndarray) -> dict[int, np.ndarray]:
    """Return the gradients of all that `result` was computed from, by their numbers."""
    reached: dict[int, Traced] = {}
    waiting = [result]
    while waiting:
        one = waiting.pop()
        if one.number not in reached:
            reached[one.number] = one
            waiting.extend(source for source, _ in one.sources)
    found = {result.number: np.asarray(gradient)}
    for number in sorted(reached, reverse=True):  # later ones first: what they need is there
        for source, rule in reached[number].sources:
            part = rules.unbroadcast(np.asarray(rule(found[number])), source.shape)
            found[source.number] = found[source.number] + part if source.number in found else part
    return found


rules.make(Traced, value_of)


def install() -> None:
    """Differentiate functions that bring no gradient."""
    differentiation.use(value_and_pullback)


def uninstall() -> None:
    """Differentiate nothing."""
    differentiation.use(None)
