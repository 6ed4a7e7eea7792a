"""Pooling with a dilation, ceil_mode and counted padding against the twins and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import assert_close

from fastconv import ops
from fastconv._core import runtime
from fastconv._core.geometry import pool2d_window
from fastconv.ops import reference
from fastconv.ops.plans import Pool2DPlan

each_kind = pytest.mark.parametrize("kind", ["max", "average", "l2"])
PAIR = st.tuples(st.integers(1, 4), st.integers(1, 4))


@st.composite
def options_and_x(draw, kind):
    """Draw arguments of a pooling, and x."""
    size, dilation = draw(PAIR), draw(PAIR)
    reach = [(n - 1) * d for n, d in zip(size, dilation, strict=True)]
    pairs = [st.tuples(st.integers(0, most), st.integers(0, most)) for most in reach]
    options = {
        "pool_size": size,
        "strides": draw(st.none() | PAIR),
        "padding": draw(st.sampled_from(["valid", "same"]) | st.tuples(*pairs)),
        "dilation_rate": dilation,
        "ceil_mode": draw(st.booleans()),
    }
    if kind == "average":
        options["count_include_pad"] = draw(st.booleans())
    shape = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 13)),
        draw(st.integers(1, 13)),
        draw(st.sampled_from([1, 3, 16, 33])),
    )
    try:
        geometry = {name: options[name] for name in options if name != "count_include_pad"}
        pool2d_window(shape, **geometry)
    except ValueError:
        assume(False)
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    x = rng.standard_normal(shape)
    if draw(st.booleans()):
        x = np.round(x)  # with ties
    return options, x.astype(dtype)


def forward(kind, module=ops):
    return getattr(module, f"{kind}_pool2d")


def backward(kind, module=ops):
    return getattr(module, f"{kind}_pool2d_backward")


@each_kind
@given(data=st.data())
@settings(max_examples=80)
def test_against_the_twin(kind, data):
    options, x = data.draw(options_and_x(kind))
    kept = x.copy()
    y = forward(kind)(x, **options)
    assert_close(y, forward(kind, reference)(x, **options), usual=1.0)
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(x.dtype)
    dx = backward(kind)(dy, x, **options)
    assert dx.dtype == x.dtype
    assert_close(dx, backward(kind, reference)(dy, x, **options), usual=1.0)
    np.testing.assert_array_equal(x, kept)


@each_kind
@given(data=st.data())
@settings(max_examples=60)
def test_against_pytorch(kind, data):
    """PyTorch's own, where it has the options: equal padding of half a window at most."""
    functional = pytest.importorskip("torch").nn.functional
    torch = pytest.importorskip("torch")
    options, x = data.draw(options_and_x(kind))
    size = options["pool_size"]
    options["padding"] = data.draw(st.integers(0, min(size) // 2))
    if kind != "max":
        options["dilation_rate"] = (1, 1)
    try:
        y = forward(kind)(x, **options)
    except ValueError:
        return
    there = torch.tensor(x).permute(0, 3, 1, 2).requires_grad_()
    strides, ceil = options["strides"] or size, options["ceil_mode"]
    if kind == "max":
        theirs = functional.max_pool2d(
            there, size, strides, options["padding"], options["dilation_rate"], ceil
        )
    elif kind == "average":
        theirs = functional.avg_pool2d(
            there, size, strides, options["padding"], ceil, options["count_include_pad"]
        )
    else:
        squares = functional.avg_pool2d(
            there**2, size, strides, options["padding"], ceil, divisor_override=1
        )
        theirs = torch.sqrt(squares)
    assert_close(y, theirs.detach().permute(0, 2, 3, 1).numpy(), usual=1.0)
    if kind == "l2" and not (y > 0).all():
        return
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(x.dtype)
    theirs.backward(torch.tensor(dy).permute(0, 3, 1, 2))
    if kind == "max" and len(np.unique(x)) < x.size:
        return  # of ties PyTorch says nothing
    dx = there.grad.permute(0, 2, 3, 1).numpy()
    assert_close(backward(kind)(dy, x, **options), dx, usual=1.0)


@each_kind
def test_the_usual_options_change_no_bit(kind):
    x = np.random.default_rng(0).standard_normal((2, 9, 8, 19)).astype(np.float32)
    plain = forward(kind)(x, 3, 2, 1)
    named = forward(kind)(x, 3, 2, 1, dilation_rate=(1, 1), ceil_mode=False)
    np.testing.assert_array_equal(plain, named)


def test_ceil_mode_by_hand():
    x = np.arange(5, dtype=np.float32).reshape(1, 1, 5, 1)
    np.testing.assert_array_equal(ops.max_pool2d(x, (1, 2)).ravel(), [1, 3])
    np.testing.assert_array_equal(ops.max_pool2d(x, (1, 2), ceil_mode=True).ravel(), [1, 3, 4])
    # A window that would begin behind the image is none, one that begins before it is.
    assert ops.max_pool2d(x, (1, 2), 4, ((0, 0), (0, 1)), ceil_mode=True).shape[2] == 2
    assert ops.max_pool2d(x, (1, 2), 3, ceil_mode=True).shape[2] == 2
    assert ops.max_pool2d(x[:, :, :4], (1, 2), 4, ((0, 0), (1, 1)), ceil_mode=True).shape[2] == 2


def test_counted_padding_by_hand():
    x = np.full((1, 3, 3, 1), 4, np.float32)
    corner = ops.average_pool2d(x, 2, 2, 1, ceil_mode=True, count_include_pad=True)[0, :, :, 0]
    np.testing.assert_array_equal(
        corner,
        [
            [
                1,
                2,
            ],
            [2, 4],
        ],
    )
    # Of the window that ends behind the padding only what is before counts.
    behind = ops.average_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=True)
    np.testing.assert_array_equal(behind, np.full((1, 2, 2, 1), 4))
    dy = np.ones((1, 2, 2, 1), np.float32)
    dx = ops.average_pool2d_backward(dy, x, 2, 2, 1, count_include_pad=True)
    np.testing.assert_array_equal(dx, np.full((1, 3, 3, 1), 0.25))


def test_dilation_by_hand():
    x = np.arange(25, dtype=np.float32).reshape(1, 5, 5, 1)
    y = ops.max_pool2d(x, 2, 1, dilation_rate=3)
    np.testing.assert_array_equal(y[0, :, :, 0], [[18, 19], [23, 24]])
    dx = ops.max_pool2d_backward(np.ones_like(y), x, 2, 1, dilation_rate=3)
    assert dx.sum() == 4 and dx[0, 3, 3, 0] == dx[0, 4, 4, 0] == 1


def test_a_nan_comes_out_of_its_windows_alone():
    x = np.random.default_rng(0).standard_normal((1, 9, 9, 5)).astype(np.float32)
    x[0, 4, 4, 2] = np.nan
    for kind in ("max", "average", "l2"):
        options = {"pool_size": 3, "strides": 1, "dilation_rate": 2}
        y = forward(kind)(x, **options)
        expected = forward(kind, reference)(x, **options)
        np.testing.assert_array_equal(np.isnan(y), np.isnan(expected))


@each_kind
def test_the_same_bits_with_any_number_of_threads(kind):
    x = np.random.default_rng(0).standard_normal((3, 31, 29, 20)).astype(np.float32)
    options = {"pool_size": 3, "strides": 2, "padding": 1, "dilation_rate": 2, "ceil_mode": True}
    before, found = runtime.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 7):
            runtime.set_num_threads(threads)
            y = forward(kind)(x, **options)
            found.append((y, backward(kind)(y, x, **options)))
    finally:
        runtime.set_num_threads(before)
    for results in found[1:]:
        for result, first in zip(results, found[0], strict=True):
            np.testing.assert_array_equal(result, first)


