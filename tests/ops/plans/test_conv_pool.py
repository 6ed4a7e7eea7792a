"""ConvPoolPlan against its twin: output, argmax, and gradients through the argmax alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import assert_close, conv_cases

from fastconv.ops import reference
from fastconv.ops.plans import ConvPoolPlan

pytestmark = pytest.mark.usefixtures("algorithms")


def run(plan, x, kernel, bias):
    out = np.full(plan.output_shape, np.nan, x.dtype)
    argmax = np.full(plan.output_shape, 99, np.uint8)
    plan.forward(x, kernel, bias, out, argmax)
    return out, argmax


def gradients(plan, dy, argmax, x, kernel, bias=True):
    dx, dkernel = np.full_like(x, np.nan), np.full_like(kernel, np.nan)
    dbias = np.full(kernel.shape[3], np.nan, x.dtype) if bias else None
    plan.backward(dy, argmax, x, kernel, dx, dkernel, dbias)
    return dx, dkernel, dbias


def check_argmax(out, argmax, x, kernel, bias, options, size):
    """It is a largest pixel up to rounding, and inactive exactly where there is no output."""
    np.testing.assert_array_equal(argmax == reference.INACTIVE, out == 0)
    sums = reference.conv2d(x, kernel, bias, **options)
    rows, columns = 2 * out.shape[1], 2 * out.shape[2]
    pixels = [sums[:, i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1)]
    assert_close(out, np.choose(argmax, [*pixels, np.zeros(out.shape)]), usual=size)


def exact(shape, seed, dtype=np.float32):
    """Return small whole numbers: their sums are exact, so that equal sums are equal."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(dtype)


@given(conv_cases(plain=True), st.sampled_from([0, 0, 9, -9]))
@settings(max_examples=50)
def test_against_the_twin(case, shift):
    """With a bias of 9 nearly all windows are active, with one of -9 inactive."""
    case = case._replace(layout="C")
    x, kernel = case.random(case.x), case.random(case.window, 1)
    bias = case.random(case.window[3:], 2) + case.dtype(shift)
    rows, columns = reference.output_size(
        case.x[1:3], case.window[:2], case.options["strides"], case.options["padding"]
    )
    assume(min(rows, columns) >= 2)
    plan = ConvPoolPlan(case.x, case.window, dtype=case.dtype, **case.options)
    size = np.prod(case.window[:3]) ** 0.5
    kept = [array.copy() for array in (x, kernel, bias)]
    for _ in range(2):
        out, argmax = run(plan, x, kernel, bias)
        expected, _ = reference.conv_pool(x, kernel, bias, **case.options)
        assert_close(out, expected, usual=size)
        check_argmax(out, argmax, x, kernel, bias, case.options, size)
        dy = case.random(out.shape, 3)
        results = gradients(plan, dy, argmax, x, kernel)
        twins = reference.conv_pool_backward(dy, argmax, x, kernel, **case.options)
        usual = (size, out[..., 0].size ** 0.5, out[..., 0].size ** 0.5)
        for result, twin, scale in zip(results, twins, usual, strict=True):
            assert_close(result, twin, usual=scale)
    for array, copy in zip((x, kernel, bias), kept, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape", [(2, 7, 8, 3, 5), (3, 6, 6, 16, 33), (1, 12, 5, 1, 70), (2, 9, 8, 40, 2)], ids=str
)
def test_ties_and_dead_windows(shape, dtype):
    *image, filters = shape
    x, kernel = exact(image, 0, dtype), exact((3, 2, image[3], filters), 1, dtype)
    bias = exact((filters,), 2, dtype)
    # Where all pixels are equal all sums are: the first must win; below 0, none may.
    x[0] = 1
    bias[0] = -100
    plan = ConvPoolPlan(x.shape, kernel.shape, padding="same", dtype=dtype)
    out, argmax = run(plan, x, kernel, bias)
    expected, expected_argmax = reference.conv_pool(x, kernel, bias, padding="same")
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(argmax, expected_argmax)
    assert {0, reference.INACTIVE} < set(argmax.ravel())
    dy = exact(out.shape, 3, dtype)
    results = gradients(plan, dy, argmax, x, kernel)
    twins = reference.conv_pool_backward(dy, argmax, x, kernel, padding="same")
    for result, twin in zip(results, twins, strict=True):
        np.testing.assert_array_equal(result, twin)


@pytest.mark.parametrize(
    ("channels", "filters", "wanted"),
    [(40, 2, True), (96, 2, True), (2, 2, False), (40, 33, False)],
)
def test_few_filters_of_many_channels_are_dot_products(channels, filters, wanted):
    plan = ConvPoolPlan((2, 9, 8, channels), (5, 5, channels, filters), padding="same")
    assert (plan.describe()["output"]["algorithm"] == "dot_products") == wanted


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_windows_and_filters(channels, padding, dtype):
    """More than one word of windows and of filters; one image, so that dx is scheme into strips."""
    x, kernel = exact((1, 45, 38, channels), 0, dtype), exact((3, 3, channels, 70), 1, dtype)
    plan = ConvPoolPlan(x.shape, kernel.shape, padding=padding, dtype=dtype)
    out, argmax = run(plan, x, kernel, None)
    dy = exact(out.shape, 3, dtype)
    dy[..., ::3] = 0  # as behind a dropout
    results = gradients(plan, dy, argmax, x, kernel)
    twins = reference.conv_pool_backward(dy, argmax, x, kernel, padding=padding)
    for result, twin in zip(results, twins, strict=True):
        np.testing.assert_array_equal(result, twin)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("channels", [8, 16, 32, 48, 64, 80])
