"""Winograd's algorithm on every shape it can compute, worth it or not, and when it is taken."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import TOLERANCE, assert_close

import fastconv
from fastconv import ops
from fastconv._core.geometry import conv2d_window
from fastconv.ops import reference
from fastconv.ops.plans import Conv2DPlan, ConvPoolPlan, choice, winograd
from fastconv.ops.plans.decomposition import input_gradient_schemes, output_schemes
from fastconv.ops.plans.select import forced

sides = st.one_of(st.integers(1, 14), st.just(17))
edge = st.integers(0, 3)
FORMS = [(3, 1, 0), (5, 1, 0), (5, 1, 2), (7, 1, 1), (5, 2, 0), (3, 2, 0)]
"""Kernels, strides, and which of their schemes."""
IN_GROUPS = [(*form, 1) for form in FORMS] + [(3, 1, 0, 3), (5, 1, 0, 2), (5, 2, 0, 2)]
"""The same, and groups."""
KERNELS = [(3, 1), (5, 1), (7, 1), (3, 2), (5, 2), (7, 2), (11, 4), (2, 1), (4, 1), (4, 2), (7, 3)]
"""And strides."""
cases = {
    "batch": st.sampled_from([1, 1, 2, 3]),
    "height": sides,
    "width": sides,
    "form": st.sampled_from([(3, 1)] * len(KERNELS) + KERNELS),
    "scheme": st.integers(0, 2),
    "channels": st.sampled_from([1, 3, 8, 16, 17, 33]),
    "filters": st.sampled_from([1, 5, 16, 31, 48]),
    "groups": st.sampled_from([1, 1, 1, 2, 3]),
    "padding": st.one_of(
        st.sampled_from(["valid", "same", 1, 2, 3]),
        st.tuples(st.tuples(edge, edge), st.tuples(edge, edge)),
    ),
    "seed": st.integers(0, 2**16),
}


@pytest.fixture(scope="module", params=["many channels", "few channels"])
def always(request):
    """Take Winograd's algorithm wherever it fits, slow or not, and scheme as the test asks."""
    few = request.param == "few channels"

    def some(schemes, *arguments):
        return 0, schemes[always.scheme % len(schemes)]

    always = SimpleNamespace(scheme=0, few=few)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choice, "_cheapest", some)
        patch.setattr(choice, "MOST_KERNEL_BYTES", 1 << 30)
        yield always


def planned(always, make, x, kernel, **options):
    """Return a plan by Winograd's algorithm in each direction that has it."""
    names = {"strides": 1, "padding": "valid", "dilation_rate": 1, "groups": 1}
    arguments = [options.get(name, value) for name, value in names.items()]
    window, groups = conv2d_window(x, kernel, *arguments, owner="test")
    few = always.few and choice._is_plain(window) and groups == 1
    algorithm = "winograd_narrow" if few else "winograd"
    schemes = output_schemes(window, groups)
    with ExitStack() as stack:
        if make is Conv2DPlan or any(scheme.m % 2 == 0 for scheme in schemes):
            stack.enter_context(forced(algorithm, "output"))
        stack.enter_context(forced(algorithm, "kernel_gradient"))
        if input_gradient_schemes(window, groups):
            stack.enter_context(forced("winograd", "input_gradient"))
        return make(x, kernel, **options)


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def arrays(always, case, least=1):
    """Return x, kernel, bias and the options of a case; discard it if the output has fewer than
    `least` rows."""
    (taps, stride), padding, groups = case["form"], case["padding"], case["groups"]
    size = case["height"], case["width"]
    assume(min(reference.output_size(size, (taps, taps), stride, padding)) >= least)
    always.scheme = case["scheme"]
    x = normal(case["batch"], *size, groups * case["channels"], seed=case["seed"])
    kernel = normal(taps, taps, case["channels"], groups * case["filters"])
    options = {"padding": padding, "strides": stride, "groups": groups}
    return x, kernel, normal(kernel.shape[3]), options


