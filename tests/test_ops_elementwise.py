"""relu and relu_backward against their twins, across the chunks' edges."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import reference
from fastconv.ops import elementwise

CHUNK = 8192
SHAPES = [(0,), (1,), (3, 5, 7), (CHUNK,), (CHUNK + 1,), (2 * CHUNK - 1,), (3, CHUNK)]


def numbers(shape, dtype, seed=0):
    values = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    values.reshape(-1)[::7] = 0
    return values


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_relu(shape, dtype):
    x = numbers(shape, dtype)
    kept, out = x.copy(), np.full(shape, np.nan, dtype)
    elementwise.relu(x, out)
    np.testing.assert_array_equal(out, reference.relu(x))
    np.testing.assert_array_equal(x, kept)
    elementwise.relu(x, x)
    np.testing.assert_array_equal(x, out)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_relu_backward(shape, dtype):
    dy, y = numbers(shape, dtype), numbers(shape, dtype, 1)
    kept, out = (dy.copy(), y.copy()), np.full(shape, np.nan, dtype)
    elementwise.relu_backward(dy, y, out)
    np.testing.assert_array_equal(out, reference.relu_backward(dy, y))
    np.testing.assert_array_equal(dy, kept[0])
    np.testing.assert_array_equal(y, kept[1])
    elementwise.relu_backward(dy, y, dy)
    np.testing.assert_array_equal(dy, out)


def test_nan_stays_and_infinities_are_numbers():
    x = np.array([np.nan, -np.inf, np.inf, -0.0], np.float32)
    out = np.empty_like(x)
    elementwise.relu(x, out)
    np.testing.assert_array_equal(out, [np.nan, 0, np.inf, 0])