def test_the_gate_and_the_places_of_the_maxima_go_through_the_phases():
    """Backward needs no x where forward noted the places, with a ReLU before it, too."""
    x = np.random.default_rng(0).standard_normal((2, 11, 10, 19)).astype(np.float32)
    y = np.maximum(x, 0)
    options = {"pool_size": 3, "strides": 2, "dilation_rate": (2, 3), "padding": 1}
    plain, gated = (
        Pool2DPlan("max", x.shape, relu_input=flag, **options) for flag in (False, True)
    )
    out, dx, expected = np.empty(plain.output_shape, "f4"), np.empty_like(x), np.empty_like(x)
    places = np.empty(out.shape, np.uint8)
    dy = np.random.default_rng(1).standard_normal(out.shape).astype(np.float32)
    plain.backward(dy, y, expected)
    expected[y == 0] = 0
    gated.forward(y, out, places)
    gated.backward(dy, None, dx, places)
    np.testing.assert_array_equal(dx, expected)
    assert gated.describe()["output"]["phases"] == 3


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dilation_rate": 0}, ValueError, "dilation_rate is 0"),
        ({"dilation_rate": "a"}, TypeError, "dilation_rate is 'a'"),
        ({"ceil_mode": 2}, TypeError, "ceil_mode is 2"),
        ({"dilation_rate": 4}, ValueError, r"does not fit .*dilation_rate=\(4, 4\)"),
        ({"dilation_rate": 5, "padding": 3}, ValueError, "steps over the whole input"),
    ],
)
@each_kind
def test_mistakes(kind, options, error, message):
    x = np.ones((1, 4, 4, 2), np.float32)
    with pytest.raises(error, match=f"^{kind}_pool2d: .*{message}"):
        forward(kind)(x, **options)
    with pytest.raises(error, match=f"^{kind}_pool2d_backward: .*{message}"):
        backward(kind)(x, x, **options)


def test_count_include_pad_is_a_truth():
    with pytest.raises(TypeError, match="average_pool2d: count_include_pad is 2"):
        ops.average_pool2d(np.ones((1, 4, 4, 2), np.float32), count_include_pad=2)
