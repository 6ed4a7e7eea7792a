"""DensePlan against its twin: vectors, tails of vectors, and long sums in parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import assert_close

from fastconv._core import runtime
from fastconv.ops import optim, reference
from fastconv.ops.plans import DensePlan
from fastconv.ops.plans.dense import panel_vectors

sizes = {
    "batch": st.sampled_from([1, 2, 3, 5, 12, 13, 32]),
    "inputs": st.sampled_from([1, 2, 7, 95, 96, 97, 384, 767, 768, 1500]),
    "outputs": st.sampled_from([1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 100]),
    "dtype": st.sampled_from([np.float32, np.float64]),
    "bias": st.booleans(),
    "active": st.sampled_from([0.0, 0.2, 0.6, 0.9, 1.0]),
    "seed": st.integers(0, 2**16),
}


def arrays(dtype, seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def thinned(x, active, seed=0):
    """Return x with about a share of 1 - active set to 0 or -0, as a ReLU or dropout would."""
    rng = np.random.default_rng([seed, 1])
    return np.where(rng.random(x.shape) < active, x, rng.choice([0.0, -0.0], x.shape)).astype(
        x.dtype
    )


def check(batch, inputs, outputs, dtype, bias, seed, active=1.0):
    x, kernel, b, dy = arrays(
        dtype, seed, (batch, inputs), (inputs, outputs), (outputs,), (batch, outputs)
    )
    x = thinned(x, active, seed)
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
def test_against_the_twin(batch, inputs, outputs, dtype, bias, seed, active):
    check(batch, inputs, outputs, dtype, bias, seed, active)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape",
    [
        (32, 76832, 1),
        (32, 12800, 512),
        (4, 9216, 10),
        (3, 700, 1300),
        (7, 4100, 3),
        (64, 5000, 2),
        (130, 2049, 4),
        (520, 300, 16),
    ],
    ids=str,
)
def test_the_chapters_layers_and_others(shape, dtype):
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


@pytest.mark.parametrize("batch", [5, 70])
def test_the_kernels_gradient_of_few_outputs_may_be_left_out(batch):
    x, kernel, dy = arrays(np.float32, 0, (batch, 20), (20, 2), (batch, 2))
    plan = DensePlan(batch, 20, 2)
    with_it, without = np.empty_like(x), np.empty_like(x)
    plan.backward(dy, x, kernel, with_it, np.empty_like(kernel), None)
    plan.backward(dy, x, kernel, without, None, None)
    assert with_it.tobytes() == without.tobytes()


def test_the_inputs_gradient_may_be_left_out():
    x, kernel, dy = arrays(np.float32, 0, (5, 20), (20, 18), (5, 18))
    plan = DensePlan(5, 20, 18)
    with_dx, without = np.empty_like(kernel), np.empty_like(kernel)
    plan.backward(dy, x, kernel, np.empty_like(x), with_dx, None)
    plan.backward(dy, x, kernel, None, without, None)
    np.testing.assert_array_equal(with_dx, without)


@given(**sizes)
@settings(max_examples=30)
def test_the_inputs_gradient_may_take_its_place(batch, inputs, outputs, dtype, bias, seed, active):
    x, kernel, dy = arrays(dtype, seed, (batch, inputs), (inputs, outputs), (batch, outputs))
    x = thinned(x, active, seed)
    plan = DensePlan(batch, inputs, outputs, dtype=dtype)
    for at_zeros in (True, False):
        apart, dkernel, again = np.empty_like(x), np.empty_like(kernel), np.empty_like(kernel)
        plan.backward(dy, x, kernel, apart, dkernel, None, at_zeros=at_zeros)
        within = x.copy()
        plan.backward(dy, within, kernel, within, again, None, at_zeros=at_zeros)
        np.testing.assert_array_equal(within, apart)
        np.testing.assert_array_equal(again, dkernel)


def test_nan_stays_in_its_sample():
    x, kernel = arrays(np.float32, 0, (13, 40), (40, 17))
    x[5, 3] = np.nan
    out = np.empty((13, 17), np.float32)
    DensePlan(13, 40, 17).forward(x, kernel, None, out)
    np.testing.assert_array_equal(np.isnan(out).all(axis=1), np.arange(13) == 5)
    assert not np.isnan(np.delete(out, 5, axis=0)).any()


WIDE = [(13, 97, 17), (32, 500, 100), (3, 70, 1300), (40, 64, 640), (1, 33, 40)]
each_wide = pytest.mark.parametrize("shape", WIDE, ids=str)
each_share = pytest.mark.parametrize("active", [0.0, 0.3, 0.7, 1.0])


def wide(shape, active):
    batch, inputs, outputs = shape
    x, kernel, dy = arrays(np.float32, 3, (batch, inputs), (inputs, outputs), (batch, outputs))
    return DensePlan(*shape), thinned(x, active), kernel, dy


@each_share
@each_wide
def test_one_sample_has_the_bits_it_has_in_a_batch(shape, active):
    """Lists of the active, tiles with the zeros and the pass for one sample add in one order."""
    plan, x, kernel, dy = wide(shape, active)
    whole = np.empty_like(dy)
    plan.forward(x, kernel, None, whole)
    one = np.empty((1, shape[2]), np.float32)
    single = DensePlan(1, *shape[1:])
    for sample, expected in zip(x, whole, strict=True):
        single.forward(sample[None], kernel, None, one)
        np.testing.assert_array_equal(one[0], expected)


@each_share
@each_wide
def test_the_inputs_gradient_where_the_input_is_not_zero(shape, active):
    plan, x, kernel, dy = wide(shape, active)
    full, some = np.empty_like(x), np.full_like(x, np.nan)
    plan.backward(dy, x, kernel, full, None, None)
    plan.backward(dy, x, kernel, some, None, None, at_zeros=False)
    np.testing.assert_array_equal(some[x != 0], full[x != 0])
    assert ((some == 0) | (some == full))[x == 0].all()
    over_x = x.copy()
    plan.backward(dy, over_x, kernel, over_x, None, None, at_zeros=False)
    np.testing.assert_array_equal(over_x, some)


def taking_steps(update, value, gradients, slots, **options):
    """Return value and slots after a step for each gradient."""
    value = value.copy()
    slots = [np.zeros_like(value) if used else None for used in slots]
    for step, gradient in enumerate(gradients, 1):
        if update is optim.adam:
            options["step"] = step
        update(value, gradient(), *slots, **options)
    return [value, *(slot for slot in slots if slot is not None)]


RULES = {
    "sgd": (optim.sgd, [False], {"learning_rate": 0.1}),
    "sgd-momentum": (optim.sgd, [True], {"learning_rate": 0.1, "momentum": 0.9}),
    "sgd-nesterov": (
        optim.sgd,
        [True],
        {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
    ),
    "adam": (
        optim.adam,
        [True, True],
        {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    ),
    **{
        f"rmsprop-{momentum}-{'centered' if centered else 'plain'}": (
            optim.rmsprop,
            [True, momentum > 0, centered],
            {"learning_rate": 0.01, "rho": 0.9, "momentum": momentum, "epsilon": 1e-3},
        )
        for momentum in (0.0, 0.5)
        for centered in (False, True)
    },
}


@pytest.mark.parametrize(
    "common",
    [{}, {"gradient_scale": 0.3, "clip_value": 0.5, "weight_decay": 0.1}],
    ids=["plain", "scaled-clipped-decayed"],
)
@pytest.mark.parametrize(("update", "slots", "options"), RULES.values(), ids=RULES)
def test_a_step_on_the_way_has_the_bits_of_one_on_the_written_gradient(
    update, slots, options, common
):
    for shape in WIDE:
        plan, x, kernel, dy = wide(shape, 0.5)

        def deferred(dy, plan=plan, x=x, kernel=kernel):
            return plan.backward(dy, x, kernel, None, None, None)

        def written(dy, plan=plan, x=x, kernel=kernel):
            gradient = np.full_like(kernel, np.nan)
            plan.backward(dy, x, kernel, None, gradient, None)
            return gradient

        ours, theirs = (
            taking_steps(
                update,
                kernel,
                [lambda make=make, dy=dy, n=n: make(dy * n) for n in (1, -2, 3)],
                slots,
                **options,
                **common,
            )
            for make in (deferred, written)
        )
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


@each_wide
def test_a_deferred_gradient_survives_its_arguments(shape):
    plan, x, kernel, dy = wide(shape, 0.5)
    expected, written = np.empty_like(kernel), np.empty_like(kernel)
    plan.backward(dy, x, kernel, None, expected, None)
    product = plan.backward(dy, x, kernel, None, None, None)
    for array in (x, kernel, dy):
        array.fill(np.nan)
    plan.forward(x, kernel, None, dy)
    product.write(written)
    np.testing.assert_array_equal(written, expected)


def test_which_plans_defer():
    assert DensePlan(32, 12800, 512).defers
    assert not DensePlan(32, 12800, 1).defers
    assert not DensePlan(64, 100, 100).defers, "the factors would be larger than the gradient"
    assert not DensePlan(0, 100, 100).defers


def test_slots_of_another_size_are_refused():
    plan, x, kernel, dy = wide((4, 30, 40), 1)
    product = plan.backward(dy, x, kernel, None, None, None)
    slot = np.zeros((30, 39), np.float32)
    with pytest.raises(ValueError, match="slot 0 has 1170 values; there are 1200"):
        optim.sgd(kernel, product, slot, 0.1, 0.9)
    with pytest.raises(ValueError, match="slot 0 has 1170 values; there are 1200"):
        optim.sgd(kernel, np.zeros_like(kernel), slot, 0.1, 0.9)
    with pytest.raises(ValueError, match="the gradient has 1170 values; there are 1200"):
        optim.sgd(kernel, slot, None, 0.1)


def test_panels_fill_the_registers_with_little_padding():
    assert [panel_vectors(n, 12) for n in (0, 1, 12, 16, 64, 26)] == [1, 1, 12, 8, 8, 9]


def test_few_threads_for_little_work(threads, monkeypatch):
    threads(3)
    assert runtime.threads_for(runtime.LEAST_SHARED_WORK - 1) == 1
    assert runtime.threads_for(runtime.LEAST_SHARED_WORK) == 3
