"""DensePlan against its twin: vectors, tails of vectors, and long sums in parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import assert_close

from fastconv import reference
from fastconv.ops.plans import DensePlan

sizes = {
    "batch": st.sampled_from([1, 2, 3, 5, 12, 13, 32]),
    "inputs": st.sampled_from([1, 2, 7, 95, 96, 97, 384, 767, 768, 1500]),
    "outputs": st.sampled_from([1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 100]),
    "dtype": st.sampled_from([np.float32, np.float64]),
    "bias": st.booleans(),
    "seed": st.integers(0, 2**16),
}


def arrays(dtype, seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def check(batch, inputs, outputs, dtype, bias, seed):
    x, kernel, b, dy = arrays(
        dtype, seed, (batch, inputs), (inputs, outputs), (outputs,), (batch, outputs)
    )
    plan = DensePlan(batch, inputs, outputs, dtype=dtype)
    assert plan.output_shape == (batch, outputs)
    kept = [array.copy() for array in (x, kernel, b, dy)]
    for _ in range(2):
        out, dx, dkernel = (np.full_like(array, np.nan) for array in (dy, x, kernel))
        dbias = np.full_like(b, np.nan) if bias else None
        plan.forward(x, kernel, b if bias else None, out)
        plan.backward(dy, x, kernel, dx, dkernel, dbias)
    assert_close(out, reference.dense(x, kernel, b if bias else None), usual=inputs**0.5)
    expected = reference.dense_backward(dy, x, kernel)
    assert_close(dx, expected[0], usual=outputs**0.5, what="dx")
    assert_close(dkernel, expected[1], usual=batch**0.5, what="dkernel")
    if bias:
        assert_close(dbias, expected[2], usual=batch**0.5, what="dbias")
    for array, copy in zip((x, kernel, b, dy), kept, strict=True):
        np.testing.assert_array_equal(array, copy)


@given(**sizes)
@settings(max_examples=50)
def test_against_the_twin(batch, inputs, outputs, dtype, bias, seed):
    check(batch, inputs, outputs, dtype, bias, seed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(32, 76832, 1), (32, 12800, 512), (4, 9216, 10)], ids=str)
def test_the_chapters_layers(shape, dtype):
    if dtype == np.float64 and shape[2] == 512:
        shape = (8, 12800, 130)
    check(*shape, dtype, True, 0)


@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 4, 0)])
def test_nothing(shape):
    batch, inputs, outputs = shape
    x, kernel, b, dy = arrays(
        np.float32, 0, (batch, inputs), (inputs, outputs), (outputs,), (batch, outputs)
    )
    dx, dkernel, dbias = (np.full_like(array, np.nan) for array in (x, kernel, b))
    plan = DensePlan(*shape)
    plan.forward(x, kernel, b, dy)
    plan.backward(dy, x, kernel, dx, dkernel, dbias)
    for gradient in (dx, dkernel, dbias):
        np.testing.assert_array_equal(gradient, np.zeros(gradient.shape))


def test_the_inputs_gradient_may_be_left_out():
    x, kernel, dy = arrays(np.float32, 0, (5, 20), (20, 18), (5, 18))
    plan = DensePlan(5, 20, 18)
    with_dx, without = np.empty_like(kernel), np.empty_like(kernel)
    plan.backward(dy, x, kernel, np.empty_like(x), with_dx, None)
    plan.backward(dy, x, kernel, None, without, None)
    np.testing.assert_array_equal(with_dx, without)


def test_nan_stays_in_its_sample():
    x, kernel = arrays(np.float32, 0, (13, 40), (40, 17))
    x[5, 3] = np.nan
    out = np.empty((13, 17), np.float32)
    DensePlan(13, 40, 17).forward(x, kernel, None, out)
    np.testing.assert_array_equal(np.isnan(out).all(axis=1), np.arange(13) == 5)
    assert not np.isnan(np.delete(out, 5, axis=0)).any()
