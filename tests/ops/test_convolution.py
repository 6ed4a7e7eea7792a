"""conv2d and conv2d_backward against their twins and PyTorch, at every edge of the tiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from oracle import LAYOUTS, assert_close, check_linear, conv_cases, laid_out

from fastconv import ops
from fastconv.ops import reference

pytestmark = pytest.mark.usefixtures("algorithms")


def normal(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@given(conv_cases())
@settings(max_examples=60)
def test_output(case):
    x, kernel = case.random(case.x), case.random(case.window, 1)
    check_linear(ops.conv2d, reference.conv2d, [x, kernel], **case.options)


@given(conv_cases())
@settings(max_examples=60)
def test_gradients(case):
    x, kernel = case.random(case.x), case.random(case.window, 1)
    shape = reference.conv2d(x, kernel, **case.options).shape
    arrays = [case.random(shape, 2), x, kernel]
    check_linear(ops.conv2d_backward, reference.conv2d_backward, arrays, **case.options)


@given(conv_cases())
@settings(max_examples=30)
def test_bias(case):
    x, kernel = case.random(case.x), case.random(case.window, 1)
    bias = case.random(case.window[3:], 2)
    before = bias.copy()
    plain = ops.conv2d(x, kernel, **case.options)
    y = ops.conv2d(x, kernel, bias, **case.options)
    expected = plain.astype(np.float64) + bias
    assert_close(y, expected, usual=np.abs(plain).max(initial=0) + np.abs(bias).max())
    np.testing.assert_array_equal(bias, before)


# The chapter's layers at a batch of 2, and shapes of other well-known networks.
NETWORKS = [
    ((2, 100, 100, 3), (3, 3, 3, 32), {}),
    ((2, 49, 49, 32), (3, 3, 32, 32), {}),
    ((2, 23, 23, 64), (3, 3, 64, 128), {}),
    ((1, 28, 28, 1), (5, 5, 1, 6), {"padding": 2}),
    ((1, 64, 64, 3), (7, 7, 3, 64), {"strides": 2, "padding": "same"}),
    ((1, 35, 35, 3), (11, 11, 3, 96), {"strides": 4}),
    ((1, 14, 14, 192), (1, 1, 192, 64), {}),
    ((1, 14, 14, 128), (3, 3, 1, 128), {"padding": "same", "groups": 128}),
    ((1, 15, 15, 96), (3, 3, 1, 96), {"padding": "same", "groups": 96, "strides": 2}),
    ((1, 14, 14, 64), (3, 3, 2, 64), {"padding": 1, "groups": 32}),
    ((1, 1, 1, 512), (1, 1, 512, 300), {}),
    ((3, 1, 40, 5), (1, 9, 5, 20), {"padding": "same"}),
    ((1, 20, 20, 24), (3, 3, 24, 24), {"padding": "same", "dilation_rate": 6}),
    ((2, 9, 9, 300), (3, 3, 300, 5), {"padding": "same"}),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("x_shape", "kernel_shape", "options"), NETWORKS, ids=str)
def test_shapes_of_networks_against_pytorch(x_shape, kernel_shape, options, dtype):
    """The largest value alone is the measure: there are too many sums for chance."""
    torch_conv2d = pytest.importorskip("torch_twins", reason="needs PyTorch").conv2d
    x, kernel = normal(x_shape, dtype), normal(kernel_shape, dtype, 1)
    bias = normal(kernel_shape[3:], dtype, 2)
    y = ops.conv2d(x, kernel, bias, **options)
    dy = normal(y.shape, dtype, 3)
    expected, gradients = torch_conv2d(x, kernel, bias, dy, **options)
    assert_close(y, expected)
    results = ops.conv2d_backward(dy, x, kernel, **options)
    for name, result, wanted in zip(("dx", "dkernel", "dbias"), results, gradients, strict=True):
        assert_close(result, wanted, what=name)


@given(conv_cases())
@settings(max_examples=40)
def test_against_pytorch(case):
    torch_conv2d = pytest.importorskip("torch_twins", reason="needs PyTorch").conv2d
    case = case._replace(dtype=np.float64)
    x, kernel, bias = (
        case.random(case.x),
        case.random(case.window, 1),
        case.random(case.window[3:], 2),
    )
    y = ops.conv2d(x, kernel, bias, **case.options)
    dy = case.random(y.shape, 3)
    expected, gradients = torch_conv2d(x, kernel, bias, dy, **case.options)
    # Up to 5 * 5 * 33 terms of size 1 in a sum that may cancel.
    assert_close(y, expected, usual=10)
    results = ops.conv2d_backward(dy, x, kernel, **case.options)
    for name, result, wanted in zip(("dx", "dkernel", "dbias"), results, gradients, strict=True):
        assert_close(result, wanted, usual=10, what=name)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_does_not_matter(layout):
    x, kernel, dy = normal((2, 7, 6, 5)), normal((3, 2, 5, 9), seed=1), normal((2, 5, 5, 9), seed=2)
    moved = [laid_out(array, layout) for array in (x, kernel, dy)]
    np.testing.assert_array_equal(ops.conv2d(x, kernel), ops.conv2d(*moved[:2]))
    expected = ops.conv2d_backward(dy, x, kernel)
    for actual, wanted in zip(ops.conv2d_backward(moved[2], *moved[:2]), expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)


def test_no_images_give_no_outputs_and_no_gradients():
    kernel = normal((3, 3, 2, 4))
    x = normal((0, 5, 5, 2))
    y = ops.conv2d(x, kernel)
    assert y.shape == (0, 3, 3, 4)
    dx, dkernel, dbias = ops.conv2d_backward(y, x, kernel)
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dkernel, np.zeros(kernel.shape))
    np.testing.assert_array_equal(dbias, np.zeros(4))


def test_nan_reaches_the_windows_that_hold_it_and_no_other():
    x, kernel = normal((2, 6, 6, 3)), normal((3, 2, 3, 5), seed=1)
    x[1, 2, 2, 0] = np.nan
    hit = np.zeros((2, 4, 5), bool)
    hit[1, :3, 1:3] = True
    np.testing.assert_array_equal(np.isnan(ops.conv2d(x, kernel)), np.repeat(hit[..., None], 5, 3))


def test_same_pads_at_the_bottom_and_the_right_first():
    """As TensorFlow does: with an even kernel the first output starts at the first pixel."""
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    kernel = np.ones((2, 2, 1, 1), np.float32)
    y = ops.conv2d(x, kernel, padding="same")[0, :, :, 0]
    assert y.shape == (4, 4)
    assert y[0, 0] == 0 + 1 + 4 + 5 and y[3, 3] == 15
    strided = ops.conv2d(x, np.ones((3, 3, 1, 1), np.float32), strides=2, padding="same")
    np.testing.assert_array_equal(strided[0, :, :, 0], [[45, 39], [66, 50]])


@pytest.mark.parametrize("groups", [1, 100, 200])
@pytest.mark.parametrize("strides", [1 << 24, (1, 1 << 24), (1 << 24, 1)], ids=str)
def test_strides_far_beyond_the_image(groups, strides):
    """Of a single output a stride means nothing, of however many values it is."""
    x, kernel = normal((2, 4, 5, 200)), normal((3, 3, 200 // groups, 200), seed=1)
    near = tuple(
        min(stride, 9) for stride in (strides if type(strides) is tuple else (strides,) * 2)
    )
    y = ops.conv2d(x, kernel, None, strides, 1, 1, groups)
    np.testing.assert_allclose(
        y, ops.conv2d(x, kernel, None, near, 1, 1, groups), rtol=1e-4, atol=1e-4
    )
    results = ops.conv2d_backward(y, x, kernel, strides, 1, 1, groups)
    wanted = reference.conv2d_backward(y, x, kernel, near, 1, 1, groups)
    for result, expected in zip(results, wanted, strict=True):
        assert_close(result, expected, usual=100)


def array(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[1.0]], array(1, 1, 1, 1)), TypeError, "conv2d: x is a list; it must be a NumPy array"),
        ((array(1, 5, 5, 2, dtype=int), array(3, 3, 2, 1)), TypeError, "x has dtype int64.*astype"),
        ((array(1, 5, 5, 2, dtype="f2"), array(3, 3, 2, 1)), TypeError, "dtype float16"),
        ((array(1, 5, 5, 2, dtype=">f4"), array(3, 3, 2, 1)), TypeError, "dtype >f4"),
        (
            (array(1, 5, 5, 2), array(3, 3, 2, 1, dtype="f8")),
            TypeError,
            "differ in dtype .*float64",
        ),
        ((array(5, 5, 2), array(3, 3, 2, 1)), ValueError, r"x has shape \(5, 5, 2\); it must have"),
        (
            (array(1, 5, 5, 2), array(3, 3, 2)),
            ValueError,
            r"kernel has shape .*; it must have",
        ),
        ((array(1, 5, 5, 2), array(3, 3, 3, 1)), ValueError, "takes 3 channels a group.*has 2"),
        ((array(1, 5, 5, 2), array(0, 3, 2, 1)), ValueError, "no size may be 0"),
        (
            (array(1, 3, 3, 32), array(5, 5, 32, 1)),
            ValueError,
            r"kernel \(5, 5\) does not fit the input \(3, 3, 32\) with padding='valid'",
        ),
        (
            (array(1, 5, 5, 2), array(3, 3, 2, 4), array(3)),
            ValueError,
            r"bias has shape \(3,\); it must be \(4,\)",
        ),
        ((array(1, 5, 5, 2), array(3, 3, 2, 4), array(1, 4)), ValueError, "bias has shape"),
    ],
)
def test_mistakes_in_arrays(arguments, error, message):
    with pytest.raises(error, match=message):
        ops.conv2d(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"strides": 0}, ValueError, "strides is 0; it must be at least 1"),
        (
            {"strides": (1, 2, 3)},
            TypeError,
            r"strides is \(1, 2, 3\); it must be a whole number or a",
        ),
        ({"strides": 1.5}, TypeError, "strides is 1.5"),
        ({"strides": True}, TypeError, "strides is True"),
        ({"dilation_rate": (0, 1)}, ValueError, r"dilation_rate is \(0, 1\)"),
        ({"dilation_rate": "2"}, TypeError, "dilation_rate is '2'"),
        ({"dilation_rate": 3}, ValueError, r"does not fit .*dilation_rate=\(3, 3\)"),
        ({"groups": 0}, ValueError, "groups is 0"),
        ({"groups": 1.0}, TypeError, "groups is 1.0"),
        ({"groups": 2}, ValueError, "groups=2 does not divide 3 input channels and 4 filters"),
        ({"padding": "full"}, ValueError, "padding is 'full'; it must be 'valid', 'same'"),
        ({"padding": -1}, ValueError, "padding is -1"),
        ({"padding": (1, 1)}, ValueError, r"padding is \(1, 1\)"),
        ({"padding": ((0, 1), (1, -1))}, ValueError, "padding is"),
        ({"padding": None}, ValueError, "padding is None"),
    ],
    ids=str,
)
def test_mistakes_in_options(options, error, message):
    with pytest.raises(error, match="^conv2d: .*" + message):
        ops.conv2d(array(1, 6, 6, 3), array(3, 3, 3, 4), **options)
    with pytest.raises(error, match="^conv2d_backward: .*" + message):
        ops.conv2d_backward(array(1, 4, 4, 4), array(1, 6, 6, 3), array(3, 3, 3, 4), **options)


@pytest.mark.parametrize(
    ("dy", "error", "message"),
    [
        (array(1, 4, 4, 3), ValueError, r"dy has shape \(1, 4, 4, 3\); it must be \(1, 4, 4, 4\)"),
        (array(4, 4, 4), ValueError, "dy has shape"),
        (array(1, 4, 4, 4, dtype="f8"), TypeError, "differ in dtype .*dy float64"),
        (None, TypeError, "dy is a NoneType"),
    ],
    ids=str,
)
def test_mistakes_in_the_gradient(dy, error, message):
    with pytest.raises(error, match="^conv2d_backward: .*" + message):
        ops.conv2d_backward(dy, array(1, 6, 6, 3), array(3, 3, 3, 4))
