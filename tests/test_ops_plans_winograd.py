"""Winograd's algorithm on every shape it can compute, worth it or not, and when it is taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import TOLERANCE, assert_close

import fastconv
from fastconv import ops, reference
from fastconv.ops.plans import Conv2DPlan, ConvPoolPlan, choice, winograd
from fastconv.ops.plans.winograd_narrow import WinogradNarrowPlan

WINOGRAD = winograd.WinogradKernelGradientPlan, WinogradNarrowPlan

sides = st.one_of(st.integers(1, 14), st.just(17))
edge = st.integers(0, 3)
cases = {
    "batch": st.sampled_from([1, 1, 2, 3]),
    "height": sides,
    "width": sides,
    "taps": st.sampled_from([3, 3, 5]),
    "channels": st.sampled_from([1, 3, 8, 16, 17, 33]),
    "filters": st.sampled_from([1, 5, 16, 31, 48]),
    "padding": st.one_of(
        st.sampled_from(["valid", "same", 1, 2, 3]),
        st.tuples(st.tuples(edge, edge), st.tuples(edge, edge)),
    ),
    "seed": st.integers(0, 2**16),
}


@pytest.fixture(scope="module", params=["many channels", "few channels"])
def always(request):
    """Take Winograd's algorithm wherever it fits, slow or not; return its gradient's plan."""
    few = request.param == "few channels"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choice, "_pays", lambda *arguments, **options: True)
        patch.setattr(choice, "_gradient_pays", lambda *arguments: True)
        patch.setattr(choice, "_shallow", lambda *arguments: False)
        patch.setattr(
            choice, "_narrow", lambda x, window, **options: few and window.rows.window == 3
        )
        patch.setattr(
            choice, "_narrow_gradient", lambda x, filters, window: few and window.rows.window == 3
        )
        yield WinogradNarrowPlan if few else winograd.WinogradKernelGradientPlan


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def arrays(batch, height, width, taps, channels, filters, padding, seed, least=1):
    """Return x, kernel and bias; discard the example if the output has fewer than `least` rows."""
    x = normal(batch, height, width, channels, seed=seed)
    kernel = normal(taps, taps, channels, filters)
    assume(min(reference.output_size((height, width), (taps, taps), 1, padding)) >= least)
    return x, kernel, normal(filters, seed=seed)


@given(**cases)
@settings(max_examples=40)
def test_output_and_input_gradient(always, **case):
    x, kernel, bias = arrays(**case)
    plan = Conv2DPlan(x.shape, kernel.shape, padding=case["padding"])
    assert plan._winograd is not None
    dy = normal(*plan.output_shape, seed=1)
    for _ in range(2):
        y, dx = np.full_like(dy, np.nan), np.full_like(x, np.nan)
        plan.forward(x, kernel, bias, y)
        plan.backward(dy, x, kernel, dx, np.empty_like(kernel), None)
    usual = case["taps"] * case["channels"] ** 0.5, case["taps"] * case["filters"] ** 0.5
    assert_close(y, reference.conv2d(x, kernel, bias, padding=case["padding"]), usual=usual[0])
    expected, _, _ = reference.conv2d_backward(dy, x, kernel, padding=case["padding"])
    assert_close(dx, expected, usual=usual[1], what="dx")


def check_kernel_gradient(case, algorithm):
    x, kernel, bias = arrays(**case)
    plan = Conv2DPlan(x.shape, kernel.shape, padding=case["padding"])
    dy = normal(*plan.output_shape, seed=1)
    for dbias in (np.full_like(bias, np.nan), None):
        dkernel = np.full_like(kernel, np.nan)
        plan.backward(dy, x, kernel, None, dkernel, dbias)
        _, expected, bias_expected = reference.conv2d_backward(
            dy, x, kernel, padding=case["padding"]
        )
        usual = dy[..., 0].size ** 0.5
        assert_close(dkernel, expected, usual=usual, what="dkernel")
        if dbias is not None:
            assert_close(dbias, bias_expected, usual=usual, what="dbias")
    several = winograd.WinogradKernelGradientPlan
    assert isinstance(plan._product, algorithm if case["taps"] == 3 else several)


@given(**cases)
@settings(max_examples=40)
def test_kernel_gradient(always, **case):
    check_kernel_gradient(case, always)


@given(**cases)
@settings(max_examples=30)
def test_kernel_gradient_in_stages(always, **case):
    """Sums that many tiles take through memory: small blocks take few tiles there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "GRADIENT_STAGE_BYTES", 1)
        patch.setattr(winograd, "STAGED_BYTES", 20_000)
        patch.setattr(winograd, "PANEL_BYTES", 400)
        check_kernel_gradient(case, always)


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize(
    ("x", "filters"),
    [
        ((1, 5, 6, 1), 1),
        ((2, 57, 56, 64), 64),
        ((8, 28, 27, 128), 40),
        ((4, 14, 14, 512), 256),
        ((1, 7, 7, 512), 512),
        ((32, 30, 31, 3), 32),
    ],
    ids=str,
)
def test_error_of_the_kernel_gradient(always, x, filters, taps):
    shape = taps, taps, x[3], filters
    plan = Conv2DPlan(x, shape, padding="same")
    x, dy, dkernel = normal(*x), normal(*plan.output_shape), np.empty(shape, np.float32)
    plan.backward(dy, x, dkernel, None, dkernel, None)
    assert isinstance(plan._product, WINOGRAD)
    wide = Conv2DPlan(x.shape, dkernel.shape, padding="same", dtype=np.float64)
    expected = np.empty(dkernel.shape)
    wide.backward(dy.astype(float), x.astype(float), expected, None, expected, None)
    assert np.abs(dkernel - expected).max() < 5e-6 * np.abs(expected).max()


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("x", [(1, 9, 14, 70), (3, 40, 31, 33), (40, 12, 13, 64)], ids=str)
def test_the_kernel_gradient_is_the_same_with_any_number_of_threads(always, threads, x, taps):
    kernel = normal(taps, taps, x[3], 72)
    plan = Conv2DPlan(x, kernel.shape, padding=1)
    x, dy = normal(*x), normal(*plan.output_shape)
    results = []
    for count in (1, 2, 3, 16):
        threads(count)
        dkernel, dbias = np.full_like(kernel, np.nan), np.empty(72, np.float32)
        plan.backward(dy, x, kernel, None, dkernel, dbias)
        results.append(dkernel.tobytes() + dbias.tobytes())
    assert results.count(results[0]) == len(results)