@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (1, 3), (2, 5), (3, 2)], ids=str)
def test_input_gradients_that_roll(kernel, channels, padding):
    """Pixels of whole vectors: each way through the registers, whole images and strips of one."""
    kernel = exact((*kernel, channels, 70), 1)
    for images in (1, 9):
        x = exact((images, 21, 19, channels), 0)
        plan = ConvPoolPlan(x.shape, kernel.shape, padding=padding)
        out, argmax = run(plan, x, kernel, None)
        dy = exact(out.shape, 3)
        dx, _, _ = gradients(plan, dy, argmax, x, kernel)
        twin, _, _ = reference.conv_pool_backward(dy, argmax, x, kernel, padding=padding)
        np.testing.assert_array_equal(dx, twin)


@pytest.mark.parametrize("filters", [16, 40, 70])
@pytest.mark.parametrize("channels", [7, 16, 32, 64])
def test_the_same_bits_with_any_number_of_threads(channels, filters, threads):
    """Of one image, whose rows are dealt out, and of some."""
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((3, 3, channels, filters), np.float32)
    for images in (1, 5):
        x = rng.standard_normal((images, 45, 38, channels), np.float32)
        results = []
        for count in (1, 2, 5):
            threads(count)
            plan = ConvPoolPlan(x.shape, kernel.shape)
            out, argmax = run(plan, x, kernel, None)
            results.append(gradients(plan, np.cos(out), argmax, x, kernel))
        for result in results[1:]:
            for gradient, other in zip(results[0], result, strict=True):
                np.testing.assert_array_equal(gradient, other)


def test_a_sum_of_0_is_dead():
    x, kernel = np.zeros((1, 4, 4, 2), np.float32), np.ones((1, 1, 2, 3), np.float32)
    plan = ConvPoolPlan(x.shape, kernel.shape)
    out, argmax = run(plan, x, kernel, None)
    assert not out.any() and (argmax == reference.INACTIVE).all()
    for result in gradients(plan, np.ones_like(out), argmax, x, kernel):
        assert not result.any()


def test_nan_comes_out():
    x, kernel = exact((2, 8, 8, 3), 0), exact((3, 3, 3, 20), 1)
    x[1, 3, 3, 1] = np.nan
    out, _ = run(ConvPoolPlan(x.shape, kernel.shape), x, kernel, None)
    hit = np.zeros((2, 3, 3), bool)
    hit[1, :2, :2] = True
    np.testing.assert_array_equal(np.isnan(out), np.repeat(hit[..., None], 20, 3))


def test_what_is_not_asked_for_is_left_out():
    x, kernel = exact((2, 7, 7, 3), 0), exact((3, 3, 3, 8), 1)
    plan = ConvPoolPlan(x.shape, kernel.shape)
    out, argmax = run(plan, x, kernel, None)
    alone = np.empty_like(out)
    plan.forward(x, kernel, None, alone, None)
    np.testing.assert_array_equal(alone, out)
    dy = exact(out.shape, 2)
    _, expected, _ = gradients(plan, dy, argmax, x, kernel)
    dkernel = np.full_like(kernel, np.nan)
    plan.backward(dy, argmax, x, kernel, None, dkernel, None)
    np.testing.assert_array_equal(dkernel, expected)


def test_no_images():
    x, kernel = np.empty((0, 6, 6, 3), np.float32), exact((3, 3, 3, 8), 1)
    plan = ConvPoolPlan(x.shape, kernel.shape)
    out, argmax = run(plan, x, kernel, None)
    assert out.shape == (0, 2, 2, 8)
    _, dkernel, dbias = gradients(plan, out, argmax, x, kernel)
    assert not dkernel.any() and not dbias.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("x", "kernel"),
    [
        ((2, 100, 100, 3), (3, 3, 3, 32)),
        ((2, 49, 49, 32), (3, 3, 32, 64)),
        ((3, 23, 23, 64), (3, 3, 64, 128)),
    ],
    ids=str,
)
def test_the_chapters_layers_against_pytorch(x, kernel, dtype):
    twins = pytest.importorskip("torch_twins", reason="needs PyTorch")
    rng = np.random.default_rng(0)
    x, kernel, bias = (
        rng.standard_normal(shape).astype(dtype) for shape in (x, kernel, kernel[3:])
    )
    plan = ConvPoolPlan(x.shape, kernel.shape, dtype=dtype)
    out, argmax = run(plan, x, kernel, bias)
    dy = rng.standard_normal(out.shape).astype(dtype)
    expected, expected_gradients = twins.conv_pool(x, kernel, bias, dy)
    assert_close(out, expected)
    if dtype == np.float64:
        results = gradients(plan, dy, argmax, x, kernel)
        for name, result, wanted in zip("xkb", results, expected_gradients, strict=True):
            assert_close(result, wanted, what=name)


@pytest.mark.parametrize(
    ("kernel", "options", "message"),
    [
        ((3, 3, 2, 4), {}, r"its output \(1, 1\) is too small for 2x2 pooling"),
        ((4, 4, 2, 4), {}, r"kernel \(4, 4\) does not fit the input \(3, 3, 2\)"),
        ((2, 2, 3, 4), {}, "takes 3 channels a group"),
    ],
)
def test_mistakes(kernel, options, message):
    with pytest.raises(ValueError, match="^Conv2D 'c': .*" + message):
        ConvPoolPlan((1, 3, 3, 2), kernel, owner="Conv2D 'c'", **options)
