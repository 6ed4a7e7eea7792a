"""Pooling of its own."""

import numpy as np
import pytest

from fastconv.ops.plans import Pool2DPlan

SHAPE = (32, 98, 98, 32)
WINDOWS = {"2x2": (2, 2), "3x3/2": (3, 2), "3x3": (3, 1), "global": (98, 98)}


@pytest.fixture(params=WINDOWS.values(), ids=WINDOWS)
def window(request):
    return request.param


@pytest.fixture(params=["max", "average", "l2"])
def plan(request, window):
    size, stride = window
    return Pool2DPlan(request.param, SHAPE, pool_size=size, strides=stride, dtype=np.float32)


def test_forward(benchmark, plan, normal):
    benchmark(plan.forward, normal(SHAPE), np.empty(plan.output_shape, np.float32))


def test_backward(benchmark, plan, normal):
    x, dy = normal(SHAPE), normal(plan.output_shape)
    argmax = None
    if plan.keeps_argmax:
        argmax = np.empty(plan.output_shape, np.uint8)
        plan.forward(x, np.empty_like(dy), argmax)
    benchmark(plan.backward, dy, x, np.empty_like(x), argmax)