@given(**cases)
@settings(max_examples=30)
def test_fused_block(always, **case):
    x, kernel, bias = arrays(**case, least=2)
    plan = ConvPoolPlan(x.shape, kernel.shape, padding=case["padding"])
    out = np.full(plan.output_shape, np.nan, np.float32)
    winners = np.full(out.shape, 99, np.uint8)
    plan.forward(x, kernel, bias, out, winners)
    usual = case["taps"] * case["channels"] ** 0.5
    expected, _ = reference.conv_pool(x, kernel, bias, padding=case["padding"])
    assert_close(out, expected, usual=usual)
    np.testing.assert_array_equal(winners == reference.DEAD, out == 0)
    sums = reference.conv2d(x, kernel, bias, padding=case["padding"])
    pixels = [
        sums[:, i : 2 * out.shape[1] : 2, j : 2 * out.shape[2] : 2] for i in (0, 1) for j in (0, 1)
    ]
    assert_close(out, np.choose(winners, [*pixels, np.zeros(out.shape)]), usual=usual)


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("side", [5, 6, 7, 8])
@pytest.mark.parametrize("make", [Conv2DPlan, ConvPoolPlan])
def test_every_loop_order_gives_the_same_bits(always, threads, monkeypatch, make, side, taps):
    """Blocks of rows that begin and end anywhere in an image, among short tiles and whole ones."""
    x, kernel = normal(5, side + 2, side + 7, 24), normal(taps, taps, 24, 40)
    results = set()
    for kernel_bytes in (0, winograd.KERNEL_BYTES):
        for block_bytes in (1, 300_000, winograd.STAGED_BYTES):
            monkeypatch.setattr(winograd, "KERNEL_BYTES", kernel_bytes)
            monkeypatch.setattr(winograd, "STAGED_BYTES", block_bytes)
            monkeypatch.setattr(winograd, "BLOCK_BYTES", block_bytes)
            plan = make(x.shape, kernel.shape)
            for count in (1, 2, 5):  # tasks of few channels follow the threads
                threads(count)
                out = np.full(plan.output_shape, np.nan, np.float32)
                plan.forward(x, kernel, None, out, *[None] * (make is ConvPoolPlan))
                results.add(out.tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("position", [(0, 0), (5, 7), (20, 19)])
def test_nan_comes_out_of_every_window_that_holds_it(always, position, taps):
    """A tile computes several outputs together: NaN may reach those of its tile, no others."""
    x, kernel = normal(1, 21, 20, 16), normal(taps, taps, 16, 16)
    (row, column), reach = position, taps // 2
    x[0, row, column, 3] = np.nan
    isnan = np.isnan(ops.conv2d(x, kernel, padding="same")).any(axis=(0, 3))
    around = slice(max(row - reach, 0), row + reach + 1)
    assert isnan[around, max(column - reach, 0) : column + reach + 1].all()
    rows, columns = np.nonzero(isnan)
    assert np.abs(rows - row).max() <= 4 and np.abs(columns - column).max() <= 4


LARGE = [
    [(2, 49, 49, 32), (3, 3, 32, 32)],
    [(1, 23, 23, 64), (3, 3, 64, 128)],
    [(4, 100, 100, 3), (3, 3, 3, 32)],
    [(2, 27, 27, 64), (5, 5, 64, 192)],
]


@pytest.mark.parametrize(("x", "kernel"), LARGE, ids=str)
def test_error_on_large_layers(x, kernel):
    """A normal input has no structure that would make the transforms' errors cancel."""
    x, kernel = normal(*x), normal(*kernel)
    expected = ops.conv2d(x.astype(np.float64), kernel.astype(np.float64))
    error = np.abs(ops.conv2d(x, kernel) - expected).max() / np.abs(expected).max()
    assert error < TOLERANCE[np.dtype(np.float32)] / 2


def test_the_switch_is_obeyed():
    def used():
        plan = Conv2DPlan((8, 49, 49, 64), (3, 3, 64, 64))
        fast = isinstance(plan._plan_kernel_gradient(), WINOGRAD)
        assert fast == (plan._winograd is not None)
        return fast

    assert fastconv.get_fast_math() and used()
    fastconv.set_fast_math(False)
    try:
        assert not fastconv.get_fast_math() and not used()
    finally:
        fastconv.set_fast_math(True)
    assert used()


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        ((3, 3, 64, 64), {"strides": 2}),
        ((3, 3, 64, 64), {"dilation_rate": 2}),
        ((3, 3, 32, 64), {"groups": 2}),
        ((5, 5, 64, 64), {"strides": (1, 2)}),
        ((5, 3, 64, 64), {}),
        ((4, 4, 64, 64), {}),
        ((3, 1, 64, 64), {}),
        ((3, 3, 64, 64), {"dtype": np.float64}),
    ],
    ids=str,
)
def test_what_does_not_fit_is_summed_directly(always, kernel, options):
    plan = Conv2DPlan((8, 49, 49, 64), kernel, **options)
    assert plan._winograd is None
    assert not isinstance(plan._plan_kernel_gradient(), WINOGRAD)


def test_a_model_follows_the_switch():
    model = fastconv.Sequential([fastconv.layers.Conv2D(64, 3, input_shape=(40, 40, 64))])
    x = normal(2, 40, 40, 64)
    fast = model.predict(x, verbose=0)
    fastconv.set_fast_math(False)
    try:
        direct = model.predict(x, verbose=0)
    finally:
        fastconv.set_fast_math(True)
    assert not np.array_equal(fast, direct)
    assert_close(fast, direct)
    np.testing.assert_array_equal(model.predict(x, verbose=0), fast)
