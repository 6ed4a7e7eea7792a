"""conv2d_transpose and its gradients against their twins, finite differences, Keras and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_reference import import_keras, keras_test
from oracle import LAYOUTS, Case, assert_close, check_linear, laid_out

from fastconv import ops
from fastconv._core import runtime
from fastconv.ops import reference
from fastconv.ops.plans import Conv2DTransposePlan

SIDE = st.integers(1, 6)


@st.composite
def cases(draw, **fixed) -> Case:
    """Draw a transposed convolution that has an output."""
    groups = draw(st.sampled_from([1, 1, 2, 8]))
    channels = groups * draw(st.sampled_from([1, 2, 5, 17] if groups < 8 else [1, 2]))
    filters = draw(st.sampled_from([1, 3, 16, 33] if groups < 8 else [1, 2]))
    size = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    cut = [(0, 0) if n < 3 else draw(st.sampled_from([(0, 0), (1, 1), (0, 1)])) for n in size]
    options = {
        "strides": strides,
        "padding": draw(st.sampled_from(["valid", "same", tuple(cut)])),
        "output_padding": draw(st.none() | st.tuples(*(st.integers(0, s - 1) for s in strides))),
        "dilation_rate": draw(st.sampled_from([1, 1, 2, (1, 3)])),
        "groups": groups,
    }
    if options["padding"] == "same" and options["output_padding"]:
        size = tuple(n | 1 for n in size)  # of an even kernel nothing may be left of one pixel
    shape = (draw(st.sampled_from([0, 1, 2, 5])), draw(SIDE), draw(SIDE), channels)
    looks = {
        "dtype": draw(st.sampled_from([np.float32, np.float64])),
        "layout": draw(st.sampled_from(LAYOUTS)),
        "seed": draw(st.integers(0, 999)),
    }
    return Case(shape, (*size, filters, channels), options, **{**looks, **fixed})


@given(cases())
@settings(max_examples=60)
def test_output(case):
    x, kernel = case.random(case.x), case.random(case.window, 1)
    check_linear(ops.conv2d_transpose, reference.conv2d_transpose, [x, kernel], **case.options)
    bias = case.random((case.window[2] * case.options["groups"],), 2)
    y = ops.conv2d_transpose(x, kernel, bias, **case.options)
    plain = reference.conv2d_transpose(x, kernel, **case.options)
    assert_close(y, plain + bias, usual=np.abs(plain).max(initial=0) + np.abs(bias).max())


@given(cases())
@settings(max_examples=60)
def test_gradients(case):
    x, kernel = case.random(case.x), case.random(case.window, 1)
    shape = reference.conv2d_transpose(x, kernel, **case.options).shape
    arrays = [case.random(shape, 2), x, kernel]
    check_linear(
        ops.conv2d_transpose_backward,
        reference.conv2d_transpose_backward,
        arrays,
        **case.options,
    )


@given(cases(dtype=np.float64))
@settings(max_examples=40)
def test_is_the_gradient_of_the_convolution_that_leads_back(case):
    """<conv2d_transpose(x), z> is <x, conv2d(z)>, whatever x and z are."""
    strides, padding = case.options["strides"], case.options["padding"]
    if case.options["output_padding"] is not None or padding == "valid":
        return
    x, kernel = case.random(case.x), case.random(case.window, 1)
    y = ops.conv2d_transpose(x, kernel, **case.options)
    z = case.random(y.shape, 2)
    options = {name: case.options[name] for name in ("dilation_rate", "groups")}
    back = ops.conv2d(z, kernel, None, strides, padding, **options)
    assert back.shape == x.shape
    np.testing.assert_allclose((y * z).sum(), (x * back).sum(), rtol=1e-9, atol=1e-9)


def test_gradients_by_finite_differences():
    rng = np.random.default_rng(0)
    x, kernel, bias = (rng.standard_normal(shape) for shape in ((2, 3, 4, 3), (3, 2, 2, 3), (2,)))
    options = {"strides": (2, 3), "padding": "same", "output_padding": (1, 2)}
    dy = rng.standard_normal(ops.conv2d_transpose(x, kernel, bias, **options).shape)
    gradients = ops.conv2d_transpose_backward(dy, x, kernel, **options)
    for array, gradient in zip((x, kernel, bias), gradients, strict=True):
        for index in np.ndindex(array.shape):
            kept, sums = array[index], []
            for step in (1e-3, -1e-3):
                array[index] = kept + step
                sums.append((dy * ops.conv2d_transpose(x, kernel, bias, **options)).sum())
            array[index] = kept
            assert gradient[index] == pytest.approx((sums[0] - sums[1]) / 2e-3, abs=1e-8)


@given(cases(dtype=np.float64))
@settings(max_examples=30)
def test_against_pytorch(case):
    torch = pytest.importorskip("torch")
    options, groups = case.options, case.options["groups"]
    if isinstance(options["padding"], str):
        options = {**options, "padding": ((1, 1), (0, 0)) if case.window[0] > 2 else 0}
    (top, bottom), (left, right) = options["padding"] or ((0, 0), (0, 0))
    if (top, left) != (bottom, right):
        return
    x, kernel = case.random(case.x), case.random(case.window, 1)
    y = ops.conv2d_transpose(x, kernel, **options)
    # PyTorch's weights are (channels, filters / groups, ...).
    expected = torch.conv_transpose2d(
        torch.tensor(np.array(x)).permute(0, 3, 1, 2),
        torch.tensor(np.array(kernel)).permute(3, 2, 0, 1).contiguous(),
        stride=options["strides"],
        padding=(top, left),
        output_padding=options["output_padding"] or 0,
        dilation=options["dilation_rate"],
        groups=groups,
    )
    assert_close(y, expected.permute(0, 2, 3, 1).numpy(), usual=10)


@keras_test
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("output_padding", [None, 0, 1])
@pytest.mark.parametrize(("size", "stride"), [(1, 2), (2, 2), (3, 2), (4, 3), (5, 2), (2, 3)])
def test_sizes_and_values_are_those_of_keras(padding, output_padding, size, stride):
    keras = import_keras()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, 3, 3)).astype(np.float32)
    kernel = rng.standard_normal((size, size, 2, 3)).astype(np.float32)
    options = {"strides": stride, "padding": padding, "output_padding": output_padding}
    theirs = keras.ops.conv_transpose(x, kernel, data_format="channels_last", **options)
    expected = keras.ops.convert_to_numpy(theirs)
    assert_close(ops.conv2d_transpose(x, kernel, **options), expected, usual=1.0)


@keras_test
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("output_padding", [None, 0, 1])
def test_output_shapes_are_those_of_keras(padding, output_padding):
    keras = import_keras()
    for size, stride, length, dilation in np.ndindex(7, 4, 4, 3):
        size, stride, length, dilation = size + 1, stride + 1, length + 1, dilation + 1
        if (stride > 1 and dilation > 1) or (output_padding or 0) >= stride:
            continue
        geometry = {"padding": padding, "output_padding": output_padding}
        geometry |= {"strides": stride, "dilation_rate": dilation}
        theirs = keras.layers.Conv2DTranspose(2, size, **geometry)
        expected = theirs.compute_output_shape((1, length, length, 3))
        if expected[1] < 1:
            continue
        plan = Conv2DTransposePlan((1, length, length, 3), (size, size, 2, 3), **geometry)
        assert plan.output_shape == tuple(expected)


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_the_same_bits_with_any_number_of_threads(size, groups):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 17, 13, 8)).astype(np.float32)
    kernel = rng.standard_normal((size, size, 12 // groups, 8)).astype(np.float32)
    bias = rng.standard_normal(12).astype(np.float32)
    before, found = runtime.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 7):
            runtime.set_num_threads(threads)
            y = ops.conv2d_transpose(x, kernel, bias, 2, "same", groups=groups)
            found.append(
                (y, *ops.conv2d_transpose_backward(y, x, kernel, 2, "same", groups=groups))
            )
    finally:
        runtime.set_num_threads(before)
    for results in found[1:]:
        for result, first in zip(results, found[0], strict=True):
            np.testing.assert_array_equal(result, first)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_does_not_matter(layout):
    rng = np.random.default_rng(0)
    x, kernel = (rng.standard_normal(s).astype(np.float32) for s in ((2, 4, 5, 3), (3, 3, 7, 3)))
    y = ops.conv2d_transpose(x, kernel, strides=2)
    np.testing.assert_array_equal(
        ops.conv2d_transpose(laid_out(x, layout), laid_out(kernel, layout), strides=2), y
    )


@given(cases(layout="C"))
@settings(max_examples=60)
def test_clipped(case):
    """It is clipped where the sums are made, or by a pass: the same bits."""
    x, kernel = (np.array(case.random(shape, n)) for n, shape in enumerate((case.x, case.window)))
    bias = np.array(case.random((case.window[2] * case.options["groups"],), 2))
    plain, clipped = (
        Conv2DTransposePlan(case.x, case.window, limit=limit, dtype=case.dtype, **case.options)
        for limit in (0.0, 1.5)
    )
    for one in (bias, None):
        y, z = np.full((2, *plain.output_shape), np.nan, case.dtype)
        plain.forward(x, kernel, one, y)
        clipped.forward(x, kernel, one, z)
        np.testing.assert_array_equal(z, np.clip(y, 0, 1.5))


def test_what_no_tap_reaches_is_the_bias():
    x, kernel = np.ones((1, 2, 2, 1), np.float32), np.full((1, 1, 2, 1), 3, np.float32)
    y = ops.conv2d_transpose(x, kernel, np.array([10, 20], np.float32), strides=3)
    expected = np.full((6, 6), 10)
    expected[::3, ::3] = 13
    np.testing.assert_array_equal(y[0, :, :, 0], expected)
    np.testing.assert_array_equal(y[0, :, :, 1], expected + 10)


def test_describe_tells_its_own_directions():
    plan = Conv2DTransposePlan((1, 8, 8, 4), (3, 3, 4, 4), strides=2)
    assert set(plan.describe()) == {"output", "input_gradient", "kernel_gradient"}


def image(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


@pytest.mark.parametrize(
    ("kernel", "options", "error", "message"),
    [
        (image(3, 3, 4, 2), {}, ValueError, r"kernel \(3, 3, 4, 2\) takes 2 channels, but.* has 3"),
        (image(3, 0, 4, 3), {}, ValueError, "no size may be 0"),
        (image(3, 3, 4, 3, dtype="f8"), {}, TypeError, "differ in dtype"),
        (image(3, 3, 4, 3), {"strides": 0}, ValueError, "strides is 0"),
        (image(3, 3, 4, 3), {"groups": 2}, ValueError, "groups=2 does not divide 3"),
        (image(3, 3, 4, 3), {"groups": True}, TypeError, "groups is True"),
        (image(3, 3, 4, 3), {"padding": 9}, ValueError, "padding=9 leaves nothing of the output"),
        (image(3, 3, 4, 3), {"padding": "full"}, ValueError, "padding is 'full'"),
        (image(3, 3, 4, 3), {"output_padding": 1}, ValueError, r"output_padding is 1.*below strid"),
        (image(3, 3, 4, 3), {"output_padding": -1}, ValueError, "output_padding is -1"),
        (image(3, 3, 4, 3), {"output_padding": "a"}, TypeError, "output_padding is 'a'"),
        (image(3, 3, 4, 3), {"strides": 1 << 23}, ValueError, "make an output of"),
    ],
)
def test_mistakes(kernel, options, error, message):
    x = image(1, 5, 5, 3)
    with pytest.raises(error, match=f"^conv2d_transpose: .*{message}"):
        ops.conv2d_transpose(x, kernel, **options)
    with pytest.raises(error, match=f"^conv2d_transpose_backward: .*{message}"):
        ops.conv2d_transpose_backward(image(1, 7, 7, 4), x, kernel, **options)
    with pytest.raises(ValueError, match=r"conv2d_transpose: the input \(0, 5, 3\) has no pixels"):
        ops.conv2d_transpose(image(1, 0, 5, 3), image(3, 3, 4, 3))
