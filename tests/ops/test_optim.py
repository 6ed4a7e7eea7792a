"""The optimizers' kernels against their twins over many steps, and the sum of squares."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastconv.ops import optim, reference_optim

CHUNK = 8192
SHAPES = [(1,), (3, 3, 3, 5), (CHUNK,), (CHUNK + 1,), (2 * CHUNK + 17,)]
STEPS = 10
MARGIN = 37

COMMON = [
    {},
    {"weight_decay": 0.1},
    {"clip_value": 0.5},
    {"gradient_scale": 0.25},
    {"gradient_scale": 3.0, "clip_value": 0.7, "weight_decay": 0.01},
]
each_common = pytest.mark.parametrize("common", COMMON, ids=str)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def fenced(array):
    """Return a copy amid memory of 7s, and the whole memory."""
    memory = np.full(array.size + 2 * MARGIN, 7, np.float32)
    inside = memory[MARGIN:-MARGIN].reshape(array.shape)
    inside[...] = array
    return inside, memory


def train(update, twin, shape, slots, **options):
    """Take STEPS steps with both and check values and slots after each.

    `slots` tells of each array of state whether it is there; if not, None is passed.
    """
    counts = {"beta_1", "epsilon"} <= options.keys()  # the rule asks for the step's number
    rng = np.random.default_rng(1)
    expected = [rng.standard_normal(shape).astype(np.float32).astype(np.float64)]
    expected += [np.zeros(shape) if used else None for used in slots]
    fences = [None if array is None else fenced(array) for array in expected]
    actual = [None if fence is None else fence[0] for fence in fences]
    for step in range(1, STEPS + 1):
        gradient = rng.standard_normal(shape).astype(np.float32)
        kept = gradient.copy()
        if counts:
            options["step"] = step
        update(actual[0], gradient, *actual[1:], **options)
        twin(expected[0], gradient.astype(np.float64), *expected[1:], **options)
        np.testing.assert_array_equal(gradient, kept)
        for ours, theirs in zip(actual, expected, strict=True):
            if ours is not None:
                np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=3e-6)
    for fence in fences:
        if fence is not None:
            assert (fence[1][:MARGIN] == 7).all() and (fence[1][-MARGIN:] == 7).all()


@each_common
@each_shape
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd(shape, momentum, nesterov, common):
    options = {"learning_rate": 0.05, "momentum": momentum, "nesterov": nesterov, **common}
    train(optim.sgd, reference_optim.sgd, shape, [momentum > 0], **options)


@each_common
@each_shape
def test_adam(shape, common):
    options = {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, **common}
    train(optim.adam, reference_optim.adam, shape, [True, True], **options)


@each_common
@each_shape
def test_amsgrad(shape, common):
    options = {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.5, "epsilon": 1e-7, **common}

    def with_largest(function):
        def update(value, gradient, m, v, largest, **more):
            function(value, gradient, m, v, largest_v=largest, **more)

        return update

    functions = with_largest(optim.adam), with_largest(reference_optim.adam)
    train(*functions, shape, [True, True, True], **options)


@each_common
@each_shape
def test_nadam(shape, common):
    options = {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, **common}
    train(optim.nadam, reference_optim.nadam, shape, [True, True], **options)


@pytest.mark.parametrize("step", [1, 2, 999, 1000, 1001, 3000])
def test_the_momentum_of_nadam_at_any_step(step):
    """Its bias is a product over all steps before, for a beta_1 with which that is not 0."""
    rng = np.random.default_rng(0)
    arrays = [rng.random(5).astype(np.float32) for _ in range(4)]
    twins = [array.astype(np.float64) for array in arrays]
    options = (0.01, 0.9999, 0.999, 1e-7, step)
    optim.nadam(*arrays, *options)
    reference_optim.nadam(*twins, *options)
    np.testing.assert_allclose(arrays[0], twins[0], rtol=1e-5)


@each_common
@each_shape
def test_adagrad(shape, common):
    # A first step's gradient is divided by itself: what is near 0 has its error magnified.
    options = {"learning_rate": 0.01, "epsilon": 1e-2, **common}
    train(optim.adagrad, reference_optim.adagrad, shape, [True], **options)


@each_common
@each_shape
def test_lion(shape, common):
    # The weights of the sum are exact in float32, so that its sign is that of the twin.
    options = {"learning_rate": 0.01, "beta_1": 0.5, "beta_2": 0.75, **common}

    train(optim.lion, reference_optim.lion, shape, [True], **options)


@each_shape
def test_sums(shape):
    rng = np.random.default_rng(0)
    array = rng.standard_normal(shape).astype(np.float32)
    array.reshape(-1)[0] = 0
    for function, addend in [(optim.add, array), (optim.add_signs, np.sign(array))]:
        out, memory = fenced(rng.standard_normal(shape))
        expected = out + np.float32(0.3) * addend
        function(out, array, 0.3)
        np.testing.assert_allclose(out, expected, rtol=1e-6, atol=1e-6)
        assert (memory[:MARGIN] == 7).all() and (memory[-MARGIN:] == 7).all()
    average, _ = fenced(rng.standard_normal(shape))
    expected = 0.75 * average + 0.25 * array
    optim.move_average(average, array, 0.75)
    np.testing.assert_allclose(average, expected, rtol=1e-6, atol=1e-6)
    optim.move_average(average, array, 0.0)
    np.testing.assert_array_equal(average, array)


@each_common
@each_shape
@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("centered", [False, True])
def test_rmsprop(shape, momentum, centered, common):
    # A larger epsilon where it is centered: g**2 - mean**2 of a first step nearly cancels.
    epsilon = 1e-2 if centered else 1e-7
    options = {"learning_rate": 0.01, "rho": 0.9, "momentum": momentum, "epsilon": epsilon}
    slots = [True, momentum > 0, centered]
    train(optim.rmsprop, reference_optim.rmsprop, shape, slots, **options, **common)


def test_nothing_to_update():
    empty = np.empty(0, np.float32)
    optim.sgd(empty, empty, None, 0.1)
    optim.adam(empty, empty, empty, empty, 0.1, 0.9, 0.999, 1e-7, 1)
    optim.rmsprop(empty, empty, empty, None, None, 0.1, 0.9, 0.0, 1e-7)
    assert optim.sum_of_squares(empty) == 0.0


@each_shape
def test_sum_of_squares_is_added_in_double(shape):
    values = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    values.reshape(-1)[0] = 1e4
    expected = math.fsum(float(value) ** 2 for value in values.reshape(-1))
    assert optim.sum_of_squares(values) == pytest.approx(expected, rel=1e-13)


def test_sum_of_squares_is_nan_or_infinite_as_its_terms_are():
    values = np.ones(CHUNK + 3, np.float32)
    values[-1] = np.inf
    assert optim.sum_of_squares(values) == np.inf
    values[0] = np.nan
    assert math.isnan(optim.sum_of_squares(values))


@pytest.mark.parametrize("clip_value", [0.0, 0.5])
def test_nan_gradients_are_not_hidden(clip_value):
    value, gradient = np.ones(4, np.float32), np.array([1, np.nan, 1, 1], np.float32)
    optim.sgd(value, gradient, None, 0.1, clip_value=clip_value)
    np.testing.assert_array_equal(np.isnan(value), [False, True, False, False])
    value, zeros = np.ones(4, np.float32), np.zeros(4, np.float32)
    optim.lion(value, gradient, zeros, 0.1, 0.9, 0.99, clip_value=clip_value)
    np.testing.assert_array_equal(np.isnan(value), [False, True, False, False])
    value, m, v, largest = np.ones((4, 4), np.float32)
    optim.adam(
        value, gradient, m, v, 0.1, 0.9, 0.9, 0.1, 1, clip_value=clip_value, largest_v=largest
    )
    np.testing.assert_array_equal(np.isnan(value), [False, True, False, False])