@given(**cases)
@settings(max_examples=80)
def test_output_and_input_gradient(always, **case):
    x, kernel, bias, options = arrays(always, case)
    plan = planned(always, Conv2DPlan, x.shape, kernel.shape, **options)
    dy = normal(*plan.output_shape, seed=1)
    for _ in range(2):
        y, dx = np.full_like(dy, np.nan), np.full_like(x, np.nan)
        plan.forward(x, kernel, bias, y)
        plan.backward(dy, x, kernel, dx, np.empty_like(kernel), None)
    usual = [len(kernel) * case[name] ** 0.5 for name in ("channels", "filters")]
    assert_close(y, reference.conv2d(x, kernel, bias, **options), usual=usual[0])
    expected, _, _ = reference.conv2d_backward(dy, x, kernel, **options)
    assert_close(dx, expected, usual=usual[1], what="dx")


def check_kernel_gradient(always, case):
    x, kernel, bias, options = arrays(always, case)
    plan = planned(always, Conv2DPlan, x.shape, kernel.shape, **options)
    dy = normal(*plan.output_shape, seed=1)
    for dbias in (np.full_like(bias, np.nan), None):
        dkernel = np.full_like(kernel, np.nan)
        plan.backward(dy, x, kernel, None, dkernel, dbias)
        _, expected, bias_expected = reference.conv2d_backward(dy, x, kernel, **options)
        usual = dy[..., 0].size ** 0.5
        assert_close(dkernel, expected, usual=usual, what="dkernel")
        if dbias is not None:
            assert_close(dbias, bias_expected, usual=usual, what="dbias")


@given(**cases)
@settings(max_examples=80)
def test_kernel_gradient(always, **case):
    check_kernel_gradient(always, case)


