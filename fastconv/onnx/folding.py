"""Operators on what is known before there are data: shapes, and constants.

Shapes are arrays of Python's numbers, in which `Unknown` stands for the sizes that only data tell,
that of the batch above all: it may be moved about and is never computed with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .file import Budget, Operation

#: What folds an operator: (operation, inputs, budget, opset) to the result.
Fold = Callable[[Operation, list[Any], Budget, int], Any]


class Unknown:
    """A size that is not known before the data are."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __repr__(self) -> str:
        return self.what

    def __bool__(self) -> bool:
        raise TypeError(f"it depends on {self.what}")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Unknown):
            return self is other
        raise TypeError(f"it depends on {self.what}")

    __hash__ = object.__hash__


BATCH = Unknown("the number of images in a batch")


def shape_array(sizes: Sequence[Any]) -> np.ndarray:
    """Return sizes, some of which may be `Unknown`, as an array."""
    array = np.empty(len(sizes), object)
    array[:] = sizes
    return _plain(array)


def _plain(array: np.ndarray) -> np.ndarray:
    if array.dtype == object and not any(isinstance(one, Unknown) for one in array.flat):
        return array.astype(np.int64)
    return array


def numbers(array: Any, what: str) -> list[int]:
    """Return a constant of whole numbers as a list; raise ValueError for another."""
    array = np.asarray(array)
    if array.dtype == object:
        raise ValueError(f"its {what} depends on the data's shape")
    if array.dtype.kind not in "iu" or array.ndim > 1:
        raise ValueError(f"its {what} is {array.dtype} of shape {array.shape}, not whole numbers")
    return [int(one) for one in array.reshape(-1)]


def axes_of(operation: Operation, inputs: Sequence[Any], place: int, rank: int) -> list[int] | None:
    """Return an operator's axes, from the front: of an attribute, or of its input at `place`."""
    axes = operation.attributes.get("axes")
    if axes is None and len(inputs) > place and inputs[place] is not None:
        axes = numbers(inputs[place], "axes")
    if axes is None:
        return None
    if any(not -rank <= axis < rank for axis in axes) or len(set(axes)) < len(axes):
        raise ValueError(f"its axes are {list(axes)}; it has {rank}")
    return sorted(axis % rank for axis in axes)


def _take(budget: Budget, shape: Sequence[int], itemsize: int = 8) -> None:
    budget.take(math.prod(shape) * itemsize)


def _elementwise(function: Callable[..., Any]) -> Fold:
    def fold(operation: Operation, inputs: list[Any], budget: Budget, opset: int) -> Any:
        _take(budget, np.broadcast_shapes(*(one.shape for one in inputs)))
        with np.errstate(all="ignore"):
            made = np.asarray(function(*inputs))
        return made if made.dtype == object else made.astype(inputs[0].dtype, copy=False)

    return fold


