"""The optimizers' update rules against their twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ops_cases import assert_close, assert_fence_stands, assert_same_bits_for_threads, fenced

from fastconv import reference
from fastconv.ops import optim

COUNTS = st.sampled_from([1, 5, 8, 17, 8191, 8192, 8200])
STEPS = 4
COMMON = st.fixed_dictionaries(
    {
        "gradient_scale": st.sampled_from([1.0, 0.25]),
        "clip_value": st.sampled_from([0.0, 0.5]),
        "weight_decay": st.sampled_from([0.0, 0.1]),
    }
)


def sgd_slots(momentum):
    return (0.0 if momentum else None,)


def check_steps(name, count, seed, slots, options, step=False):
    """Take STEPS steps with kernel and twin and compare the value and the slots."""
    random = np.random.default_rng(seed)
    arrays = [
        random.normal(size=count),
        *(None if slot is None else np.zeros(count) for slot in slots),
    ]
    actual = [None if array is None else fenced(array.astype("f4")) for array in arrays]
    expected = [None if array is None else array.astype("f4").astype("f8") for array in arrays]
    for number in range(1, STEPS + 1):
        gradient = fenced(random.normal(size=count).astype("f4"))
        extra = {"step": number} if step else {}
        getattr(optim, name)(actual[0], gradient, *actual[1:], **options, **extra)
        twin = getattr(reference, name)
        expected = twin(expected[0], gradient, *expected[1:], **options, **extra)
        assert_fence_stands(gradient, *(array for array in actual if array is not None))
    for array, other in zip(actual, expected, strict=True):
        if array is not None:
            assert_close(array, other)


@given(
    count=COUNTS,
    seed=st.integers(0, 99),
    momentum=st.sampled_from([0.0, 0.9]),
    nesterov=st.booleans(),
    common=COMMON,
)
def test_sgd(count, seed, momentum, nesterov, common):
    options = {"learning_rate": 0.05, "momentum": momentum, "nesterov": nesterov and momentum > 0}
    check_steps("sgd", count, seed, [0.0 if momentum else None], options | common)


@given(count=COUNTS, seed=st.integers(0, 99), common=COMMON)
def test_adam(count, seed, common):
    options = {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    check_steps("adam", count, seed, [0.0, 0.0], options | common, step=True)


@given(
    count=COUNTS,
    seed=st.integers(0, 99),
    momentum=st.sampled_from([0.0, 0.5]),
    centered=st.booleans(),
    common=COMMON,
)
def test_rmsprop(count, seed, momentum, centered, common):
    options = {"learning_rate": 0.01, "rho": 0.9, "momentum": momentum, "epsilon": 1e-7}
    slots = [0.0, 0.0 if momentum else None, 0.0 if centered else None]
    check_steps("rmsprop", count, seed, slots, options | common)


def test_centered_rmsprop_survives_a_steady_gradient():
    value, square, mean = (np.zeros(3, "f4") for _ in range(3))
    gradient = np.array([1e-3, 1, 1e3], "f4")
    for _ in range(300):
        optim.rmsprop(value, gradient, square, None, mean, 1e-3, 0.9, 0.0, 1e-7)
    assert np.isfinite(value).all()


def test_a_nan_gradient_is_not_clipped_away():
    value, gradient = np.zeros(2, "f4"), np.array([np.nan, 9], "f4")
    optim.sgd(value, gradient, None, 1.0, clip_value=0.5)
    np.testing.assert_array_equal(value, [np.nan, -0.5])


def test_arrays_of_any_shape_and_of_no_values():
    value, gradient = np.ones((3, 4, 5), "f4"), np.full((3, 4, 5), 2, "f4")
    optim.sgd(value, gradient, None, 0.25)
    np.testing.assert_array_equal(value, 0.5)
    empty = np.empty((0, 3), "f4")
    optim.sgd(empty, empty, None, 0.1)
    optim.adam(empty, empty, empty, empty, 0.1, 0.9, 0.999, 1e-7, 1)
    optim.rmsprop(empty, empty, empty, None, None, 0.1, 0.9, 0.0, 1e-7)
    assert optim.sum_of_squares(empty) == 0


@pytest.mark.parametrize("count", [1, 8192, 30001])
def test_sum_of_squares(count):
    gradient = fenced(np.random.default_rng(1).normal(size=count).astype("f4"))
    expected = np.sum(np.float64(gradient) ** 2)
    assert optim.sum_of_squares(gradient) == pytest.approx(expected, rel=1e-13)


def test_sum_of_squares_does_not_overflow():
    assert optim.sum_of_squares(np.full(4, 1e30, "f4")) == pytest.approx(4e60, rel=1e-6)


def test_same_bits_for_any_number_of_threads():
    random = np.random.default_rng(2)
    start, gradient = random.normal(size=(2, 50001)).astype("f4")

    def run():
        a, b, c = start.copy(), start.copy(), start.copy()
        slots = np.zeros((6, start.size), "f4")
        for step in (1, 2):
            optim.sgd(a, gradient, slots[0], 0.1, 0.9, True)
            optim.adam(b, gradient, slots[1], slots[2], 0.1, 0.9, 0.999, 1e-7, step)
            optim.rmsprop(c, gradient, slots[3], slots[4], slots[5], 0.1, 0.9, 0.5, 1e-7)
        return a, b, c, slots, np.array(optim.sum_of_squares(gradient))

    assert_same_bits_for_threads(run)
