"""Max, average and L2 pooling and their gradients against their twins and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from oracle import LAYOUTS, assert_close, check_linear, laid_out, pool_cases

from fastconv import ops
from fastconv.ops import reference
from fastconv.ops.plans import Pool2DPlan

KINDS = ["max", "average", "l2"]
each_kind = pytest.mark.parametrize("kind", KINDS)


def forward(kind, module=ops):
    return getattr(module, f"{kind}_pool2d")


def backward(kind, module=ops):
    return getattr(module, f"{kind}_pool2d_backward")


@each_kind
@given(case=pool_cases())
@settings(max_examples=50)
def test_against_the_twin(kind, case):
    x = case.random(case.x)
    kept = x.copy()
    y = forward(kind)(x, **case.options)
    assert y.dtype == x.dtype and y.flags.c_contiguous
    expected = forward(kind, reference)(x, **case.options)
    # A mean may cancel; the numbers it is made of have size 1.
    assert_close(y, expected, usual=0.0 if kind == "max" else 1.0)
    if kind == "max":
        np.testing.assert_array_equal(y, expected)
    dy = case.random(y.shape, 1)
    kept_dy = dy.copy()
    dx = backward(kind)(dy, x, **case.options)
    assert dx.dtype == x.dtype and dx.flags.c_contiguous
    assert_close(dx, backward(kind, reference)(dy, x, **case.options), usual=1.0)
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(dy, kept_dy)


@given(case=pool_cases())
@settings(max_examples=30)
def test_average_gradient_is_linear(case):
    x = case.random(case.x)
    dy = case.random(forward("average")(x, **case.options).shape, 1)
    check_linear(
        lambda dy: ops.average_pool2d_backward(dy, x, **case.options),
        lambda dy: reference.average_pool2d_backward(dy, x, **case.options),
        [dy],
    )


@given(case=pool_cases())
@settings(max_examples=40)
def test_ties_go_to_the_first(case):
    """Three different numbers only, zeros of both signs among them."""
    x = np.random.default_rng(case.seed).choice([-1.0, -0.0, 0.0, 1.0], case.x).astype(case.dtype)
    y = ops.max_pool2d(x, **case.options)
    dy = case.random(y.shape, 1)
    dx = ops.max_pool2d_backward(dy, x, **case.options)
    assert_close(dx, reference.max_pool2d_backward(dy, x, **case.options), usual=1.0)


def test_a_tie_by_hand():
    x = np.zeros((1, 4, 4, 1), np.float32)
    x[0, 1, 0] = x[0, 0, 3] = x[0, 1, 2] = 2
    dy = np.array([[1, 2], [3, 4]], np.float32).reshape(1, 2, 2, 1)
    dx = ops.max_pool2d_backward(dy, x)[0, :, :, 0]
    np.testing.assert_array_equal(dx, [[0, 0, 0, 2], [1, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]])


@each_kind
@given(case=pool_cases())
@settings(max_examples=30)
def test_nan_comes_out_of_every_window_that_holds_it(kind, case):
    rng = np.random.default_rng(case.seed)
    x = case.random(case.x).copy()
    x[rng.random(case.x) < 0.1] = np.nan
    y = forward(kind)(x, **case.options)
    expected = forward(kind, reference)(x, **case.options)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(expected))
    if kind == "max":
        dy = case.random(y.shape, 1)
        dx = ops.max_pool2d_backward(dy, x, **case.options)
        assert_close(dx, reference.max_pool2d_backward(dy, x, **case.options), usual=1.0)


def test_infinities():
    x = np.array([-np.inf, -np.inf, 1, np.inf], np.float32).reshape(1, 1, 4, 1)
    np.testing.assert_array_equal(ops.max_pool2d(x, (1, 2))[0, 0, :, 0], [-np.inf, np.inf])
    dx = ops.max_pool2d_backward(np.ones((1, 1, 2, 1), np.float32), x, (1, 2))
    np.testing.assert_array_equal(dx[0, 0, :, 0], [1, 0, 0, 1])


def test_padding_is_never_the_largest_and_never_counted():
    x = np.full((1, 3, 3, 1), -2, np.float32)
    for padding in ("same", 1, ((1, 0), (0, 1))):
        for kind, value in (("max", -2), ("average", -2)):
            y = forward(kind)(x, 2, 2, padding)
            np.testing.assert_array_equal(y, np.full(y.shape, value))
    corner = ops.l2_pool2d(x, 2, 2, 1)[0, :, :, 0]
    np.testing.assert_allclose(corner, [[2, 8**0.5], [8**0.5, 4]], rtol=1e-6)


def scales(dtype):
    """Small and large numbers whose means have all their bits."""
    info = np.finfo(dtype)
    return [info.tiny * 2**20, info.tiny**0.6, 1, info.max**0.6, info.max / 64]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3, 16, 70])
@pytest.mark.parametrize("size", [2, 3, 5])
def test_means_and_norms_of_very_large_and_very_small_numbers(size, channels, dtype):
    """Sums and squares may leave the range of the type, where what comes out of them does not."""
    numbers = np.random.default_rng(0).uniform(0.5, 1, (2, 11, 10, channels)).astype(dtype)
    numbers[:, ::3] = 0
    numbers[:, :, ::4] *= -1
    dy = np.ones(ops.l2_pool2d(numbers, size, 2).shape, dtype)
    for scale in scales(dtype):
        x = (numbers * dtype(scale)).astype(dtype)
        for kind in ("average", "l2"):
            y, expected = (forward(kind)(a, size, 2) for a in (x, numbers))
            np.testing.assert_allclose(y / dtype(scale), expected, rtol=1e-5, atol=1e-6)
            dx, wanted = (backward(kind)(dy, a, size, 2) for a in (x, numbers))
            np.testing.assert_allclose(dx, wanted, rtol=1e-5, atol=1e-6)
    # Neighbours of all sizes: each window is scaled by its own largest.
    x = numbers * np.resize(np.array(scales(dtype), dtype), x.shape[1:])
    wide = np.lib.stride_tricks.sliding_window_view(x.astype(np.longdouble), (size, size), (1, 2))
    exact = np.sqrt((wide**2).sum((-1, -2)))
    np.testing.assert_allclose(ops.l2_pool2d(x, size, 1), exact.astype(dtype), rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_numbers_by_hand(dtype):
    largest = np.finfo(dtype).max
    x = np.full((1, 2, 2, 1), largest, dtype)
    assert ops.average_pool2d(x) == largest
    assert ops.l2_pool2d(x / 2) == largest and ops.l2_pool2d(x) == np.inf
    x[0, 0, 1] = -np.inf
    assert ops.l2_pool2d(x) == np.inf and ops.average_pool2d(x) == -np.inf
    dy, half = np.full((1, 1, 1, 1), 1e-3, dtype), np.full((1, 2, 2, 1), largest / 2, dtype)
    np.testing.assert_allclose(ops.l2_pool2d_backward(dy, half), 5e-4, rtol=1e-5)
    tiny = np.full((1, 2, 2, 1), np.finfo(dtype).tiny, dtype)
    np.testing.assert_allclose(ops.l2_pool2d_backward(dy * 1e6, tiny), 500, rtol=1e-5)


def test_windows_of_more_places_than_an_int_has_numbers():
    """They are far larger than the image, whose pixels alone count."""
    x = np.arange(12, dtype=np.float32).reshape(1, 3, 4, 1)
    options = {"pool_size": 200_000, "strides": 200_000, "padding": 199_999}
    dy = np.ones((1, 2, 2, 1), np.float32)
    for kind, corners in (("max", [0, 3, 8, 11]), ("average", [0, 2, 6, 8])):
        np.testing.assert_array_equal(forward(kind)(x, **options).ravel(), corners)
        assert backward(kind)(dy, x, **options).sum() == 4
    norms = [
        np.linalg.norm(part) for part in (x[:, :1, :1], x[:, :1, 1:], x[:, 1:, :1], x[:, 1:, 1:])
    ]
    np.testing.assert_allclose(ops.l2_pool2d(x, **options).ravel(), norms, rtol=1e-6)


def test_gradient_is_0_where_the_norm_is():
    x = np.zeros((1, 4, 4, 3), np.float32)
    x[0, 0, 0, 0] = 3
    x[0, 1, 1, 0] = 4
    dx = ops.l2_pool2d_backward(np.full((1, 2, 2, 3), 10, np.float32), x)
    expected = np.zeros_like(x)
    expected[0, 0, 0, 0], expected[0, 1, 1, 0] = 6, 8
    np.testing.assert_allclose(dx, expected, rtol=1e-6)


@each_kind
@given(case=pool_cases())
@settings(max_examples=30)
def test_against_pytorch(kind, case):
    torch_pool2d = pytest.importorskip("torch_twins", reason="needs PyTorch").pool2d
    case = case._replace(dtype=np.float64)
    x = case.random(case.x)
    y = forward(kind)(x, **case.options)
    dy = case.random(y.shape, 1)
    expected, (dx,) = torch_pool2d(kind, x, dy, **case.options)
    assert_close(y, expected, usual=1.0)
    assert_close(backward(kind)(dy, x, **case.options), dx, usual=1.0)


@each_kind
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_does_not_matter(kind, layout):
    x = np.random.default_rng(0).standard_normal((2, 6, 5, 3)).astype(np.float32)
    y = forward(kind)(x)
    np.testing.assert_array_equal(forward(kind)(laid_out(x, layout)), y)
    np.testing.assert_array_equal(
        backward(kind)(laid_out(y, layout), laid_out(x, layout)), backward(kind)(y, x)
    )


@each_kind
@pytest.mark.parametrize("shape", [(0, 4, 4, 3), (2, 4, 4, 0)])
def test_nothing_in_nothing_out(kind, shape):
    x = np.empty(shape, np.float32)
    y = forward(kind)(x)
    assert y.shape == (shape[0], 2, 2, shape[3])
    assert backward(kind)(y, x).shape == shape


def image(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


@each_kind
@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        ([[1.0]], {}, TypeError, "x is a list"),
        (image(4, 4, 2), {}, ValueError, r"x has shape \(4, 4, 2\); it must have 4 dimensions"),
        (image(1, 4, 4, 2, dtype="f2"), {}, TypeError, "x has dtype float16"),
        (image(1, 4, 4, 2), {"pool_size": 0}, ValueError, "pool_size is 0"),
        (image(1, 4, 4, 2), {"pool_size": (2, 2, 2)}, TypeError, "pool_size is"),
        (image(1, 4, 4, 2), {"strides": -1}, ValueError, "strides is -1"),
        (image(1, 4, 4, 2), {"padding": "full"}, ValueError, "padding is 'full'"),
        (image(1, 4, 4, 2), {"padding": 2}, ValueError, "padding=2 is as large as the pool wind"),
        (
            image(1, 2, 4, 2),
            {"pool_size": 3},
            ValueError,
            r"pool window \(3, 3\) does not fit the input \(2, 4, 2\) with padding='valid'",
        ),
        (image(1, 0, 4, 2), {"padding": 1}, ValueError, r"input \(0, 4, 2\) has no pixels"),
    ],
    ids=str,
)
def test_mistakes(kind, x, options, error, message):
    with pytest.raises(error, match=f"^{kind}_pool2d: .*{message}"):
        forward(kind)(x, **options)
    with pytest.raises(error, match=f"^{kind}_pool2d_backward: .*{message}"):
        backward(kind)(image(1, 2, 2, 2), x, **options)


@each_kind
def test_mistakes_in_the_gradient(kind):
    x = image(1, 4, 4, 2)
    with pytest.raises(ValueError, match=r"dy has shape \(1, 4, 4, 2\); it must be \(1, 2, 2, 2\)"):
        backward(kind)(x, x)
    with pytest.raises(TypeError, match=r"differ in dtype .*dy float64, x float32"):
        backward(kind)(image(1, 2, 2, 2, dtype="f8"), x)


@pytest.mark.parametrize("channels", [3, 33, 67, 131])
@pytest.mark.parametrize("kind", ["max", "average", "l2"])
def test_large_windows_take_several_vectors_at_once(kind, channels):
    x = np.random.default_rng(0).standard_normal((2, 9, 13, channels), np.float32)
    x[1, 4, 5, ::7] = np.nan
    size = {"pool_size": (7, 11), "strides": 2}
    pooled = getattr(ops, f"{kind}_pool2d")(x, **size)
    expected = getattr(reference, f"{kind}_pool2d")(x, **size)
    np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-6)
    if kind == "max":
        dy = np.random.default_rng(1).standard_normal(pooled.shape, np.float32)
        x = np.nan_to_num(x)
        dx = ops.max_pool2d_backward(dy, x, **size)
        wanted = reference.max_pool2d_backward(dy, x, **size)
        np.testing.assert_allclose(dx, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0, 0.0, 1.0])
def test_a_relu_before_is_taken_in(value):
    """With `relu_input` the gradient is that of a ReLU and a pooling by themselves."""
    random = np.random.default_rng(0)
    x = random.standard_normal((2, 9, 9, 19), np.float32)
    x[0, 4, 4] = value
    x[1] = min(value, 0)
    plain, pooling = (
        Pool2DPlan("max", x.shape, pool_size=3, strides=2, relu_input=flag)
        for flag in (False, True)
    )
    y = np.maximum(x, 0)
    out, expected = np.empty(plain.output_shape, np.float32), np.empty_like(x)
    argmax = np.empty(out.shape, np.uint8)
    dy = random.standard_normal(out.shape, np.float32)
    plain.backward(dy, y, expected)
    expected[~(y > 0)] = 0
    dx = np.empty_like(x)
    pooling.forward(y, out, argmax)
    pooling.backward(dy, None, dx, argmax)
    np.testing.assert_array_equal(dx, expected)


@given(case=pool_cases())
@settings(max_examples=50)
def test_places_give_the_same_gradient(case):
    x = case.random(case.x)
    y, places = ops.max_pool2d_with_places(x, **case.options)
    np.testing.assert_array_equal(y, ops.max_pool2d(x, **case.options))
    dy = case.random(y.shape, 1)
    expected = ops.max_pool2d_backward(dy, x, **case.options)
    x = x.copy()  # the next `with_places` finds other places
    ops.max_pool2d_with_places(-x, **case.options)
    dx = ops.max_pool2d_backward(dy, x, **case.options, places=places)
    np.testing.assert_array_equal(dx, expected)


@pytest.mark.parametrize("options", [{"pool_size": 17}, {"pool_size": 3, "dilation_rate": 2}])
def test_places_of_large_windows_and_of_dilated_ones(options):
    x = np.random.default_rng(0).standard_normal((2, 40, 40, 3), np.float32)
    out = np.empty_like(ops.max_pool2d(x, **options))
    y, places = ops.max_pool2d_with_places(x, **options, out=out)
    assert y is out
    expected = ops.max_pool2d_backward(y, x, **options)
    np.testing.assert_array_equal(ops.max_pool2d_backward(y, x, **options, places=places), expected)


def test_places_of_another_pooling_are_refused(threads):
    x = np.random.default_rng(0).standard_normal((2, 9, 9, 3), np.float32)
    threads(1)
    y, places = ops.max_pool2d_with_places(x, 3, 1, "same")
    threads(2)
    ops.max_pool2d_backward(y, x, 3, 1, "same", places=places)
    for arguments in [(3, 1, 1), (3, 3, "same"), (2, 1, "same")]:
        dy = ops.max_pool2d(x, *arguments)
        with pytest.raises(ValueError, match="max_pool2d_backward: places are of another pooling"):
            ops.max_pool2d_backward(dy, x, *arguments, places=places)
    with pytest.raises(ValueError, match="places are of another pooling"):
        ops.max_pool2d_backward(y[:1], x[:1], 3, 1, "same", places=places)
    with pytest.raises(TypeError, match="it must be what max_pool2d_with_places returned"):
        ops.max_pool2d_backward(y, x, 3, 1, "same", places=np.zeros(y.shape, np.uint8))
