"""Plans tell what they take, and take what a test or a benchmark asks for."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv.ops import reference
from fastconv.ops.plans import Conv2DPlan, ConvPoolPlan, DensePlan, NormalizationPlan, Pool2DPlan
from fastconv.ops.plans.select import ALGORITHMS, forced

SHAPES = [
    ((3, 14, 15, 6), (3, 3, 6, 20), {"padding": "same"}),
    ((2, 9, 9, 64), (3, 3, 4, 64), {"groups": 16, "strides": 2}),
]


def taken(plan):
    return {direction: found["algorithm"] for direction, found in plan.describe().items()}


@pytest.mark.parametrize(
    ("direction", "algorithm"),
    [(name, algorithm) for name, algorithms in ALGORITHMS.items() for algorithm in algorithms],
)
@pytest.mark.parametrize(("x", "kernel", "options"), SHAPES, ids=["one group", "groups"])
def test_each_algorithm_can_be_forced_and_is_right(direction, algorithm, x, kernel, options):
    rng = np.random.default_rng(0)
    values, weights = rng.standard_normal(x, np.float32), rng.standard_normal(kernel, np.float32)
    try:
        with forced(algorithm, direction):
            plan = Conv2DPlan(x, kernel, **options)
        found = taken(plan)[direction]
    except ValueError as error:
        assert "groups" in options or algorithm == "depthwise"
        assert str(error) == f"forced: {algorithm!r} does not serve this convolution"
        return
    assert found == algorithm or algorithm == "direct"
    y, dx, dkernel = np.empty(plan.output_shape, "f"), np.empty(x, "f"), np.empty(kernel, "f")
    dy = rng.standard_normal(plan.output_shape, np.float32)
    plan.forward(values, weights, None, y)
    plan.backward(dy, values, weights, dx, dkernel, None)
    gradients = reference.conv2d_backward(dy, values, weights, **options)
    expected = (reference.conv2d(values, weights, None, **options), *gradients[:2])
    for result, wanted in zip((y, dx, dkernel), expected, strict=True):
        np.testing.assert_allclose(result, wanted, atol=2e-5 * np.abs(wanted).max())


def test_forcing_ends_with_its_block_and_holds_for_plans_made_inside():
    shape = (8, 30, 30, 32), (3, 3, 32, 32)
    before = taken(Conv2DPlan(*shape))
    with forced("panels"), forced("product"):
        inside = Conv2DPlan(*shape)
        with forced("patch"):
            inner = Conv2DPlan(*shape)
        assert taken(Conv2DPlan(*shape)) == taken(inside)
    assert taken(inside) == {
        "output": "panels",
        "input_gradient": "panels",
        "kernel_gradient": "product",
    }
    assert taken(inner)["kernel_gradient"] == "patch"
    assert taken(Conv2DPlan(*shape)) == before != taken(inside)


@pytest.mark.parametrize("algorithm", ["panels", "dot_products", "winograd", "winograd_narrow"])
def test_a_pooled_output_can_be_forced(algorithm):
    with forced(algorithm, "output"):
        plan = ConvPoolPlan((2, 12, 12, 8), (3, 3, 8, 9))
    assert taken(plan)["output"] == algorithm


def test_dot_products_need_a_whole_vector_of_values():
    with forced("dot_products", "output"), pytest.raises(ValueError, match="does not serve"):
        Conv2DPlan((2, 12, 12, 1), (3, 3, 1, 9))


def test_what_is_unknown_is_refused():
    for wrong in (("fastest",), ("panels", "kernel_gradient")):
        with pytest.raises((ValueError, KeyError)), forced(*wrong):
            pass


def test_the_chosen_algorithm_is_the_cheapest_of_those_told():
    for x, kernel, options in SHAPES:
        for found in Conv2DPlan(x, kernel, **options).describe().values():
            best = min(found["costs"], key=found["costs"].get, default="direct")
            assert found["algorithm"] == best or best == "direct"


def test_every_plan_describes_itself():
    shape = (2, 8, 8, 16)
    plans = [Pool2DPlan("max", shape), DensePlan(4, 100, 10), NormalizationPlan(64, 16)]
    for plan in plans:
        assert plan.describe()
