"""A convolution with the batch normalization behind it as one convolution."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import assert_close

from fastconv import layers, ops
from fastconv.ops.plans import fold


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def statistics(filters):
    """Return mean, variance, gamma, beta."""
    mean, gamma, beta = normal(3, filters, seed=1)
    return mean, np.abs(normal(filters, seed=2)) + 0.1, gamma, beta


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
def test_is_the_convolution_and_the_normalization(with_bias, center, scale):
    x, kernel = normal(2, 7, 6, 5), normal(3, 3, 5, 9, seed=3)
    bias = normal(9, seed=4) if with_bias else None
    mean, variance, gamma, beta = statistics(9)
    gamma, beta = gamma if scale else None, beta if center else None
    folded = fold(kernel, bias, mean, variance, gamma, beta, 1e-3)
    assert all(array.dtype == np.float32 for array in folded)
    y = ops.reference.conv2d(x, kernel, bias)
    expected = (y - mean) / np.sqrt(variance + 1e-3)
    expected = expected * (1 if gamma is None else gamma) + (0 if beta is None else beta)
    assert_close(ops.conv2d(x, *folded), expected, usual=10)


def test_is_rounded_once():
    kernel, bias = normal(3, 3, 2, 4), normal(4)
    mean, variance, gamma, beta = statistics(4)
    exact = fold(kernel.astype("f8"), bias, mean, variance, gamma, beta, 1e-3)
    assert exact[0].dtype == np.float64
    rounded = fold(kernel, bias, mean, variance, gamma, beta, 1e-3)
    for found, wanted in zip(rounded, exact, strict=True):
        np.testing.assert_array_equal(found, wanted.astype(np.float32))


def test_arguments_stay_as_they_are():
    arguments = [normal(3, 3, 2, 4), normal(4), *statistics(4)]
    before = [array.copy() for array in arguments]
    fold(*arguments, 1e-3)
    for array, kept in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_of_a_transposed_and_of_a_depthwise_convolution():
    x = normal(1, 5, 4, 3)
    mean, variance, gamma, beta = statistics(6)
    layer = layers.BatchNormalization()
    layer.build((None, None, None, 6))
    layer.set_weights([gamma, beta, mean, variance])
    kernel = normal(3, 2, 6, 3)
    y = ops.conv2d_transpose(x, kernel, strides=2)
    folded = fold(kernel, None, mean, variance, gamma, beta, layer.epsilon, axis=2)
    assert_close(ops.conv2d_transpose(x, *folded, strides=2), layer(y), usual=10)
    kernel = normal(3, 2, 3, 2).reshape(3, 2, 1, 6)
    y = ops.conv2d(x, kernel, groups=3)
    folded = fold(kernel, None, mean, variance, gamma, beta, layer.epsilon)
    assert_close(ops.conv2d(x, *folded, groups=3), layer(y), usual=10)
