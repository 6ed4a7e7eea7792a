"""DepthwisePlan, every way it lays its source out, against the twins and the general kernels."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Case, assert_close, problem_of

from fastconv._core import runtime
from fastconv.ops import reference
from fastconv.ops.plans import Conv2DPlan, depthwise, direct_costs
from fastconv.ops.plans import depthwise_layout as layouts
from fastconv.ops.plans.depthwise import DepthwisePlan
from fastconv.ops.plans.depthwise_layout import DepthwiseLayout

LANES = runtime.kernels.conv.LANES["f"]


@st.composite
def grouped_cases(draw) -> Case:
    """Draw groups of few channels; some rows are long enough to be read in place."""
    groups = draw(st.sampled_from([2, 3, 4, 7, 8, 13, 16, 17, 33, 70]))
    inputs, outputs = draw(
        st.sampled_from([(1, 1), (1, 1), (1, 2), (1, 9), (2, 2), (3, 1), (4, 5)])
    )
    size = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    side = st.sampled_from([5, 6, 9, 26, 31])
    padding = draw(st.sampled_from(["valid", "same", 1, 4, ((0, 2), (3, 0))]))
    options = {
        "strides": draw(st.sampled_from([1, 1, 2, 3, (2, 1), (1, 7)])),
        "padding": padding,
        "dilation_rate": draw(st.sampled_from([1, 1, 1, (1, 2), (2, 1)])) if max(size) <= 3 else 1,
        "groups": groups,
    }
    return Case(
        (draw(st.sampled_from([1, 2])), draw(side), draw(side), groups * inputs),
        (*size, inputs, groups * outputs),
        options,
        draw(st.sampled_from([np.float32, np.float64])),
        "C",
        draw(st.integers(0, 2**16)),
    )


def run(case, limit=0.0):
    """Return output, input gradient, kernel gradient, bias gradient of the plan by itself."""
    x, kernel, bias = (
        case.random(case.x),
        case.random(case.window, 1),
        case.random(case.window[3:], 2),
    )
    problem, shape = problem_of(case.x, case.window, case.dtype, **case.options)
    plan = DepthwisePlan(problem, limit=limit)
    dy = case.random(shape, 3)
    results = [np.full(s, np.nan, case.dtype) for s in (shape, case.x, case.window, bias.shape)]
    plan.forward(x, kernel, bias, results[0])
    plan.input_gradient(dy, kernel, results[1])
    plan.kernel_gradient(dy, x, *results[2:])
    return (x, kernel, bias, dy), results


@given(grouped_cases())
@settings(max_examples=120)
def test_against_the_twins(case):
    (x, kernel, bias, dy), results = run(case)
    expected = (
        reference.conv2d(x, kernel, bias, **case.options),
        *reference.conv2d_backward(dy, x, kernel, **case.options),
    )
    squares = [array.astype(np.float64) ** 2 for array in (x, kernel, bias, dy)]
    usual = (
        reference.conv2d(*squares[:3], **case.options),
        *reference.conv2d_backward(squares[3], *squares[:2], **case.options),
    )
    for name, result, wanted, size in zip(
        ("y", "dx", "dkernel", "dbias"), results, expected, usual, strict=True
    ):
        assert_close(result, wanted, usual=np.sqrt(size), what=name)


@given(grouped_cases())
@settings(max_examples=20)
def test_the_sums_are_clipped(case):
    plain = run(case)[1][0]
    for limit in (np.inf, 1.5):
        np.testing.assert_array_equal(run(case, limit)[1][0], np.clip(plain, 0, limit))


@pytest.mark.parametrize("width", [9, 30])
def test_what_is_not_finite_stays_where_it_is(width):
    """A NaN reaches the outputs whose windows hold it, and no other: not by padding or copies."""
    shape, kernel = (2, 6, width, 5), np.ones((3, 3, 1, 5), np.float32)
    plan = DepthwisePlan(problem_of(shape, kernel.shape, padding=1, groups=5)[0])
    x, dy = np.ones(shape, np.float32), np.ones(shape, np.float32)
    x[0, 2, 4, 1] = np.nan
    y, dkernel, dbias = np.empty(shape, np.float32), np.empty_like(kernel), np.empty(5, np.float32)
    plan.forward(x, kernel, None, y)
    expected = np.zeros(shape, bool)
    expected[0, 1:4, 3:6, 1] = True
    np.testing.assert_array_equal(np.isnan(y), expected)
    plan.kernel_gradient(dy, x, dkernel, dbias)
    assert np.isnan(dkernel[..., 1]).all() and np.isnan(dkernel).sum() == 9


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("size", [3, 5, 7])
def test_padded_pixels_and_units_of_several_give_the_same_bits(strides, size, monkeypatch):
    channels = LANES - 1
    random = np.random.default_rng(0)
    shape, kernel = (2, 11, 29, channels), random.standard_normal((size, size, 1, channels), "f")
    problem, output = problem_of(shape, kernel.shape, padding=1, strides=strides, groups=channels)
    x = random.standard_normal(shape, np.float32)
    results, ways = [], set()
    for pad in (True, False):
        monkeypatch.setattr(depthwise, "DepthwiseLayout", partial(DepthwiseLayout, pad=pad))
        plan = DepthwisePlan(problem)
        y = np.full(output, np.nan, np.float32)
        dx = np.full(shape, np.nan, np.float32)
        plan.forward(x, kernel, None, y)
        plan.input_gradient(y, kernel, dx)
        results.append((y.tobytes(), dx.tobytes()))
        ways.add(plan.output_layout.narrow)
    assert len(ways) == 2
    assert len(set(results)) == 1


@pytest.mark.parametrize("channels", [LANES, 40, 7 * LANES + 1])
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("size", [3, 7])
def test_edges_read_in_place_have_the_same_bits_with_any_threads(channels, strides, size, threads):
    """Strips, which depend on the threads, scheme the columns that are computed downwards."""
    random = np.random.default_rng(0)
    shape, kernel = (1, 31, 9, channels), random.standard_normal((size, size, 1, channels), "f")
    problem, output = problem_of(shape, kernel.shape, padding=2, strides=strides, groups=channels)
    x, results = random.standard_normal(shape, np.float32), set()
    for count in (1, 2, 5):
        threads(count)
        plan = DepthwisePlan(problem)
        assert not plan.output_layout.line
        y = np.full(output, np.nan, np.float32)
        dx = np.full(shape, np.nan, np.float32)
        plan.forward(x, kernel, None, y)
        plan.input_gradient(y, kernel, dx)
        results.add((y.tobytes(), dx.tobytes()))
    assert len(results) == 1


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("size", [5, 7])
@pytest.mark.parametrize("side", [4, 7, 9])
def test_copied_images_give_what_images_in_place_give(side, size, strides, monkeypatch):
    channels = LANES + 3
    options = {"padding": size // 2, "strides": strides, "groups": channels}
    case = Case((2, side, side, channels), (size, size, 1, channels), options, np.float32, "C", 0)
    results, lines = [], []
    for cost in (0, math.inf):
        monkeypatch.setattr(layouts, "COPY_COST", cost)
        plan = DepthwisePlan(problem_of(case.x, case.window, **options)[0])
        lines.append(plan.output_layout.line)
        results.append(run(case)[1])
    assert lines[0] > 0 and lines[1] == 0
    for copied, in_place in zip(*results, strict=True):
        np.testing.assert_allclose(copied, in_place, atol=1e-5 * np.abs(in_place).max())


@pytest.mark.parametrize(("side", "size", "copied"), [(7, 7, 1), (8, 7, 1), (14, 7, 0), (7, 3, 0)])
def test_images_of_little_but_edges_are_copied(side, size, copied):
    taps = [(tap, tap - size // 2) for tap in range(size)]
    plan = DepthwiseLayout(
        (side, side, 64),
        (side, side, 64),
        taps,
        taps,
        kernel_width=size,
        grid=(side, side),
        groups=64,
        lanes=LANES,
    )
    assert bool(plan.line) == copied


def test_the_choice_follows_the_channels_of_a_group():
    def chosen(inputs, outputs, groups=16, size=3):
        shape = (2, 20, 20, groups * inputs)
        found = Conv2DPlan(shape, (size, size, inputs, groups * outputs), groups=groups).describe()
        return [direction["algorithm"] == "depthwise" for direction in found.values()]

    assert chosen(1, 1) == [True, True, True]
    assert chosen(32, 32) == [False, False, False]
    assert chosen(1, 64)[0] is False
    assert chosen(8, 8, groups=1) == [False, False, False]
    assert math.isinf(direct_costs.panels_over_planes(None, 1, 1, 9, 1, np.dtype(np.float32)))


@pytest.mark.parametrize(("outputs", "vectors"), [(1, 1), (2, 2), (9, 0)])
def test_planes_are_permuted_out_of_as_few_vectors_as_hold_them(outputs, vectors):
    """The input gradient's planes: each channel reads `outputs` neighbours of dy."""
    groups = 31
    shape, kernel = (1, 9, 9, groups), (1, 1, 1, groups * outputs)
    plan = DepthwisePlan(problem_of(shape, kernel, groups=groups)[0])
    assert plan.input_layout.shuffled == vectors
