"""Operations plan once for a shape; what they keep has bounds, and one user at a time."""

from __future__ import annotations

import threading
import weakref

import numpy as np
import pytest

from fastconv import ops
from fastconv._core import runtime
from fastconv.ops import kept_plans
from fastconv.ops.kept_plans import KeptPlans, Operation, memory_of, plans
from fastconv.ops.plans import Conv2DPlan, Pool, sharing
from fastconv.ops.plans.scratch import Scratch
from fastconv.utils import clear_session

FLOAT = np.dtype(np.float32)


class Made:
    """Counts as a plan, of some bytes."""

    number = 0

    def __init__(self, size=0, *, dtype, owner, strides=1):
        Made.number += 1
        self.memory = np.empty(size, np.uint8)


Made.__module__ = "fastconv.ops.plans.made"
MADE = Operation("made", Made, ("strides",))


@pytest.fixture(autouse=True)
def fresh():
    clear_session()
    Made.number = 0
    yield
    clear_session()


def used(store, *shapes, strides=1):
    """Return the plan that is taken, and given back."""
    kept = store.take(MADE, shapes, FLOAT, (strides,))
    store.give_back(kept)
    return kept.plan


def case(shape=(2, 20, 20, 8), kernel_shape=(3, 3, 8, 16)):
    rng = np.random.default_rng(0)
    return rng.standard_normal(shape, np.float32), rng.standard_normal(kernel_shape, np.float32)


def test_the_same_arguments_get_the_same_plan():
    store = KeptPlans()
    first = used(store, 1)
    assert used(store, 1) is first
    assert used(store, 2) is not first
    assert used(store, 1, strides=2) is not first


def test_functions_of_one_shape_share_a_plan():
    x, kernel = case()
    y = ops.conv2d(x, kernel)
    ops.conv2d_backward(y, x, kernel)
    ops.average_pool2d_backward(ops.average_pool2d(x), x)
    assert len(plans) == 2


def test_what_is_equal_but_not_the_same_is_checked_anew():
    x, kernel = np.ones((1, 5, 5, 2), np.float32), np.ones((3, 3, 2, 4), np.float32)
    ops.conv2d(x, kernel, strides=1, groups=1)
    ops.conv2d(x, kernel, strides=(1, 1), padding=((0, 0), (0, 0)))
    ops.max_pool2d(x, ceil_mode=False)
    with pytest.raises(TypeError, match="strides is True"):
        ops.conv2d(x, kernel, strides=True)
    with pytest.raises(TypeError, match="strides is "):
        ops.conv2d(x, kernel, strides=(1.0, 1))
    with pytest.raises(ValueError, match="padding is "):
        ops.conv2d(x, kernel, padding=((0, 0), (0.0, 0)))
    with pytest.raises(TypeError, match=r"groups is 1\.0"):
        ops.conv2d(x, kernel, groups=1.0)
    with pytest.raises(TypeError, match=r"ceil_mode is 0\.0"):
        ops.max_pool2d(x, ceil_mode=0.0)
    with pytest.raises(ValueError, match=r"^conv2d_backward: padding is 'full'"):
        ops.conv2d_backward(np.ones((1, 3, 3, 4), np.float32), x, kernel, padding="full")


def test_lists_and_arrays_are_found_again():
    store = KeptPlans()
    for value in ([2, 2], np.array([2, 2])):
        first = used(store, strides=value)
        assert used(store, strides=value.copy()) is first


def test_as_many_are_kept_as_fit_and_those_used_last():
    store = KeptPlans(most_plans=3)
    first = used(store, 0)
    for number in (1, 2):
        used(store, number)
    assert used(store, 0) is first  # now used last
    used(store, 3)
    assert len(store) == 3
    assert used(store, 0) is first
    made = Made.number
    used(store, 1)
    assert Made.number == made + 1


def test_bytes_are_bounded():
    store = KeptPlans(most_bytes=1000)
    for number in range(5):
        used(store, 400 + number)
    assert len(store) == 2 and store.nbytes == 403 + 404
    used(store, 1001)  # more than all may have: others stay
    assert store.nbytes == 403 + 404