@given(**cases)
@settings(max_examples=30)
def test_kernel_gradient_in_stages(always, **case):
    """Sums that many tiles take through memory: small blocks take few tiles there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "GRADIENT_PASS_BYTES", 1)
        patch.setattr(winograd, "PASS_BYTES", 20_000)
        patch.setattr(winograd, "PANEL_BYTES", 400)
        check_kernel_gradient(always, case)


@pytest.mark.parametrize(("taps", "stride", "scheme"), FORMS)
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
def test_error_of_the_kernel_gradient(always, x, filters, taps, stride, scheme):
    shape, always.scheme = (taps, taps, x[3], filters), scheme
    plan = planned(always, Conv2DPlan, x, shape, padding="same", strides=stride)
    x, dy, dkernel = normal(*x), normal(*plan.output_shape), np.empty(shape, np.float32)
    plan.backward(dy, x, dkernel, None, dkernel, None)
    wide = Conv2DPlan(x.shape, shape, padding="same", strides=stride, dtype=np.float64)
    expected = np.empty(dkernel.shape)
    wide.backward(dy.astype(float), x.astype(float), expected, None, expected, None)
    assert np.abs(dkernel - expected).max() < 5e-6 * np.abs(expected).max()


@pytest.mark.parametrize(("taps", "stride", "scheme", "groups"), IN_GROUPS)
@pytest.mark.parametrize("x", [(1, 9, 14, 70), (3, 40, 31, 33), (40, 12, 13, 64)], ids=str)
def test_the_kernel_gradient_is_the_same_with_any_number_of_threads(
    always, threads, x, taps, stride, scheme, groups
):
    kernel, always.scheme = normal(taps, taps, x[3], groups * 72), scheme
    x = (*x[:3], groups * x[3])
    plan = planned(always, Conv2DPlan, x, kernel.shape, padding=1, strides=stride, groups=groups)
    x, dy = normal(*x), normal(*plan.output_shape)
    results = []
    for count in (1, 2, 3, 16):
        threads(count)
        dkernel, dbias = np.full_like(kernel, np.nan), np.empty(groups * 72, np.float32)
        plan.backward(dy, x, kernel, None, dkernel, dbias)
        results.append(dkernel.tobytes() + dbias.tobytes())
    assert results.count(results[0]) == len(results)


@given(**cases)
@settings(max_examples=60)
def test_fused_block(always, **case):
    x, kernel, bias, options = arrays(always, case | {"groups": 1}, least=2)
    del options["groups"]
    plan = planned(always, ConvPoolPlan, x.shape, kernel.shape, **options)
    out = np.full(plan.output_shape, np.nan, np.float32)
    argmax = np.full(out.shape, 99, np.uint8)
    plan.forward(x, kernel, bias, out, argmax)
    usual = len(kernel) * case["channels"] ** 0.5
    expected, _ = reference.conv_pool(x, kernel, bias, **options)
    assert_close(out, expected, usual=usual)
    np.testing.assert_array_equal(argmax == reference.INACTIVE, out == 0)
    sums = reference.conv2d(x, kernel, bias, **options)
    pixels = [
        sums[:, i : 2 * out.shape[1] : 2, j : 2 * out.shape[2] : 2] for i in (0, 1) for j in (0, 1)
    ]
    assert_close(out, np.choose(argmax, [*pixels, np.zeros(out.shape)]), usual=usual)


@pytest.mark.parametrize(
    ("make", "taps", "stride", "scheme", "groups"),
    [(make, *form) for make in (Conv2DPlan, "input gradient") for form in IN_GROUPS]
    + [(ConvPoolPlan, *form, 1) for form in FORMS],
)
@pytest.mark.parametrize("side", [5, 6, 7, 8])
def test_every_loop_order_gives_the_same_bits(
    always, threads, monkeypatch, make, side, taps, stride, scheme, groups
):
    """Blocks of rows that begin and end anywhere in an image, among short tiles and whole ones."""
    always.scheme = scheme
    side *= stride
    x = normal(5, side + taps - 1, side + taps + 4, groups * 24)
    kernel, options = normal(taps, taps, 24, groups * 40), {"strides": stride}
    options |= {} if make is ConvPoolPlan else {"groups": groups}
    results = set()
    for staged in (True, False):
        for block_bytes in (1, 300_000, winograd.PASS_BYTES):
            monkeypatch.setattr(winograd, "by_passes", lambda *arguments, staged=staged: staged)
            monkeypatch.setattr(winograd, "PASS_BYTES", block_bytes)
            monkeypatch.setattr(winograd, "BLOCK_BYTES", block_bytes)
            kind = Conv2DPlan if make == "input gradient" else make
            plan = planned(always, kind, x.shape, kernel.shape, **options)
            dy = normal(*plan.output_shape)
            for count in (1, 2, 5):  # tasks of few channels follow the threads
                threads(count)
                out = np.full_like(x if make == "input gradient" else dy, np.nan)
                if make == "input gradient":
                    plan.input_gradient(dy, kernel, out)
                else:
                    plan.forward(x, kernel, None, out, *[None] * (make is ConvPoolPlan))
                results.add(out.tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("position", [(0, 0), (5, 7), (20, 19)])
def test_nan_comes_out_of_every_window_that_holds_it(always, position, taps):
    """A tile computes several outputs together: NaN may reach those of its tile, no others."""
    always.scheme = 2
    x, kernel = normal(1, 21, 20, 16), normal(taps, taps, 16, 16)
    (row, column), reach = position, taps // 2
    x[0, row, column, 3] = np.nan
    plan = planned(always, Conv2DPlan, x.shape, kernel.shape, padding="same")
    y = np.empty(plan.output_shape, np.float32)
    plan.forward(x, kernel, None, y)
    isnan = np.isnan(y).any(axis=(0, 3))
    around = slice(max(row - reach, 0), row + reach + 1)
    assert isnan[around, max(column - reach, 0) : column + reach + 1].all()
    rows, columns = np.nonzero(isnan)
    assert np.abs(rows - row).max() <= 4 and np.abs(columns - column).max() <= 4


LARGE = [
    [(2, 49, 49, 32), (3, 3, 32, 32), 1],
    [(1, 23, 23, 64), (3, 3, 64, 128), 1],
    [(4, 100, 100, 3), (3, 3, 3, 32), 1],
    [(1, 12, 12, 512), (3, 3, 512, 512), 1],
    [(2, 27, 27, 64), (5, 5, 64, 192), 1],
    [(2, 19, 19, 512), (7, 7, 512, 32), 1],
    [(2, 30, 30, 256), (5, 5, 256, 48), 2],
    [(2, 30, 30, 256), (3, 3, 256, 48), 2],
]


@pytest.mark.parametrize(("x", "kernel", "stride"), LARGE, ids=str)
def test_error_on_large_layers(x, kernel, stride):
    """A normal input has no structure that would make the transforms' errors cancel."""
    x, kernel = normal(*x), normal(*kernel)
    expected = ops.conv2d(x.astype(np.float64), kernel.astype(np.float64), strides=stride)
    error = np.abs(ops.conv2d(x, kernel, strides=stride) - expected).max() / np.abs(expected).max()
    assert error < TOLERANCE[np.dtype(np.float32)] / 2


