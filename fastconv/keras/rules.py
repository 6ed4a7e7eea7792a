"""How gradients go back through NumPy's functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

#: Takes the gradient of a result back to that of what it was computed from.
Rule = Callable[[np.ndarray], np.ndarray]

#: Functions whose slope is 0 wherever they have one.
FLAT = frozenset({np.sign, np.floor, np.ceil, np.rint, np.trunc})


def _divided(g: np.ndarray, y: np.ndarray) -> np.ndarray:
    quotient: np.ndarray = g / y
    return quotient


def _power(y: Any, x: Any, p: Any) -> tuple[Rule, ...]:
    def of_base(g: np.ndarray) -> np.ndarray:
        slope: np.ndarray = np.where(p == 0, 0, p * np.power(x, np.where(p == 0, 1, p) - 1))
        return g * slope

    def of_exponent(g: np.ndarray) -> np.ndarray:
        slope: np.ndarray = y * np.log(np.where(np.asarray(x) > 0, x, 1))
        return g * slope

    return of_base, of_exponent


def _matmul(y: Any, a: Any, b: Any) -> tuple[Rule, ...]:
    if np.ndim(a) < 2 or np.ndim(b) < 2:
        raise TypeError("matmul of vectors has no gradient here; give them a second axis")
    return lambda g: g @ np.swapaxes(b, -1, -2), lambda g: np.swapaxes(a, -1, -2) @ g


def _share(a: Any, b: Any) -> Any:
    """Return 1 where `a` is larger, 0 where `b` is, and a half where they are equal."""
    return (np.sign(np.subtract(a, b)) + 1) / 2


def _chosen(first: Any) -> tuple[Rule, ...]:
    """Return rules of a choice of two; where they are equal each has half of the gradient."""
    return lambda g: g * first, lambda g: g * (1 - first)


#: ufunc -> function of (result, inputs...) that returns a rule for each input.
ELEMENTWISE: dict[np.ufunc, Callable[..., tuple[Rule, ...]]] = {
    np.add: lambda y, a, b: (lambda g: g, lambda g: g),
    np.subtract: lambda y, a, b: (lambda g: g, lambda g: -g),
    np.multiply: lambda y, a, b: (lambda g: g * b, lambda g: g * a),
    np.divide: lambda y, a, b: (lambda g: _divided(g, b), lambda g: -g * y / b),
    np.power: _power,
    np.float_power: _power,
    np.matmul: _matmul,
    np.maximum: lambda y, a, b: _chosen(_share(a, b)),
    np.minimum: lambda y, a, b: _chosen(_share(b, a)),
    np.negative: lambda y, x: (lambda g: -g,),
    np.positive: lambda y, x: (lambda g: g,),
    np.absolute: lambda y, x: (lambda g: g * np.sign(x),),
    np.square: lambda y, x: (lambda g: g * 2 * x,),
    np.sqrt: lambda y, x: (lambda g: g * 0.5 / y,),
    np.exp: lambda y, x: (lambda g: g * y,),
    np.expm1: lambda y, x: (lambda g: g * (y + 1),),
    np.log: lambda y, x: (lambda g: _divided(g, x),),
    np.log1p: lambda y, x: (lambda g: g / (1 + x),),
    np.log2: lambda y, x: (lambda g: g / (x * np.log(2)),),
    np.log10: lambda y, x: (lambda g: g / (x * np.log(10)),),
    np.logaddexp: lambda y, a, b: (lambda g: g * np.exp(a - y), lambda g: g * np.exp(b - y)),
    np.sin: lambda y, x: (lambda g: g * np.cos(x),),
    np.cos: lambda y, x: (lambda g: -g * np.sin(x),),
    np.tanh: lambda y, x: (lambda g: g * (1 - y * y),),
    np.cosh: lambda y, x: (lambda g: g * np.sinh(x),),
    np.arctan: lambda y, x: (lambda g: g / (1 + x * x),),
    np.reciprocal: lambda y, x: (lambda g: -g * y * y,),
}
#: Other functions of NumPy -> the same for what is traced; filled by `make`.
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}


def unbroadcast(gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the gradient of what was broadcast: summed over the axes that were repeated."""
    if gradient.shape == shape:
        return gradient
    if gradient.ndim < len(shape) or gradient.size < int(np.prod(shape)):
        gradient = np.broadcast_to(gradient, np.broadcast_shapes(gradient.shape, shape))
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    repeated = tuple(i for i, size in enumerate(shape) if size == 1 and gradient.shape[i] != 1)
    summed: np.ndarray = gradient.sum(axis=repeated, keepdims=True)
    return summed.reshape(shape)


