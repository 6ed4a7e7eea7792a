"""Scratch that plans have in common: the same bits as with scratch of their own."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv.ops.plans import Conv2DPlan, Pool, sharing

#: Layers of many kinds and sizes, which ask one scratch for larger and smaller arrays by turns.
CASES = [
    ((2, 20, 18, 32), (3, 3, 32, 48)),
    ((1, 9, 9, 8), (3, 3, 8, 8)),
    ((4, 30, 26, 64), (5, 5, 64, 16)),
    ((2, 12, 12, 96), (1, 1, 96, 128)),
    ((3, 7, 7, 128), (3, 3, 128, 128)),
    ((2, 33, 31, 16), (7, 7, 16, 24)),
]


def results(plans):
    """Return all that the plans compute, by turns and with two kernels."""
    found = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        for plan, (shape, kernel_shape) in zip(plans, CASES, strict=True):
            x = rng.normal(size=shape).astype(np.float32)
            kernel = rng.normal(size=kernel_shape).astype(np.float32)
            out = np.empty(plan.output_shape, np.float32)
            plan.forward(x, kernel, None, out)
            dx, dkernel = np.empty_like(x), np.empty_like(kernel)
            dbias = np.empty(kernel_shape[3], np.float32)
            plan.backward(out, x, kernel, dx, dkernel, dbias)
            found += [out, dx, dkernel, dbias]
    return found


@pytest.mark.parametrize("count", [1, 2, 3])
def test_plans_of_one_pool_compute_what_they_do_alone(count, threads):
    threads(count)
    alone = [Conv2DPlan(*case, padding="same") for case in CASES]
    pool = Pool()
    with sharing(pool):
        together = [Conv2DPlan(*case, padding="same") for case in CASES]
    for one, other in zip(results(alone), results(together), strict=True):
        assert one.tobytes() == other.tobytes()
    assert pool.nbytes > 0


def test_a_pool_ends_where_its_block_does():
    first, second = Pool(), Pool()
    with sharing(first):
        with sharing(second):
            Conv2DPlan(*CASES[0])
        made = Conv2DPlan(*CASES[0])
    other = Conv2DPlan(*CASES[0])
    for plan in (made, other):
        x = np.ones(CASES[0][0], np.float32)
        plan.forward(x, np.ones(CASES[0][1], np.float32), None, np.empty(plan.output_shape, "f4"))
    assert first.nbytes > 0 and second.nbytes == 0
