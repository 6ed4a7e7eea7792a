"""Operations plan once for a shape, in each thread for itself."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from fastconv import ops
from fastconv._core import runtime
from fastconv.ops import kept_plans
from fastconv.ops.kept_plans import kept_plan


class Made:
    """Counts as a plan."""

    number = 0

    def __init__(self, *arguments, owner, **options):
        Made.number += 1


@pytest.fixture(autouse=True)
def fresh():
    kept_plans._kept.plans.clear()
    Made.number = 0


def test_the_same_arguments_get_the_same_plan():
    first = kept_plan(Made, (1, 2), owner="a", padding="same")
    assert kept_plan(Made, (1, 2), owner="b", padding="same") is first
    assert kept_plan(Made, (1, 2), owner="a", padding="valid") is not first


def test_what_is_equal_but_not_the_same_is_checked_anew():
    x, kernel = np.ones((1, 5, 5, 2), np.float32), np.ones((3, 3, 2, 4), np.float32)
    ops.conv2d(x, kernel, strides=1, groups=1)
    with pytest.raises(TypeError, match="strides is True"):
        ops.conv2d(x, kernel, strides=True)
    with pytest.raises(TypeError, match=r"groups is 1\.0"):
        ops.conv2d(x, kernel, groups=1.0)
    with pytest.raises(ValueError, match=r"^conv2d_backward: padding is 'full'"):
        ops.conv2d_backward(np.ones((1, 3, 3, 4), np.float32), x, kernel, padding="full")


def test_lists_and_arrays_are_found_again():
    for value in ([2, 2], np.array([2, 2])):
        first = kept_plan(Made, owner="a", strides=value)
        assert kept_plan(Made, owner="a", strides=value.copy()) is first


def test_as_many_are_kept_as_documented_and_those_used_last():
    first = kept_plan(Made, 0, owner="a")
    for number in range(1, kept_plans.KEPT):
        kept_plan(Made, number, owner="a")
    assert kept_plan(Made, 0, owner="a") is first  # now used last
    kept_plan(Made, "one more", owner="a")
    assert len(kept_plans._kept.plans) == kept_plans.KEPT
    assert kept_plan(Made, 0, owner="a") is first
    made = Made.number
    kept_plan(Made, 1, owner="a")
    assert Made.number == made + 1


def test_settings_of_the_runtime_count():
    first, threads = kept_plan(Made, owner="a"), runtime.get_num_threads()
    runtime.set_num_threads(threads + 1)
    try:
        assert kept_plan(Made, owner="a") is not first
    finally:
        runtime.set_num_threads(threads)
    assert kept_plan(Made, owner="a") is first


def test_each_thread_has_its_own():
    x, kernel = (
        np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        for shape in ((2, 20, 20, 8), (3, 3, 8, 16))
    )
    expected, wrong = ops.conv2d(x, kernel), []

    def work():
        for _ in range(20):
            wrong.append(not np.array_equal(ops.conv2d(x, kernel), expected))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [False] * 80


def test_weights_that_change_between_calls_count():
    x, kernel = np.ones((1, 5, 5, 2), np.float32), np.ones((3, 3, 2, 4), np.float32)
    first = ops.conv2d(x, kernel)
    kernel *= 2
    np.testing.assert_array_equal(ops.conv2d(x, kernel), 2 * first)