def make(traced: type, value_of: Callable[[Any], Any]) -> None:
    """Fill FUNCTIONS with functions that make objects of the class `traced`."""

    def spread(x: Any, y: Any, axis: Any, keepdims: bool) -> tuple[Callable[..., Any], Any]:
        """Return what gives a reduced axis back to an array, and the result with it."""

        def back(array: Any) -> Any:
            if axis is None:
                return np.reshape(array, (1,) * x.ndim)
            return array if keepdims else np.expand_dims(array, _axes(axis, x.ndim))

        return back, back(y)

    def total(x: Any, axis: Any = None, keepdims: bool = False, **options: Any) -> Any:
        y = np.sum(x.value, axis=axis, keepdims=keepdims)
        back, _ = spread(x, y, axis, keepdims)
        return traced(y, [(x, lambda g: np.broadcast_to(back(g), x.shape))])

    def mean(x: Any, axis: Any = None, keepdims: bool = False, **options: Any) -> Any:
        y = np.mean(x.value, axis=axis, keepdims=keepdims)
        back, _ = spread(x, y, axis, keepdims)
        count = x.size / max(y.size, 1)
        return traced(y, [(x, lambda g: np.broadcast_to(back(g) / count, x.shape))])

    def extreme(function: Callable[..., Any]) -> Callable[..., Any]:
        def apply(x: Any, axis: Any = None, keepdims: bool = False, **options: Any) -> Any:
            y = function(x.value, axis=axis, keepdims=keepdims)
            back, whole = spread(x, y, axis, keepdims)
            equal = x.value == whole
            share = equal / equal.sum(
                axis=None if axis is None else _axes(axis, x.ndim), keepdims=True
            )
            return traced(y, [(x, lambda g: share * back(g))])

        return apply

    def variance(x: Any, axis: Any = None, keepdims: bool = False, **options: Any) -> Any:
        return mean(np.square(x - mean(x, axis, True)), axis, keepdims)

    def moved(function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that puts numbers elsewhere: its gradient goes where they were."""

        def apply(x: Any, *arguments: Any, **options: Any) -> Any:
            places = function(np.arange(x.size).reshape(x.shape), *arguments, **options)

            def rule(g: np.ndarray) -> np.ndarray:
                summed: np.ndarray = np.bincount(places.ravel(), np.ravel(g), x.size)
                back: np.ndarray = summed.astype(g.dtype).reshape(x.shape)
                return back

            return traced(x.value.ravel()[places], [(x, rule)])

        return apply

    def joined(function: Callable[..., Any]) -> Callable[..., Any]:
        def apply(arrays: Sequence[Any], axis: int = 0) -> Any:
            y = function([value_of(one) for one in arrays], axis=axis)
            sizes = [1 if function is np.stack else np.shape(value_of(one))[axis] for one in arrays]
            ends = np.cumsum(sizes)
            sources = []
            for one, end, size in zip(arrays, ends, sizes, strict=True):
                if isinstance(one, traced):
                    part = slice(int(end - size), int(end))
                    sources.append((one, _cut(part, axis, function is np.stack)))
            return traced(y, sources)

        return apply

    def where(condition: Any, a: Any, b: Any) -> Any:
        chosen = np.asarray(value_of(condition), bool)
        y = np.where(chosen, value_of(a), value_of(b))
        pairs = ((a, lambda g: g * chosen), (b, lambda g: g * ~chosen))
        return traced(y, [pair for pair in pairs if isinstance(pair[0], traced)])

    def clip(x: Any, low: Any = None, high: Any = None, **options: Any) -> Any:
        y = np.clip(x.value, low, high)
        inside = y == x.value
        return traced(y, [(x, lambda g: g * inside)])

    FUNCTIONS.update(
        {np.sum: total, np.mean: mean, np.var: variance, np.where: where, np.clip: clip}
    )
    FUNCTIONS[np.std] = lambda x, *a, **k: np.sqrt(variance(x, *a, **k))
    FUNCTIONS[np.shape] = lambda x: x.shape
    FUNCTIONS[np.ndim] = lambda x: x.ndim
    for flat in (np.argmax, np.argmin, np.round, np.zeros_like, np.ones_like):
        FUNCTIONS[flat] = _of_values(flat, value_of)
    FUNCTIONS.update({one: extreme(one) for one in (np.max, np.min, np.amax, np.amin)})
    moving: tuple[Any, ...] = (
        np.reshape, np.transpose, np.expand_dims, np.squeeze, np.ravel, np.swapaxes,
        np.flip, np.repeat, np.tile, np.roll, np.broadcast_to, np.moveaxis, np.take,
    )  # fmt: skip
    for one in moving:
        FUNCTIONS[one] = moved(one)
    FUNCTIONS.update({one: joined(one) for one in (np.concatenate, np.stack)})


def _of_values(function: Callable[..., Any], value_of: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda x, *arguments, **options: function(value_of(x), *arguments, **options)


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    return tuple(one % ndim for one in (axis if isinstance(axis, (tuple, list)) else (axis,)))


def _cut(part: slice, axis: int, stacked: bool) -> Rule:
    def rule(g: np.ndarray) -> np.ndarray:
        found = np.moveaxis(g, axis, 0)[part]
        return found[0] if stacked else np.moveaxis(found, 0, axis)

    return rule
