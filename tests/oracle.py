"""How the tests of operations draw their cases and compare with `fastconv.ops.reference`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from fastconv._core.geometry import conv2d_window
from fastconv._core.memory import aligned_empty
from fastconv.ops.plans import structs
from fastconv.ops.plans.direct import DirectPlan
from fastconv.ops.plans.select import Problem

#: Relative to the largest value: float32 rounds at 6e-8, float64 at 1e-16, and sums of
#: thousands of terms lose about a factor of their root.
TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-12}


def fields_of(kind: str, record: bytes) -> np.void:
    """Return the fields, by name, of a struct that goes to the kernels."""
    return np.frombuffer(record, structs.DTYPES[kind])[0]


class Case(NamedTuple):
    """An input shape, a kernel shape or pool size, the keyword options, and the arrays' look."""

    x: tuple[int, int, int, int]
    window: tuple[int, ...]
    options: dict[str, Any]
    dtype: type
    layout: str
    seed: int

    def random(self, shape: tuple[int, ...], salt: int = 0) -> np.ndarray:
        """Return normal numbers of the case's dtype and layout."""
        numbers = np.random.default_rng([self.seed, salt]).standard_normal(shape)
        return laid_out(numbers.astype(self.dtype), self.layout)


LAYOUTS = ("C", "F", "strided", "reversed", "read-only", "unaligned")


def laid_out(array: np.ndarray, layout: str) -> np.ndarray:
    """Return equal numbers in another memory layout."""
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "strided":
        wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if layout == "reversed":
        return np.ascontiguousarray(array[::-1])[::-1]
    if layout == "unaligned":
        memory = np.zeros(array.nbytes + 1, np.uint8)
        shifted = memory[1:].view(array.dtype).reshape(array.shape)
        shifted[...] = array
        return shifted
    array = array.copy()
    array.flags.writeable = layout != "read-only"
    return array


_pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
_strides = st.one_of(st.integers(1, 4), _pairs)
_side = st.one_of(st.just(1), st.integers(1, 9))
_dtypes = st.sampled_from([np.float32, np.float64])
_looks = {
    "dtype": _dtypes,
    "layout": st.sampled_from(LAYOUTS),
    "seed": st.integers(0, 2**16),
}


def _explicit(limit: tuple[int, int]) -> st.SearchStrategy:
    edges = [st.tuples(st.integers(0, most), st.integers(0, most)) for most in limit]
    return st.tuples(*edges)


