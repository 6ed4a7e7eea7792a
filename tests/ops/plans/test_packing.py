import numpy as np
import pytest

from fastconv import architectures
from fastconv.ops.plans import Conv2DPlan, ConvPoolPlan
from fastconv.ops.plans.packing import PackedKernel


class Packer:
    """Doubles a kernel, and counts how often."""

    def __init__(self, size):
        self.calls = 0
        self.packed = PackedKernel(size, np.dtype(np.float32))

    def __call__(self, kernel, out):
        self.calls += 1
        out[: kernel.size] = 2 * kernel.reshape(-1)

    def check(self, kernel):
        got = self.packed(kernel, self)[: kernel.size]
        np.testing.assert_array_equal(got, 2 * kernel.reshape(-1))


def test_packs_once_while_the_kernel_stays():
    kernel = np.arange(72, dtype=np.float32).reshape(3, 3, 2, 4)
    packer = Packer(kernel.size)
    for _ in range(5):
        packer.check(kernel)
    assert packer.calls == 2
    packer.check(kernel.copy())
    assert packer.calls == 2, "another array of the same values is the same kernel"


@pytest.mark.parametrize("place", [0, 15, 16, 71])
def test_sees_one_weight_that_was_changed_in_place(place):
    kernel = np.zeros((3, 3, 2, 4), np.float32)
    packer = Packer(kernel.size)
    for _ in range(3):
        packer.check(kernel)
    for value in (1, -1, 0):
        kernel.reshape(-1)[place] = value
        packer.check(kernel)
        packer.check(kernel)
        packer.check(kernel)


@pytest.mark.parametrize("place", [0, 8191, 8192, 99_999])
def test_sees_one_weight_of_many_with_any_threads(place, threads):
    threads(3)
    kernel = np.zeros((100, 1, 10, 100), np.float32)
    packer = Packer(kernel.size)
    for _ in range(3):
        packer.check(kernel)
    kernel.reshape(-1)[place] = np.float32(1e-40)  # bits alone tell it from 0
    packer.check(kernel)
    assert packer.calls == 3


def test_compares_bits():
    kernel = np.full((1, 1, 1, 40), np.nan, np.float32)
    packer = Packer(kernel.size)
    for _ in range(4):
        packer.packed(kernel, packer)
    assert packer.calls == 2, "a NaN that stays is no change"
    kernel[...] = 0
    for _ in range(3):
        packer.packed(kernel, packer)
    calls = packer.calls
    kernel[0, 0, 0, 39] = -0.0
    assert np.signbit(packer.packed(kernel, packer)[39])
    assert packer.calls == calls + 1


def test_makes_no_copy_while_the_kernel_is_trained():
    kernel = np.zeros((3, 3, 2, 4), np.float32)
    packer = Packer(kernel.size)
    for _ in range(4):
        packer.check(kernel)
        kernel += 1
    assert packer.packed._packed_bytes is None


def test_a_kernel_of_one_weight():
    kernel = np.ones((1, 1, 1, 1), np.float32)
    packer = Packer(1)
    for _ in range(4):
        packer.check(kernel)
    assert packer.calls == 2


@pytest.mark.parametrize(
    ("plan_class", "input_shape", "kernel_shape", "options"),
    [
        (ConvPoolPlan, (1, 12, 12, 3), (3, 3, 3, 8), {}),  # direct
        (ConvPoolPlan, (2, 20, 20, 32), (3, 3, 32, 32), {}),  # Winograd's
        (Conv2DPlan, (2, 20, 20, 32), (3, 3, 32, 32), {}),
        (Conv2DPlan, (1, 9, 9, 4), (3, 3, 4, 6), {"strides": 2}),
        (Conv2DPlan, (1, 9, 9, 4), (3, 3, 1, 4), {"groups": 4}),
    ],
)
def test_plans_see_every_weight_that_changes(plan_class, input_shape, kernel_shape, options):
    rng = np.random.default_rng(0)
    plan = plan_class(input_shape, kernel_shape, **options)
    kernel = rng.normal(size=kernel_shape).astype(np.float32)
    x = rng.normal(size=input_shape).astype(np.float32)
    out, expected = (np.empty(plan.output_shape, np.float32) for _ in range(2))
    rest = (None,) if plan_class is ConvPoolPlan else ()
    for place in rng.integers(0, kernel.size, 6):
        for _ in range(3):
            plan.forward(x, kernel, None, out, *rest)
        kernel.reshape(-1)[place] += 1
        plan.forward(x, kernel, None, out, *rest)
        fresh = plan_class(input_shape, kernel_shape, **options)
        fresh.forward(x, kernel, None, expected, *rest)
        np.testing.assert_array_equal(out, expected)


def test_a_model_predicts_with_the_weights_of_now():
    model = architectures.model2((30, 30, 3))
    x = np.random.default_rng(0).random((1, 30, 30, 3), np.float32)
    before = [model.predict_on_batch(x) for _ in range(4)]
    np.testing.assert_array_equal(before, before[:1] * 4)
    for layer in model.layers:
        for parameter in layer.parameters:
            kept = parameter.value.copy()
            # The last value that counts: a bias below 0 may be scheme off.
            parameter.value.reshape(-1)[-1] += 5
            changed = model.predict_on_batch(x)
            twin = type(model).from_config(model.get_config())
            twin.set_weights(model.get_weights())
            np.testing.assert_array_equal(changed, twin.predict_on_batch(x))
            parameter.value[...] = kept
            np.testing.assert_array_equal(model.predict_on_batch(x), before[0])
