"""Functions of arrays, as `keras.ops` has them, made of NumPy's.

What they get decides what they give: arrays give arrays, what a loss is differentiated by
(`differentiation.Traced`) the like, and symbolic tensors a tensor of a Lambda.
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import activations, layers
from ..layers.parameter import Parameter
from ..layers.symbolic import Tensor
from .differentiation import Traced, value_of
from .eager import as_tensor

__all__ = [
    "abs", "add", "all", "any", "arange", "arctan", "argmax", "argmin", "argsort", "cast", "ceil",
    "clip", "concatenate", "convert_to_numpy", "convert_to_tensor", "cos", "divide",
    "divide_no_nan", "elu", "equal", "exp", "expand_dims", "expm1", "flip", "floor", "full",
    "gelu", "greater", "greater_equal", "hard_sigmoid", "isfinite", "isinf", "isnan",
    "l2_normalize", "leaky_relu", "less", "less_equal", "log", "log1p", "log_softmax",
    "logical_and", "logical_not", "logical_or", "logsumexp", "matmul", "max", "maximum", "mean",
    "min", "minimum", "mod", "multiply", "negative", "norm", "not_equal", "one_hot", "ones",
    "ones_like", "pad", "power", "prod", "relu", "relu6", "repeat", "reshape", "round", "rsqrt",
    "selu", "shape", "sigmoid", "sign", "silu", "sin", "size", "softmax", "softplus", "softsign",
    "sqrt", "square", "squared_difference", "squeeze", "stack", "std", "subtract", "sum", "tanh",
    "tile", "transpose", "var", "where", "zeros", "zeros_like",
]  # fmt: skip


def op(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of arrays take symbolic tensors too: they become a Lambda's inputs."""

    @functools.wraps(function)
    def apply(*arguments: Any, **options: Any) -> Any:
        given = [one for value in (*arguments, *options.values()) for one in _parts(value)]
        if builtins.any(isinstance(one, Parameter) for one in given):
            raise TypeError(
                f"{function.__name__}: a weight is given, which would not be trained by this; use "
                "layers, or define backward() in yours; weight.numpy() has its numbers"
            )
        tensors = [one for one in given if isinstance(one, Tensor)]
        if not tensors:
            return as_tensor(function(*arguments, **options))

        def compute(inputs: Any) -> Any:
            arrays = iter(inputs if len(tensors) > 1 else [inputs])
            with_arrays = [_filled(one, arrays) for one in arguments]
            named = {key: _filled(one, arrays) for key, one in options.items()}
            return function(*with_arrays, **named)

        compute.__name__ = f"<keras.ops.{function.__name__}>"
        return layers.Lambda(compute)(tensors if len(tensors) > 1 else tensors[0])

    return apply


def _parts(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value,)


def _filled(value: Any, arrays: Any) -> Any:
    """Return an argument with the next arrays in the place of its tensors."""
    if isinstance(value, (list, tuple)):
        return type(value)(_filled(one, arrays) for one in value)
    return next(arrays) if isinstance(value, Tensor) else value