def test_the_switch_is_obeyed():
    def used():
        plan = Conv2DPlan((8, 49, 49, 64), (3, 3, 64, 64)).describe()
        return [plan[direction]["algorithm"] == "winograd" for direction in plan]

    assert fastconv.get_fast_math() and used() == [True] * 3
    fastconv.set_fast_math(False)
    try:
        assert not fastconv.get_fast_math() and used() == [False] * 3
    finally:
        fastconv.set_fast_math(True)
    assert used() == [True] * 3


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        ((3, 3, 64, 64), {"strides": 3}),
        ((3, 3, 64, 64), {"dilation_rate": 2}),
        ((5, 5, 64, 64), {"strides": (1, 2)}),
        ((5, 3, 64, 64), {}),
        ((1, 1, 64, 64), {}),
        ((3, 1, 64, 64), {}),
        ((3, 3, 64, 64), {"dtype": np.float64}),
    ],
    ids=str,
)
def test_what_does_not_fit_is_summed_directly(kernel, options):
    shape = (8, 49, 49, 64)
    found = Conv2DPlan(shape, kernel, **options).describe()
    taken = {found[name]["algorithm"] for name in ("output", "kernel_gradient")}
    assert "winograd" not in taken
    with forced("winograd"), pytest.raises(ValueError, match="'winograd' does not serve"):
        Conv2DPlan(shape, kernel, **options)


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


@pytest.mark.parametrize(
    ("kernel", "stride", "taken"),
    [((3, 3, 512, 512), 1, True), ((3, 3, 256, 512), 2, True), ((3, 3, 512, 512), 2, False)],
    ids=str,
)
def test_a_transformed_kernel_does_not_fill_the_memory(always, monkeypatch, kernel, stride, taken):
    """In parts it may have 16 times the bytes of the kernel: 151 MB of 9."""
    monkeypatch.setattr(choice, "MOST_KERNEL_BYTES", 96 << 20)
    shape = (1, 20, 20, kernel[2])
    if not taken:
        with forced("winograd"), pytest.raises(ValueError, match="'winograd' does not serve"):
            Conv2DPlan(shape, kernel, strides=stride)
        return
    with forced("winograd"):
        found = Conv2DPlan(shape, kernel, strides=stride).describe()
    assert {direction["algorithm"] for direction in found.values()} == {"winograd"}


@pytest.mark.parametrize(("width", "taken"), [(2000, True), (50_000, False)])
@pytest.mark.parametrize(("taps", "stride"), [(3, 1), (5, 1), (5, 2)])
def test_a_row_of_tiles_does_not_fill_the_memory(taps, stride, width, taken):
    window, _ = conv2d_window((1, 8, width, 64), (taps, taps, 64, 64), stride)
    for schemes in (output_schemes(window), input_gradient_schemes(window)):
        assert schemes and bool(choice._small(schemes, 64, 64)) == taken
