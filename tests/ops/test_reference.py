"""The twins themselves: by hand, by finite differences, and against PyTorch in float64."""

from __future__ import annotations

import numpy as np
import pytest
from finite_differences import numeric_gradient
from hypothesis import given, settings
from oracle import assert_close, conv_cases, pool_cases

from fastconv.ops import reference

POOLS = ["max", "average", "l2"]


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def assert_gradient(function, array, gradient):
    """Compare with central differences, exact but for rounding on what is at most quadratic."""
    np.testing.assert_allclose(gradient, numeric_gradient(function, array, 1e-5), atol=1e-7)


CONVOLUTIONS = [
    {},
    {"strides": (2, 1), "padding": "same"},
    {"padding": ((1, 0), (0, 2)), "dilation_rate": (1, 2)},
    {"groups": 2, "padding": 1, "strides": 2},
]


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_convolution_by_finite_differences(options):
    x, bias = normal(2, 4, 5, 4), normal(2)
    kernel = normal(3, 2, 4 // options.get("groups", 1), 2)
    dy = normal(*reference.conv2d(x, kernel, bias, **options).shape)
    gradients = reference.conv2d_backward(dy, x, kernel, **options)
    for array, gradient in zip((x, kernel, bias), gradients, strict=True):
        assert_gradient(
            lambda: (dy * reference.conv2d(x, kernel, bias, **options)).sum(), array, gradient
        )


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize(
    "options",
    [{}, {"pool_size": 3, "strides": 2, "padding": "same"}, {"padding": ((1, 0), (0, 1))}],
    ids=str,
)
def test_pooling_by_finite_differences(kind, options):
    x = normal(2, 5, 4, 2)
    pool = getattr(reference, f"{kind}_pool2d")
    dy = normal(*pool(x, **options).shape)
    dx = getattr(reference, f"{kind}_pool2d_backward")(dy, x, **options)
    assert_gradient(lambda: (dy * pool(x, **options)).sum(), x, dx)


def test_fused_block_by_finite_differences():
    x, kernel, bias = normal(2, 6, 7, 2), normal(3, 2, 2, 3), normal(3)
    out, argmax = reference.conv_pool(x, kernel, bias, padding="same")
    dy = normal(*out.shape)
    gradients = reference.conv_pool_backward(dy, argmax, x, kernel, padding="same")
    for array, gradient in zip((x, kernel, bias), gradients, strict=True):
        assert_gradient(
            lambda: (dy * reference.conv_pool(x, kernel, bias, padding="same")[0]).sum(),
            array,
            gradient,
        )


def test_fused_block_is_its_parts():
    x, kernel, bias = normal(2, 7, 6, 3), normal(3, 3, 3, 4), normal(4)
    apart = reference.max_pool2d(reference.relu(reference.conv2d(x, kernel, bias)))
    out, argmax = reference.conv_pool(x, kernel, bias)
    np.testing.assert_array_equal(out, apart)
    assert set(np.unique(argmax)) <= {0, 1, 2, 3, reference.INACTIVE}
    np.testing.assert_array_equal(argmax == reference.INACTIVE, out == 0)


def test_dense_by_finite_differences():
    x, kernel, bias = normal(3, 4), normal(4, 2), normal(2)
    dy = normal(3, 2)
    gradients = reference.dense_backward(dy, x, kernel)
    for array, gradient in zip((x, kernel, bias), gradients, strict=True):
        assert_gradient(lambda: (dy * reference.dense(x, kernel, bias)).sum(), array, gradient)


@given(conv_cases())
@settings(max_examples=30)
def test_convolution_against_pytorch(case):
    twins = pytest.importorskip("torch_twins", reason="needs PyTorch")
    case = case._replace(dtype=np.float64)
    x, kernel, bias = (
        case.random(shape, salt)
        for salt, shape in enumerate((case.x, case.window, case.window[3:]))
    )
    y = reference.conv2d(x, kernel, bias, **case.options)
    dy = case.random(y.shape, 3)
    expected, gradients = twins.conv2d(x, kernel, bias, dy, **case.options)
    assert_close(y, expected, usual=10)
    results = reference.conv2d_backward(dy, x, kernel, **case.options)
    for result, wanted in zip(results, gradients, strict=True):
        assert_close(result, wanted, usual=10)


@pytest.mark.parametrize("kind", POOLS)
@given(case=pool_cases())
@settings(max_examples=20)
def test_pooling_against_pytorch(kind, case):
    twins = pytest.importorskip("torch_twins", reason="needs PyTorch")
    x = case._replace(dtype=np.float64).random(case.x)
    y = getattr(reference, f"{kind}_pool2d")(x, **case.options)
    dy = case.random(y.shape, 1)
    expected, (dx,) = twins.pool2d(kind, x, dy, **case.options)
    assert_close(y, expected, usual=1)
    result = getattr(reference, f"{kind}_pool2d_backward")(dy, x, **case.options)
    assert_close(result, dx, usual=1)


def test_fused_block_against_pytorch():
    twins = pytest.importorskip("torch_twins", reason="needs PyTorch")
    x, kernel, bias = normal(2, 9, 10, 3), normal(3, 3, 3, 5), normal(5)
    out, argmax = reference.conv_pool(x, kernel, bias)
    dy = normal(*out.shape)
    expected, gradients = twins.conv_pool(x, kernel, bias, dy)
    assert_close(out, expected)
    results = reference.conv_pool_backward(dy, argmax, x, kernel)
    for result, wanted in zip(results, gradients, strict=True):
        assert_close(result, wanted)


def test_the_rules_for_ties_nan_and_zero_norms():
    x = np.array([[1.0, 1.0], [1.0, 0.0]]).reshape(1, 2, 2, 1)
    one = np.ones((1, 1, 1, 1))
    assert reference.max_pool2d_backward(one, x).ravel().tolist() == [1, 0, 0, 0]
    x[0, 1, 0] = np.nan
    assert np.isnan(reference.max_pool2d(x)).all()
    assert reference.max_pool2d_backward(one, x).ravel().tolist() == [0, 0, 1, 0]
    assert not reference.l2_pool2d_backward(one, np.zeros((1, 2, 2, 1))).any()
    np.testing.assert_array_equal(reference.relu(np.array([np.nan, -1, 2])), [np.nan, 0, 2])


def test_the_chapters_example():
    image, kernel = [[1, 0, 0], [1, 0, 0], [1, 1, 1]], [[1, -1], [1, -1]]
    assert reference.filter2d(image, kernel).tolist() == [[2, 0], [1, 0]]


@pytest.mark.parametrize(
    ("length", "window", "stride", "dilation"),
    [(7, 3, 2, 1), (8, 3, 2, 1), (9, 4, 3, 1), (5, 3, 1, 2), (3, 1, 5, 1), (1, 4, 2, 1)],
)
def test_same_has_as_many_windows_as_strides_in_the_image(length, window, stride, dilation):
    size = reference.output_size((length, length), (window, window), stride, "same", dilation)
    assert size == (-(-length // stride),) * 2