def test_memory_that_a_plan_takes_later_is_counted():
    x, kernel = case()
    y = ops.conv2d(x, kernel)
    before = plans.nbytes
    assert before > 0
    ops.conv2d_backward(y, x, kernel)
    assert plans.nbytes > before


def test_the_memory_of_a_plan_is_that_of_its_arrays():
    scratch = Scratch(np.float32)
    assert memory_of([scratch]) == 0
    array = scratch("a", 1000)
    assert array.nbytes <= memory_of([scratch, scratch, (scratch,)]) < array.nbytes + 200


def test_settings_of_the_runtime_count(threads):
    store = KeptPlans()
    threads(1)
    first = used(store)
    threads(2)
    assert used(store) is not first
    threads(1)
    assert used(store) is first
    runtime.set_fast_math(False)
    try:
        assert used(store) is not first
    finally:
        runtime.set_fast_math(True)


def test_a_plan_in_use_is_not_given_to_another():
    store = KeptPlans()
    kept = [store.take(MADE, (1,), FLOAT, (1,)) for _ in range(3)]
    assert len({id(one.plan) for one in kept}) == 3
    for one in kept:
        store.give_back(one)
    assert len(store) == 3
    again = [store.take(MADE, (1,), FLOAT, (1,)) for _ in range(3)]
    assert {id(one) for one in again} == {id(one) for one in kept}


def test_a_plan_that_was_interrupted_is_not_used_again(monkeypatch):
    x, kernel = case()
    expected = ops.conv2d(x, kernel)

    def interrupted(self, *_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Conv2DPlan, "forward", interrupted)
        ops.conv2d(x, kernel)
    np.testing.assert_array_equal(ops.conv2d(x, kernel), expected)
    assert len(plans) == 2


def test_threads_compute_what_one_does():
    shapes = [((2, 20, 20, 8), (3, 3, 8, 16)), ((1, 9, 9, 64), (3, 3, 64, 64))]
    arrays = [case(*pair) for pair in shapes]

    def computed(x, kernel):
        y = ops.conv2d(x, kernel)
        return b"".join(a.tobytes() for a in (y, *ops.conv2d_backward(y, x, kernel)))

    expected, right = [computed(*pair) for pair in arrays], []

    def work(number):
        for turn in range(20):
            which = (number + turn) % 2
            right.append(computed(*arrays[which]) == expected[which])
            if turn == 10 and not number:
                clear_session()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 80
    assert len(plans) <= 4 * len(shapes)


def test_clear_session_lets_go_of_plans():
    x, kernel = case()
    ops.conv2d(x, kernel)
    plan = weakref.ref(next(iter(plans._kept.values()))[0].plan)
    clear_session()
    assert plan() is None and len(plans) == 0 and plans.nbytes == 0


def test_plans_keep_no_images():
    x, kernel = case()
    y = ops.conv2d(x, kernel)
    gradients = ops.conv2d_backward(y, x, kernel)
    ops.max_pool2d_backward(ops.max_pool2d(x), x)
    images = [weakref.ref(array) for array in (x, y, *gradients)]
    del x, y, gradients
    assert [image() for image in images] == [None] * 5


def test_a_models_scratch_stays_its_own(threads):
    """What is called in a model's pass may be called again elsewhere, at the same time."""
    threads(2)
    x, kernel = case((4, 28, 28, 64), (3, 3, 64, 64))
    y = ops.conv2d(x, kernel)
    pool = Pool()
    with sharing(pool):
        ops.conv2d_backward(y, x, kernel)
        ops.conv2d(x[:2], kernel)
    assert pool.nbytes == 0


def test_weights_that_change_between_calls_count():
    x, kernel = np.ones((1, 5, 5, 2), np.float32), np.ones((3, 3, 2, 4), np.float32)
    first = ops.conv2d(x, kernel)
    kernel *= 2
    np.testing.assert_array_equal(ops.conv2d(x, kernel), 2 * first)


def test_the_bounds_are_those_that_are_told():
    assert plans._most_plans == kept_plans.MOST_PLANS == 64
    assert plans._most_bytes == kept_plans.MOST_BYTES == 2**28
