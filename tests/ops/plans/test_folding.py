"""Normalization folded into a convolution: the results of both layers to rounding."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import assert_close

from fastconv import ops
from fastconv.ops.plans import fold


@pytest.mark.parametrize("with_bias", [True, False])
def test_is_the_convolution_and_the_normalization(with_bias):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 9, 8, 3)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 3, 5)).astype(np.float32)
    bias = rng.normal(size=5).astype(np.float32) if with_bias else None
    mean, scale, shift = rng.normal(size=(3, 5))
    kept = kernel.copy()
    out = np.empty_like(kernel)
    folded, folded_bias = fold(kernel, bias, (mean, scale, shift), out)
    assert folded is out and np.array_equal(kernel, kept) and folded_bias.dtype == np.float32
    expected = (ops.conv2d(x.astype("f8"), kernel.astype("f8")) - mean) * scale + shift
    if bias is not None:
        expected += bias * scale
    assert_close(ops.conv2d(x, folded, folded_bias), expected)
