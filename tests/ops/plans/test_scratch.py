"""Scratch memory: kept, aligned, as large as asked; and plans that allocate nothing when run."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

from fastconv.ops.plans import Conv2DPlan, ConvPoolPlan, DensePlan, Pool2DPlan
from fastconv.ops.plans.scratch import GAP, Scratch


def test_is_kept_and_grows():
    scratch = Scratch(np.float32)
    first = scratch("a", 3, 5)
    assert first.dtype == np.float32 and first.shape[0] >= 3 and first.shape[1] >= 5
    assert scratch("a", 3, 5) is first and scratch("a", 2, 5) is first
    assert scratch("b", 3, 5) is not first
    larger = scratch("a", 4, 5)
    assert larger is not first and larger.shape[0] >= 4
    wider = scratch("a", 2, 40)
    assert wider.shape[0] >= 4 and wider.shape[1] >= 40
    assert scratch("a", 4, 5) is wider
    assert scratch("a", 7).shape == (7,)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_start_on_cache_lines_and_none_is_empty(dtype):
    scratch = Scratch(dtype)
    array = scratch("a", 3, 5)
    assert all(array[row].ctypes.data % 64 == 0 for row in range(3))
    assert scratch("empty", 0).size and scratch("flat", 2, 0).size
    assert scratch("offsets", 4, dtype=np.int32).dtype == np.int32


def test_rows_of_threads_lie_apart():
    rows = Scratch(np.float32).rows("a", 3, 1000)
    assert rows.shape[0] >= 3 and rows.strides[0] >= 4 * 1000 + GAP
    indices = Scratch(np.float32).rows("b", 2, 10, dtype=np.intp)
    assert indices.dtype == np.intp and indices.strides[0] >= 8 * 10 + GAP


@pytest.mark.parametrize(("size", "plan"), [(20, Conv2DPlan), (20, ConvPoolPlan), (7, Conv2DPlan)])
def test_a_plan_goes_when_nobody_holds_it(size, plan):
    """Its scratch would wait for the garbage collector otherwise, gigabytes of it."""
    gc.disable()
    try:
        x, kernel = np.ones((2, size, size, 16), np.float32), np.ones((3, 3, 16, 16), np.float32)
        held = plan(x.shape, kernel.shape)
        y = np.ones(held.output_shape, np.float32)
        argmax = [np.zeros(y.shape, np.uint8)] if plan is ConvPoolPlan else []
        held.forward(x, kernel, None, y, *argmax)
        held.backward(y, *argmax, x, kernel, x.copy(), kernel.copy(), None)
        gone = weakref.ref(held)
        del held
        assert gone() is None
    finally:
        gc.enable()


def _conv():
    bias, dbias = np.ones(64, np.float32), np.ones(64, np.float32)
    x, kernel = np.ones((4, 40, 40, 16), np.float32), np.ones((3, 3, 16, 64), np.float32)
    plan = Conv2DPlan(x.shape, kernel.shape, strides=2, padding="same")
    y, dx, dkernel = np.ones(plan.output_shape, np.float32), x.copy(), kernel.copy()
    return lambda: (
        plan.forward(x, kernel, bias, y),
        plan.backward(y, x, kernel, dx, dkernel, dbias),
    )


def _conv_pool():
    bias, dbias = np.ones(64, np.float32), np.ones(64, np.float32)
    x, kernel = np.ones((4, 40, 40, 16), np.float32), np.ones((3, 3, 16, 64), np.float32)
    plan = ConvPoolPlan(x.shape, kernel.shape)
    y, dx, dkernel = np.ones(plan.output_shape, np.float32), x.copy(), kernel.copy()
    argmax = np.zeros(plan.output_shape, np.uint8)
    return lambda: (
        plan.forward(x, kernel, bias, y, argmax),
        plan.backward(y, argmax, x, kernel, dx, dkernel, dbias),
    )


def _pool():
    x = np.ones((4, 40, 40, 16), np.float32)
    plan = Pool2DPlan("max", x.shape)
    y, dx = np.ones(plan.output_shape, np.float32), x.copy()
    return lambda: (plan.forward(x, y), plan.backward(y, x, dx))


def _dense():
    bias, dbias = np.ones(64, np.float32), np.ones(64, np.float32)
    x, kernel = np.ones((8, 2000), np.float32), np.ones((2000, 64), np.float32)
    plan = DensePlan(8, 2000, 64)
    y, dx, dkernel = np.ones((8, 64), np.float32), x.copy(), kernel.copy()
    return lambda: (
        plan.forward(x, kernel, bias, y),
        plan.backward(y, x, kernel, dx, dkernel, dbias),
    )


LARGE = 24 * 1024
"""Fewer bytes than any kernel or image above, and nine times what a step takes for its views and
numbers, up to 2.6 KB; the rest is for what other threads of the process do meanwhile."""


@pytest.mark.parametrize("make", [_conv, _conv_pool, _pool, _dense])
def test_nothing_is_allocated_once_warm(make):
    step = make()
    for _ in range(2):
        step()  # a kernel is copied once it is the same for a second time
    peaks = []
    tracemalloc.start()
    try:
        for _ in range(5):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            step()
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    # What a step allocates it allocates each time; another thread may be about anything.
    assert min(peaks) < LARGE, peaks
