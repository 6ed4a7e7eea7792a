"""Passes over whole arrays, in parallel and without temporaries.

Each raises TypeError for arrays of another dtype, and ValueError for an `out` that it cannot
write to: of another shape than the input's, or not C-contiguous and aligned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .._core import runtime
from .._core.memory import contiguous
from .._core.validation import FLOAT_DTYPES, expect_shape

_kernels = runtime.kernels.elementwise
_FLOAT32 = FLOAT_DTYPES[:1]


def relu(x: np.ndarray, out: np.ndarray, limit: float = math.inf) -> None:
    """Write x clipped to 0 ... `limit` to `out`, which may be x; a NaN stays one.

    float32 or float64.
    """
    _check("relu", FLOAT_DTYPES, out, x)
    if x.size:
        kernels = runtime.kernels_of(x.dtype).elementwise
        kernels.relu(_flat(x), limit, out.reshape(-1), runtime.threads_for(x.size))


def relu_backward(dy: np.ndarray, y: np.ndarray, out: np.ndarray, limit: float = math.inf) -> None:
    """Write dy where y is above 0 and below `limit`, else 0, to `out`, which may be dy.

    float32 or float64.
    """
    _check("relu_backward", FLOAT_DTYPES, out, dy, y)
    if dy.size:
        threads = runtime.threads_for(dy.size)
        kernels = runtime.kernels_of(dy.dtype).elementwise
        kernels.relu_gradient(_flat(dy), _flat(y), limit, out.reshape(-1), threads)


def add(a: np.ndarray, b: np.ndarray, out: np.ndarray, limit: float = 0.0) -> None:
    """Write a + b, where `limit` is above 0 clipped to 0 ... limit, to `out`, which may be a or b.

    float32 or float64, of one shape.  The bits are those of NumPy's sum and `relu` behind it.
    """
    _check("add", FLOAT_DTYPES, out, a, b)
    if not a.size:
        return
    flat, threads = out.reshape(-1), runtime.threads_for(a.size)
    if a.dtype == np.float32:
        _kernels.add(_flat(a), _flat(b), limit, flat, threads)
        return
    np.add(a, b, out=out)
    if limit:
        runtime.kernels_of(a.dtype).elementwise.relu(flat, limit, flat, threads)


def concatenate(arrays: Sequence[np.ndarray], axis: int, out: np.ndarray) -> None:
    """Write arrays one behind the other along `axis`, counted from the front, to `out`.

    Any dtype; those of float32 are copied in parallel.
    """
    first = np.cumsum([0, *(array.shape[axis] for array in arrays)])
    inner = math.prod(out.shape[axis + 1 :])
    for array, start in zip(arrays, first[:-1], strict=True):
        if not array.size:
            continue
        if not array.dtype == out.dtype == np.float32 or not out.flags.carray:
            np.concatenate(arrays, axis=axis, out=out)
            return
        rows = _flat(array).reshape(-1, array.shape[axis] * inner)
        target = out.reshape(len(rows), -1)
        _kernels.place(rows, target, int(start) * inner, runtime.threads_for(array.size))


def sigmoid(x: np.ndarray, out: np.ndarray) -> None:
    """Write 1 / (1 + exp(-x)) to `out`, which may be x.  float32."""
    _check("sigmoid", _FLOAT32, out, x)
    if x.size:
        _kernels.sigmoid(_flat(x), out.reshape(-1), runtime.threads_for(x.size))


def softmax(x: np.ndarray, out: np.ndarray) -> None:
    """Write exp(x) / sum(exp(x)) along the last axis to `out`, which may be x.  float32."""
    _check("softmax", _FLOAT32, out, x)
    if x.size:
        rows = (-1, x.shape[-1])
        _kernels.softmax(_flat(x).reshape(rows), out.reshape(rows), runtime.threads_for(x.size))


def dropout(x: np.ndarray, seed: int, rate: float, out: np.ndarray) -> None:
    """Write x / (1 - rate) to `out`, which may be x, but 0 for a share `rate` of the values.

    Which ones is a function of `seed`, an int below 2**64, and of the place alone; the share
    is `rate` rounded to 32 bits.  float32.  What is 0 stays 0.
    """
    _check("dropout", _FLOAT32, out, x)
    if rate == 1:
        out.fill(0)
    elif x.size:
        threshold = min(round(rate * 2**32), 2**32 - 1)
        scale, threads = 1 / (1 - rate), runtime.threads_for(x.size)
        _kernels.dropout(_flat(x), seed, threshold, scale, out.reshape(-1), threads)


def _flat(array: np.ndarray) -> np.ndarray:
    """Return the values one after the other: a view where a kernel can read it, else a copy."""
    return contiguous(array).reshape(-1)


def _check(owner: str, dtypes: tuple[np.dtype, ...], out: np.ndarray, *inputs: np.ndarray) -> None:
    """Refuse what the kernel could not read, and an `out` of which it would write a copy."""
    first = inputs[0]
    for array in (*inputs, out):
        if array.dtype in dtypes and array.dtype == first.dtype and array.shape == first.shape:
            continue
        name = "out" if array is out and array is not first else "the input"
        expect_shape(array, first.shape, name, owner)
        accepted = dtypes if array.dtype not in dtypes else (first.dtype,)
        raise TypeError(
            f"{owner}: {name} has dtype {array.dtype}; {' or '.join(map(str, accepted))} is needed"
        )
    if not (out.flags.c_contiguous and out.flags.aligned):
        what = "aligned" if out.flags.c_contiguous else "C-contiguous"
        raise ValueError(
            f"{owner}: out has strides {out.strides} and is not {what}; give an array that "
            "is, such as numpy.empty(x.shape, x.dtype)"
        )
