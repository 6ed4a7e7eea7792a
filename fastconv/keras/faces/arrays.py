"""Functions of `tf` and `tf.math`, by TensorFlow's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functions

#: Functions that have their names from Keras, and those that have others here.
_SAME = (
    *("abs", "add", "argmax", "argmin", "argsort", "cast", "ceil", "concatenate"),
    *("convert_to_tensor", "cos", "divide", "divide_no_nan", "equal", "exp", "expand_dims"),
    *("floor", "greater", "greater_equal", "l2_normalize", "less", "less_equal", "log"),
    *("log1p", "logical_and", "logical_not", "logical_or", "matmul", "maximum", "minimum"),
    *("multiply", "negative", "norm", "not_equal", "ones", "ones_like", "pad", "repeat"),
    *("reshape", "round", "rsqrt", "shape", "sigmoid", "sign", "sin", "size", "softplus"),
    *("sqrt", "square", "squared_difference", "squeeze", "stack", "subtract", "tanh", "tile"),
    *("transpose", "where", "zeros", "zeros_like"),
)
_RENAMED = {
    "clip_by_value": "clip",
    "concat": "concatenate",
    "fill": "full",
    "floormod": "mod",
    "is_finite": "isfinite",
    "is_nan": "isnan",
    "pow": "power",
    "reduce_all": "all",
    "reduce_any": "any",
    "reduce_logsumexp": "logsumexp",
    "reduce_max": "max",
    "reduce_mean": "mean",
    "reduce_min": "min",
    "reduce_prod": "prod",
    "reduce_std": "std",
    "reduce_sum": "sum",
    "reduce_variance": "var",
    "reverse": "flip",
}
__all__ = [
    *_SAME,
    *_RENAMED,
    *("confusion_matrix", "constant", "identity", "is_tensor", "newaxis", "one_hot", "range"),
    *("rank", "stop_gradient"),
]
globals().update({name: getattr(functions, name) for name in _SAME})
globals().update({name: getattr(functions, own) for name, own in _RENAMED.items()})
newaxis = None


def constant(value: Any, dtype: Any = None, shape: Any = None, name: Any = None) -> Any:
    """Return numbers as an array, float32 where they have no type of their own."""
    array = functions.convert_to_tensor(value, dtype)
    return array if shape is None else np.broadcast_to(array, shape).copy()


def identity(x: Any, name: Any = None) -> Any:
    return functions.convert_to_tensor(x)


def stop_gradient(x: Any) -> Any:
    """Return numbers that a loss is not differentiated by."""
    from ..differentiation import value_of

    return functions.convert_to_tensor(value_of(x))


def one_hot(indices: Any, depth: int, dtype: Any = "float32") -> Any:
    return functions.cast(functions.one_hot(indices, depth), dtype)


def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None) -> Any:
    return functions.convert_to_tensor(np.arange(start, limit, delta, dtype))


def rank(x: Any) -> int:
    return len(x.shape)


def is_tensor(x: Any) -> bool:
    """Whether `x` is what layers, data sets and functions here give."""
    from ...backend import is_keras_tensor
    from ..eager import EagerTensor

    return isinstance(x, EagerTensor) or is_keras_tensor(x)


def confusion_matrix(labels: Any, predictions: Any, num_classes: int | None = None) -> Any:
    """Return how often each class (a row) was taken for each (a column), int32."""
    true, found = (np.asarray(one, np.int64).ravel() for one in (labels, predictions))
    count = num_classes or int(max(true.max(initial=-1), found.max(initial=-1))) + 1
    table = np.zeros((count, count), np.int32)
    np.add.at(table, (true, found), 1)
    return functions.convert_to_tensor(table)