def _axis(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _array(x: Any) -> Any:
    return x if isinstance(x, (Traced, np.ndarray)) else np.asarray(x)


def _reduction(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return function(_array(x), axis=_axis(axis), keepdims=keepdims)

    reduce.__name__ = name
    return op(reduce)


def _elementwise(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def apply(*arrays: Any) -> Any:
        return function(*arrays)

    apply.__name__ = name
    return op(apply)


sum, mean, max, min, var, std, any, all = (
    _reduction(getattr(np, name), name)
    for name in ("sum", "mean", "max", "min", "var", "std", "any", "all")
)
prod = _reduction(np.prod, "prod")
abs, exp, log, log1p, expm1, sqrt, square, sign, floor, ceil, sin, cos, arctan, negative = (
    _elementwise(getattr(np, name), name)
    for name in (
        *("abs", "exp", "log", "log1p", "expm1", "sqrt", "square", "sign", "floor", "ceil"),
        *("sin", "cos", "arctan", "negative"),
    )
)
subtract, multiply, divide, power, maximum, minimum, matmul, mod = (
    _elementwise(getattr(np, name), name)
    for name in (
        *("subtract", "multiply", "divide", "power", "maximum", "minimum", "matmul", "mod"),
    )
)
add = _elementwise(np.add, "add")
equal, not_equal, greater, greater_equal, less, less_equal, isnan, isfinite, isinf = (
    _elementwise(getattr(np, name), name)
    for name in (
        *("equal", "not_equal", "greater", "greater_equal", "less", "less_equal"),
        *("isnan", "isfinite", "isinf"),
    )
)
logical_and, logical_or, logical_not = (
    _elementwise(getattr(np, name), name) for name in ("logical_and", "logical_or", "logical_not")
)


@op
def round(x: Any) -> Any:
    return np.rint(_array(x))


@op
def rsqrt(x: Any) -> Any:
    return 1.0 / np.sqrt(x)


@op
def squared_difference(x: Any, y: Any) -> Any:
    return np.square(x - y)


@op
def divide_no_nan(x: Any, y: Any) -> Any:
    """Return x / y, and 0 where y is 0."""
    zero = value_of(y) == 0
    return np.where(zero, 0.0, x / np.where(zero, 1.0, y))


@op
def cast(x: Any, dtype: Any) -> Any:
    return _array(x).astype(np.dtype(dtype))


@op
def reshape(x: Any, newshape: Any) -> Any:
    return np.reshape(_array(x), tuple(newshape))


@op
def transpose(x: Any, axes: Any = None) -> Any:
    return np.transpose(_array(x), axes)


@op
def expand_dims(x: Any, axis: Any = -1) -> Any:
    return np.expand_dims(_array(x), axis)


@op
def squeeze(x: Any, axis: Any = None) -> Any:
    return np.squeeze(_array(x), axis)


@op
def flip(x: Any, axis: Any = None) -> Any:
    return np.flip(_array(x), _axis(axis))


@op
def repeat(x: Any, repeats: Any, axis: Any = None) -> Any:
    return np.repeat(_array(x), repeats, axis)


@op
def tile(x: Any, repeats: Any) -> Any:
    return np.tile(_array(x), repeats)


@op
def pad(x: Any, pad_width: Any, mode: str = "constant") -> Any:
    return np.pad(_array(x), pad_width, mode.lower())  # type: ignore[call-overload]


@op
def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    return np.clip(_array(x), x_min, x_max)


@op
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    return np.where(condition) if x1 is None else np.where(condition, x1, x2)


@op
def concatenate(xs: Any, axis: int = 0) -> Any:
    return np.concatenate([_array(one) for one in xs], axis=axis)


@op
def stack(xs: Any, axis: int = 0) -> Any:
    return np.stack([_array(one) for one in xs], axis=axis)


@op
def argmax(x: Any, axis: Any = None) -> Any:
    return np.argmax(_array(x), axis=axis)


@op
def argmin(x: Any, axis: Any = None) -> Any:
    return np.argmin(_array(x), axis=axis)


@op
def argsort(x: Any, axis: int = -1) -> Any:
    return np.argsort(value_of(x), axis=axis)


@op
def one_hot(x: Any, num_classes: int) -> Any:
    return np.eye(num_classes, dtype=np.float32)[np.asarray(x, np.int64)]


@op
def norm(x: Any, ord: Any = "euclidean", axis: Any = None, keepdims: bool = False) -> Any:
    if ord not in ("euclidean", 2, None):
        raise ValueError(f"norm: ord is {ord!r}; it must be 'euclidean'")
    return np.sqrt(np.sum(np.square(_array(x)), axis=_axis(axis), keepdims=keepdims))


@op
def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12) -> Any:
    squares = np.sum(np.square(_array(x)), axis=_axis(axis), keepdims=True)
    return x / np.sqrt(np.maximum(squares, epsilon))


@op
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    top = np.max(value_of(_array(x)), axis=_axis(axis), keepdims=True)
    total = np.log(np.sum(np.exp(x - top), axis=_axis(axis), keepdims=True)) + top
    return total if keepdims else np.squeeze(total, _axis(axis))


tanh = activations.tanh


# Activations are the objects that layers know, and so may be a layer's `activation`, too.
relu, relu6, sigmoid, softmax, softplus, softsign, elu, selu, gelu, silu, leaky_relu = (
    getattr(activations, name)
    for name in (
        *("relu", "relu6", "sigmoid", "softmax", "softplus", "softsign", "elu", "selu", "gelu"),
        *("silu", "leaky_relu"),
    )
)
log_softmax, hard_sigmoid = activations.log_softmax, activations.hard_sigmoid


@op
def crossentropy_of_each(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Return the binary cross-entropy of each number, which is not averaged."""
    if from_logits:
        return np.maximum(output, 0) - output * target + np.log1p(np.exp(-np.abs(output)))
    inside = np.clip(output, 1e-7, 1 - 1e-7)
    return -(target * np.log(inside) + (1 - target) * np.log(1 - inside))


def shape(x: Any) -> tuple[int | None, ...]:
    """Return the sizes of axes; of a symbolic tensor None where the batch decides."""
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


def size(x: Any) -> int:
    return int(np.prod(np.shape(value_of(x))))


def convert_to_tensor(x: Any, dtype: Any = None) -> Any:
    """Return numbers as an array, float32 where they have no type of their own."""
    if isinstance(x, (Traced, Tensor)):
        return x
    array = np.asarray(x, None if dtype is None else np.dtype(dtype))
    if dtype is None and array.dtype == np.float64 and not hasattr(x, "dtype"):
        array = array.astype(np.float32)
    return as_tensor(array)


def convert_to_numpy(x: Any) -> np.ndarray:
    return np.asarray(x)


def zeros(shape: Any, dtype: Any = "float32") -> Any:
    return as_tensor(np.zeros(shape, np.dtype(dtype)))


def ones(shape: Any, dtype: Any = "float32") -> Any:
    return as_tensor(np.ones(shape, np.dtype(dtype)))


def full(shape: Any, fill_value: Any, dtype: Any = "float32") -> Any:
    return as_tensor(np.full(shape, fill_value, np.dtype(dtype)))


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    count: Any = np.arange  # whose first argument alone is the end
    return as_tensor(count(start, stop, step, dtype))


def zeros_like(x: Any, dtype: Any = None) -> Any:
    return as_tensor(np.zeros_like(value_of(_array(x)), dtype))


def ones_like(x: Any, dtype: Any = None) -> Any:
    return as_tensor(np.ones_like(value_of(_array(x)), dtype))
