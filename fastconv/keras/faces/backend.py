"""The arithmetic of `keras.backend`; its settings are fastconv's."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functions
from ..eager import as_tensor

#: Functions that have their names from Keras, and those that have others here.
_SAME = (
    *("abs", "all", "any", "argmax", "argmin", "cast", "clip", "cos", "elu", "equal", "exp"),
    *("expand_dims", "greater", "greater_equal", "hard_sigmoid", "l2_normalize", "less"),
    *("less_equal", "log", "logsumexp", "max", "maximum", "mean", "min", "minimum"),
    *("not_equal", "one_hot", "ones", "ones_like", "prod", "relu", "reshape", "round"),
    *("shape", "sigmoid", "sign", "sin", "softmax", "softplus", "softsign", "sqrt", "square"),
    *("squeeze", "stack", "std", "sum", "tanh", "tile", "transpose", "var", "where", "zeros"),
    *("zeros_like",),
)
_RENAMED = {
    "binary_crossentropy": "crossentropy_of_each",
    "dot": "matmul",
    "permute_dimensions": "transpose",
    "pow": "power",
}
__all__ = [
    *_SAME,
    *_RENAMED,
    *("batch_flatten", "cast_to_floatx", "concatenate", "constant", "flatten"),
    *("image_dim_ordering", "learning_phase", "random_normal", "random_uniform"),
    *("set_image_dim_ordering", "set_session", "switch"),
]
globals().update({name: getattr(functions, name) for name in _SAME})
globals().update({name: getattr(functions, own) for name, own in _RENAMED.items()})


def flatten(x: Any) -> Any:
    """Return all numbers in one axis."""
    return functions.reshape(x, (-1,))


def batch_flatten(x: Any) -> Any:
    """Return each sample's numbers in one axis."""
    return functions.reshape(x, (-1, int(np.prod(x.shape[1:]))))


def concatenate(tensors: Any, axis: int = -1) -> Any:
    return functions.concatenate(tensors, axis=axis)


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """Return one or the other, number by number; both may be functions without arguments."""
    choices = (one() if callable(one) else one for one in (then_expression, else_expression))
    return functions.where(condition, *choices)


def constant(value: Any, dtype: Any = "float32", shape: Any = None, name: Any = None) -> Any:
    array = np.asarray(value, np.dtype(dtype or "float32"))
    return as_tensor(array if shape is None else np.broadcast_to(array, shape).copy())


def cast_to_floatx(x: Any) -> Any:
    return functions.cast(x, "float32")


def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: int | None = None
) -> Any:
    """Return normal numbers from NumPy's global state, or from `seed`."""
    draw = np.random if seed is None else np.random.RandomState(seed)
    return as_tensor(np.asarray(draw.normal(mean, stddev, tuple(shape)), np.float32))


def random_uniform(
    shape: Any,
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: Any = None,
    seed: int | None = None,
) -> Any:
    """Return even numbers from NumPy's global state, or from `seed`."""
    draw = np.random if seed is None else np.random.RandomState(seed)
    return as_tensor(np.asarray(draw.uniform(minval, maxval, tuple(shape)), np.float32))


def set_session(session: Any) -> None:
    """Do nothing: there are no sessions, and nothing for one to set up."""


def learning_phase() -> int:
    """Return 0: outside of `fit` nothing trains."""
    return 0


def image_dim_ordering() -> str:
    """Return "tf", which Keras 1 called channels_last."""
    return "tf"


def set_image_dim_ordering(dim_ordering: str) -> None:
    """Accept "tf"; raise ValueError for "th"."""
    if dim_ordering != "tf":
        raise ValueError(
            f"set_image_dim_ordering: dim_ordering is {dim_ordering!r}; it must be 'tf': images "
            "are channels_last"
        )