@st.composite
def conv_cases(draw, *, plain: bool = False) -> Case:
    """Draw a convolution that fits; `plain` leaves groups and dilation at 1."""
    groups = 1 if plain else draw(st.sampled_from([1, 1, 1, 2, 3, 8, 13, 17]))
    # Around the vectors' lengths (4, 8, 16, 32) lie the edges of the kernels' tiles.
    channels = groups * draw(
        st.sampled_from([1, 2, 3, 5, 17, 35] if groups > 1 else [1, 2, 3, 8, 17, 33])
    )
    filters = groups * draw(
        st.sampled_from([1, 2, 3, 18] if groups > 1 else [1, 2, 7, 16, 31, 33, 65])
    )
    size = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    dilation = 1 if plain else draw(st.sampled_from([1, 1, 1, 2, 3, (1, 2), (3, 1)]))
    padding = draw(
        st.one_of(st.sampled_from(["valid", "same"]), st.integers(0, 3), _explicit((4, 4)))
    )
    height, width = draw(_side), draw(_side)
    if padding != "same":
        height, width = _room((height, width), size, padding, dilation)
    options = {"strides": draw(_strides), "padding": padding}
    if not plain:
        options |= {"dilation_rate": dilation, "groups": groups}
    batch = draw(st.sampled_from([1, 1, 2, 3, 5]))
    return Case(
        (batch, height, width, channels),
        (*size, channels // groups, filters),
        options,
        **{name: draw(strategy) for name, strategy in _looks.items()},
    )


def _room(image, size, padding, dilation):
    """Enlarge an image until the kernel fits."""
    dilations = dilation if isinstance(dilation, tuple) else (dilation, dilation)
    if padding == "valid":
        padding = 0
    pads = ((padding, padding), (padding, padding)) if isinstance(padding, int) else padding
    return tuple(
        max(side, (window - 1) * apart + 1 - sum(pad), 1)
        for side, window, apart, pad in zip(image, size, dilations, pads, strict=True)
    )


@st.composite
def pool_cases(draw) -> Case:
    """Draw a pooling that fits."""
    size = draw(st.one_of(st.integers(1, 5), st.tuples(st.integers(1, 4), st.integers(1, 4))))
    pair = size if isinstance(size, tuple) else (size, size)
    padding = draw(
        st.one_of(
            st.sampled_from(["valid", "same"]),
            st.integers(0, min(pair) - 1),
            _explicit((pair[0] - 1, pair[1] - 1)),
        )
    )
    height, width = draw(_side), draw(_side)
    if padding != "same":
        height, width = _room((height, width), pair, padding, 1)
    channels = draw(st.sampled_from([1, 2, 3, 16, 17, 64, 65, 130]))
    options = {
        "pool_size": size,
        "strides": draw(st.one_of(st.none(), _strides)),
        "padding": padding,
    }
    batch = draw(st.sampled_from([1, 1, 2, 3]))
    return Case(
        (batch, height, width, channels),
        pair,
        options,
        **{name: draw(strategy) for name, strategy in _looks.items()},
    )


def guarded(array, sentinel=12345.0):
    """Return (a copy of `array` amid memory that holds `sentinel`, a check that it still does)."""
    margin = 64
    memory = np.full(array.size + 2 * margin, sentinel, array.dtype)
    inside = memory[margin : margin + array.size].reshape(array.shape)
    inside[...] = array

    def check():
        np.testing.assert_array_equal(memory[:margin], np.full(margin, sentinel))
        np.testing.assert_array_equal(memory[margin + array.size :], np.full(margin, sentinel))

    return inside, check


def run_direct(direct: DirectPlan, source: np.ndarray, kernel: np.ndarray, target: np.ndarray):
    """Write one grid's outputs to `target`, without a bias."""
    packed = aligned_empty((direct.packed_size,), source.dtype)
    direct.pack(kernel, packed)
    direct.run(source, packed, np.zeros(direct.padded, source.dtype), target)


def assert_close(actual, expected, *, usual=0.0, dtype=None, what="") -> None:
    """Compare with the tolerance of `actual`'s dtype, relative to the largest expected value.

    `usual` is a size that the values would have but for chance: a lone sum may cancel to
    nearly 0, and its rounding errors do not.
    """
    assert actual.shape == expected.shape, what
    if not expected.size:
        return
    tolerance = TOLERANCE[np.dtype(dtype or actual.dtype)]
    scale = max(np.abs(expected).max(), np.max(usual), np.finfo(np.float32).tiny)
    error = np.abs(actual.astype(np.float64) - expected).max() / scale
    assert error <= tolerance, f"{what}: relative error {error:.3g}, {tolerance:g} is allowed"


def check_linear(operation, twin, arrays, **options) -> None:
    """Compare an operation that is linear in each array with its twin.

    The arrays stay as they are, and what comes back is fresh, contiguous and of their dtype.
    """
    before = [array.copy() for array in arrays]
    results = _as_tuple(operation(*arrays, **options))
    expected = _as_tuple(twin(*arrays, **options))
    # Independent terms add up as the root of the sum of their squares.
    usual = _as_tuple(twin(*(array.astype(np.float64) ** 2 for array in arrays), **options))
    for number, (result, wanted, squares) in enumerate(zip(results, expected, usual, strict=True)):
        assert result.dtype == arrays[0].dtype and result.flags.c_contiguous
        assert not any(np.shares_memory(result, array) for array in arrays)
        assert_close(result, wanted, usual=np.sqrt(squares), what=f"result {number}")
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy, "an argument was written to")


def _as_tuple(value):
    return value if isinstance(value, tuple) else (value,)


def problem_of(x, kernel, dtype=np.float32, **options) -> tuple[Problem, tuple[int, int, int, int]]:
    """Return the convolution of these shapes, as plans are given it, and its output's shape."""
    window, groups = conv2d_window(x, kernel, **options)
    problem = Problem(x, kernel, window, groups, np.dtype(dtype))
    return problem, (x[0], window.rows.output, window.columns.output, kernel[3])
