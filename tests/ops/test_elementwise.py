"""Elementwise passes against their twins, across the chunks' edges."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

from fastconv.ops import elementwise, reference

CHUNK = 8192
SHAPES = [(0,), (1,), (3, 5, 7), (CHUNK,), (CHUNK + 1,), (2 * CHUNK - 1,), (3, CHUNK)]


def numbers(shape, dtype, seed=0):
    values = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    values.reshape(-1)[::7] = 0
    return values


@pytest.mark.parametrize("limit", [np.inf, 0.5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_relu(shape, dtype, limit):
    x = numbers(shape, dtype)
    kept, out = x.copy(), np.full(shape, np.nan, dtype)
    elementwise.relu(x, out, limit)
    np.testing.assert_array_equal(out, np.minimum(reference.relu(x), dtype(limit)))
    np.testing.assert_array_equal(x, kept)
    elementwise.relu(x, x, limit)
    np.testing.assert_array_equal(x, out)


@pytest.mark.parametrize("limit", [np.inf, 0.5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_relu_backward(shape, dtype, limit):
    dy, y = numbers(shape, dtype), numbers(shape, dtype, 1)
    kept, out = (dy.copy(), y.copy()), np.full(shape, np.nan, dtype)
    elementwise.relu_backward(dy, y, out, limit)
    expected = reference.relu_backward(dy, y) * (y < limit)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(dy, kept[0])
    np.testing.assert_array_equal(y, kept[1])
    elementwise.relu_backward(dy, y, dy, limit)
    np.testing.assert_array_equal(dy, out)


@pytest.mark.parametrize("limit", [0.0, np.inf, 0.5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_add(shape, dtype, limit):
    a, b = numbers(shape, dtype), numbers(shape, dtype, 1)
    if a.size > 20:
        a.reshape(-1)[3], b.reshape(-1)[5], a.reshape(-1)[8] = np.nan, -np.inf, np.inf
    kept, out = (a.copy(), b.copy()), np.full(shape, np.nan, dtype)
    expected = np.add(a, b)
    if limit:
        elementwise.relu(expected, expected, limit)
    for threads in (1, 2, 3, 7):
        with mock.patch.object(elementwise.runtime, "threads_for", lambda _, n=threads: n):
            elementwise.add(a, b, out, limit)
        np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(a, kept[0])
    np.testing.assert_array_equal(b, kept[1])
    elementwise.add(a, b, b, limit)
    np.testing.assert_array_equal(b, expected)
    elementwise.add(a, kept[1], a, limit)
    np.testing.assert_array_equal(a, expected)


def test_nan_stays_and_infinities_are_numbers():
    x = np.array([np.nan, -np.inf, np.inf, -0.0], np.float32)
    out = np.empty_like(x)
    elementwise.relu(x, out)
    np.testing.assert_array_equal(out, [np.nan, 0, np.inf, 0])


@pytest.mark.parametrize("name", ["sigmoid", "softmax"])
@pytest.mark.parametrize("shape", [*SHAPES, (40, 3000)], ids=str)
def test_of_exponentials(name, shape):
    x = 4 * numbers(shape, np.float32)
    kept, out = x.copy(), np.full_like(x, np.nan)
    getattr(elementwise, name)(x, out)
    if x.size:
        np.testing.assert_allclose(out, getattr(reference, name)(x), rtol=3e-6)
    np.testing.assert_array_equal(x, kept)
    getattr(elementwise, name)(x, x)
    np.testing.assert_array_equal(x, out)


def test_a_sigmoid_is_exact_to_some_units_in_the_last_place():
    x = np.linspace(-87, 87, 100_001, dtype=np.float32)
    out = np.empty_like(x)
    elementwise.sigmoid(x, out)
    expected = reference.sigmoid(x)
    assert (abs(out - expected) / np.spacing(np.float32(expected))).max() < 4
    # Each has the bits that it has alone, in whole vectors or at their end.
    for count in range(1, 40):
        few = x[40_000 : 40_000 + count].copy()
        elementwise.sigmoid(few, few)
        np.testing.assert_array_equal(few, out[40_000 : 40_000 + count])


def test_exponentials_far_out():
    x = np.array([np.nan, -np.inf, np.inf, -1e4, 1e4, -88, 0], np.float32)
    out = np.empty_like(x)
    elementwise.sigmoid(x, out)
    np.testing.assert_array_equal(out, [np.nan, 0, 1, 0, 1, 0, 0.5])
    rows = np.array([[1e4, 0, -np.inf], [-1e4, -1e4, -1e4]], np.float32)
    elementwise.softmax(rows, rows)
    np.testing.assert_allclose(rows, [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)


PASSES = {
    "relu": elementwise.relu,
    "relu_backward": lambda x, out: elementwise.relu_backward(x, x, out),
    "sigmoid": elementwise.sigmoid,
    "softmax": elementwise.softmax,
    "dropout": lambda x, out: elementwise.dropout(x, 1, 0.5, out),
}


@pytest.mark.parametrize("name", PASSES)
def test_what_cannot_be_written_to_is_refused(name):
    x, wide = numbers((4, 6), np.float32), np.zeros((4, 12), np.float32)
    for out, message in (
        (wide[:, ::2], r"out has strides \(48, 8\) and is not C-contiguous"),
        (wide[:3, :6].copy(), r"out has shape \(3, 6\); it must be \(4, 6\)"),
    ):
        with pytest.raises(ValueError, match=f"^{name}: {message}"):
            PASSES[name](x, out)
    assert not wide.any()
    # An input may lie in memory as it likes.
    turned, out = np.asfortranarray(x), np.empty_like(x)
    PASSES[name](turned, out)
    PASSES[name](np.repeat(x[0], 2)[::2], wide[0, :6])
    PASSES[name](x, x)
    np.testing.assert_array_equal(out, x)
    np.testing.assert_array_equal(wide[0, :6], x[0])


@pytest.mark.parametrize("name", PASSES)
def test_other_dtypes_are_refused(name):
    x = numbers((4, 6), np.float32)
    with pytest.raises(TypeError, match=f"^{name}: out has dtype int32; float32"):
        PASSES[name](x, x.astype(np.int32))
    with pytest.raises(TypeError, match=f"^{name}: the input has dtype float16; float32"):
        PASSES[name](x.astype(np.float16), x)
    with pytest.raises(TypeError, match=f"^{name}: out has dtype float64; float32"):
        PASSES[name](x, x.astype(np.float64))


def test_a_backward_pass_of_two_shapes_is_refused():
    x = numbers((4, 6), np.float32)
    with pytest.raises(ValueError, match=r"the input has shape \(2, 6\); it must be \(4, 6\)"):
        elementwise.relu_backward(x, x[:2], x)