def _divided(first: np.ndarray, second: np.ndarray) -> Any:
    if first.dtype == object or first.dtype.kind in "iu":
        if not np.all(second):
            raise ValueError("it divides by 0")
        # Towards 0, as C does.
        return np.sign(first) * np.sign(second) * (np.abs(first) // np.abs(second))
    return first / second


def _concat(operation: Operation, inputs: list[Any], budget: Budget, opset: int) -> Any:
    budget.take(sum(one.nbytes for one in inputs))
    return np.concatenate(inputs, axis=operation.attributes["axis"])


def _gather(operation: Operation, inputs: list[Any], budget: Budget, opset: int) -> Any:
    data, indices = inputs
    axis = operation.attributes.get("axis", 0)
    size = data.size // max(data.shape[axis], 1)
    _take(budget, (size, indices.size))
    taken = np.take(data, indices.astype(np.int64), axis=axis)
    return taken if isinstance(taken, np.ndarray) else _scalar(taken, data.dtype)


def _scalar(value: Any, dtype: np.dtype) -> np.ndarray:
    made = np.empty((), dtype)
    made[()] = value
    return made


def _squeeze(operation: Operation, inputs: list[Any], budget: Budget, opset: int) -> Any:
    axes = axes_of(operation, inputs, 1, inputs[0].ndim)
    return np.squeeze(inputs[0], None if axes is None else tuple(axes))


def _unsqueeze(operation: Operation, inputs: list[Any], budget: Budget, opset: int) -> Any:
    given = operation.attributes.get("axes")
    axes = numbers(inputs[1], "axes") if given is None else given
    return np.expand_dims(inputs[0], tuple(axes))


def _slice(operation: Operation, inputs: list[Any], budget: Budget, opset: int) -> Any:
    data = inputs[0]
    chosen = [slice(None)] * data.ndim
    for axis, start, end, step in bounds_of(operation, inputs, data.ndim):
        chosen[axis] = slice(start, end if end >= -data.shape[axis] else None, step)
    return data[tuple(chosen)]


def bounds_of(
    operation: Operation, inputs: Sequence[Any], rank: int
) -> list[tuple[int, int, int, int]]:
    """Return (axis, start, end, step) of what a Slice takes."""
    named: dict[str, Any] = operation.attributes
    if len(inputs) > 1:
        parts = ["starts", "ends", "axes", "steps"]
        given = dict(zip(parts, inputs[1:], strict=False))
        named = {part: numbers(one, part) for part, one in given.items() if one is not None}
    starts, ends = named["starts"], named["ends"]
    axes = named.get("axes") or list(range(len(starts)))
    steps = named.get("steps") or [1] * len(starts)
    if any(not -rank <= axis < rank for axis in axes) or 0 in steps:
        raise ValueError(f"its axes are {axes} and its steps {steps}")
    return [(axis % rank, *rest) for axis, *rest in zip(axes, starts, ends, steps, strict=True)]


def _cast(operation: Operation, inputs: list[Any], budget: Budget, opset: int) -> Any:
    from .package import onnx_package

    if inputs[0].dtype == object:
        return inputs[0]
    dtype = onnx_package().helper.tensor_dtype_to_np_dtype(operation.attributes["to"])
    _take(budget, inputs[0].shape, dtype.itemsize)
    with np.errstate(all="ignore"):
        return inputs[0].astype(dtype)


def _constant_of_shape(operation: Operation, inputs: list[Any], budget: Budget, opset: int) -> Any:
    value = operation.attributes.get("value", np.zeros(1, np.float32))
    shape = numbers(inputs[0], "shape")
    _take(budget, shape)
    return np.full(shape, value.reshape(-1)[0])


def _expand(operation: Operation, inputs: list[Any], budget: Budget, opset: int) -> Any:
    shape = np.broadcast_shapes(inputs[0].shape, tuple(numbers(inputs[1], "shape")))
    _take(budget, shape)
    return np.broadcast_to(inputs[0], shape)


def _reshape(operation: Operation, inputs: list[Any], budget: Budget, opset: int) -> Any:
    sizes = numbers(inputs[1], "shape")
    return inputs[0].reshape(
        [inputs[0].shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    )


def _transpose(operation: Operation, inputs: list[Any], budget: Budget, opset: int) -> Any:
    return inputs[0].transpose(operation.attributes.get("perm"))


def _range(operation: Operation, inputs: list[Any], budget: Budget, opset: int) -> Any:
    start, limit, delta = (one.reshape(-1)[0] for one in inputs)
    _take(budget, (max(0, math.ceil((float(limit) - float(start)) / float(delta))),))
    return np.arange(start, limit, delta)


def constant(operation: Operation, inputs: list[Any], budget: Budget, opset: int) -> Any:
    """Return what a Constant holds."""
    for name, value in operation.attributes.items():
        if name == "value" and value is not None:
            return value
        if name in ("value_int", "value_ints"):
            return np.asarray(value, np.int64)
        if name in ("value_float", "value_floats"):
            return np.asarray(value, np.float32)
    raise ValueError("it holds no numbers")


def folded(operation: Operation, inputs: list[Any], budget: Budget, opset: int) -> Any:
    """Return the result of an operator in `FOLDS` for constants."""
    return _plain(np.asarray(FOLDS[operation.kind](operation, inputs, budget, opset)))


FOLDS: dict[str, Fold] = {
    "Add": _elementwise(np.add),
    "Cast": _cast,
    "Ceil": _elementwise(np.ceil),
    "Concat": _concat,
    "Constant": constant,
    "ConstantOfShape": _constant_of_shape,
    "Div": _elementwise(_divided),
    "Exp": _elementwise(np.exp),
    "Expand": _expand,
    "Floor": _elementwise(np.floor),
    "Gather": _gather,
    "Identity": lambda operation, inputs, budget, opset: inputs[0],
    "Mul": _elementwise(np.multiply),
    "Neg": _elementwise(np.negative),
    "Range": _range,
    "Reciprocal": _elementwise(np.reciprocal),
    "Reshape": _reshape,
    "Slice": _slice,
    "Sqrt": _elementwise(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _elementwise(np.subtract),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
