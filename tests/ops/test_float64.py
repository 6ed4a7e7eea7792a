"""float64 has the kernels of one SIMD level; those of the others take float32 alone."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from fastconv._core import runtime
from fastconv.ops.plans.pooling import Pool2DPlan

kernels, float64 = runtime.kernels, runtime.kernels.float64
TYPED = (
    "conv", "conv_gradient", "dense", "dense_narrow", "depthwise", "elementwise", "fused", "pool",
    "sparse",
)  # fmt: skip
"""The modules of kernels for values of several types."""
one_type = pytest.mark.skipif(
    "d" in kernels.conv.LANES, reason="this level's kernels take float64, too"
)

RESULTS = """
import numpy as np
from oracle import assert_close, check_linear
import fastconv
from fastconv import ops
from fastconv.ops import elementwise, reference, reference_pooling
from fastconv.ops.plans.conv_pool import ConvPoolPlan
from fastconv.ops.plans.dense import DensePlan

draw = np.random.default_rng(3).standard_normal
for size, channels, filters, side, strides, groups in (
    (9, 3, 8, 3, 1, 1), (8, 16, 32, 3, 2, 1), (6, 24, 24, 3, 1, 24), (7, 8, 16, 5, 1, 4),
    (5, 40, 2, 1, 1, 1), (4, 5, 20, 3, 1, 1),
):
    x, kernel = draw((12, size, size, channels)), draw((side, side, channels // groups, filters))
    options = {"strides": strides, "padding": "same", "groups": groups}
    wanted = reference.conv2d(x, kernel, **options)
    found = ops.conv2d(x, kernel, **options)
    assert found.dtype == np.float64
    assert_close(found, wanted)
    dy = draw(wanted.shape)
    for a, b in zip(
        ops.conv2d_backward(dy, x, kernel, **options),
        reference.conv2d_backward(dy, x, kernel, **options),
    ):
        assert_close(a, b)
    for kind in ("max", "average", "l2"):
        pool, twin = (
            (getattr(where, f"{kind}_pool2d"), getattr(where, f"{kind}_pool2d_backward"))
            for where in (ops, reference_pooling)
        )
        assert_close(pool[0](x, 2), twin[0](x, 2))
        dy = draw(pool[0](x, 2).shape)
        assert_close(pool[1](dy, x, 2), twin[1](dy, x, 2))
    out = np.empty_like(x)
    elementwise.relu(x, out)
    assert_close(out, reference.relu(x))

for outputs in (3, 70):
    x, kernel, dy = draw((16, 50)), draw((50, outputs)), draw((16, outputs))
    plan, y, dx, dkernel = DensePlan(16, 50, outputs, dtype=np.float64), dy * 0, x * 0, kernel * 0
    plan.forward(x, kernel, None, y)
    assert_close(y, x @ kernel)
    plan.backward(dy, x, kernel, dx, dkernel, None)
    assert_close(dx, dy @ kernel.T)
    assert_close(dkernel, x.T @ dy)

x, kernel, bias = draw((2, 12, 12, 16)), draw((3, 3, 16, 24)), draw(24)
plan = ConvPoolPlan(x.shape, kernel.shape, dtype=np.float64)
y, argmax = np.empty(plan.output_shape), np.empty(plan.output_shape, np.uint8)
plan.forward(x, kernel, bias, y, argmax)
assert_close(y, reference.conv_pool(x, kernel, bias)[0])
dy, dx, dkernel, dbias = draw(y.shape), x * 0, kernel * 0, bias * 0
plan.backward(dy, argmax, x, kernel, dx, dkernel, dbias)
for a, b in zip(
    (dx, dkernel, dbias), reference.conv_pool_backward(dy, argmax, x, kernel)
):
    assert_close(a, b)
print(fastconv._core.runtime.kernels.simd_level, "is right")
"""


@pytest.mark.parametrize("level", kernels._usable_levels())
def test_results_are_right_whatever_the_level_is(level):
    done = subprocess.run(
        [sys.executable, "-c", RESULTS],
        env={**os.environ, "FASTCONV_SIMD": level, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == f"{level} is right\n", done.stderr


def test_each_type_has_kernels():
    assert "f" in kernels.conv.LANES and {"f", "d"} == set(float64.conv.LANES)
    assert runtime.kernels_of(np.dtype(np.float32)) is kernels
    assert runtime.kernels_of(np.dtype(np.float64)) is float64
    assert runtime.kernels_of(np.dtype(">f8")) is float64


@one_type
@pytest.mark.parametrize("name", TYPED)
def test_a_level_of_one_type_has_nothing_of_the_other(name):
    def typed(module) -> dict[str, set[str]]:
        found = vars(module).items()
        return {n: set(v.__signatures__) for n, v in found if hasattr(v, "__signatures__")}

    both, one = typed(getattr(float64, name)), typed(getattr(kernels, name))
    assert both and both.keys() == one.keys()
    assert all(types == {"float"} for types in one.values())
    assert all(types == {"float", "double"} for types in both.values())


@one_type
def test_a_level_of_one_type_refuses_the_other():
    x = np.ones(8)
    with pytest.raises(TypeError, match="No matching signature"):
        kernels.elementwise.relu(x, 1.0, x.copy(), 1)
    float64.elementwise.relu(x, 1.0, x.copy(), 1)
    image, pooled = np.ones((1, 4, 4, 2)), np.empty((1, 2, 2, 2))
    fields = Pool2DPlan("max", image.shape)._fields
    with pytest.raises(TypeError, match="No matching signature"):
        kernels.pool.pool(image, pooled, None, fields, 1)
    with pytest.raises(ValueError, match="expected 'float' but got 'double'"):
        kernels.pool.pool(image.astype(np.float32), pooled, None, fields, 1)
    weights, taps = np.ones((1, 1, 8, 8)), np.zeros((1, 2), np.int32)
    with pytest.raises(TypeError, match="No matching signature"):
        kernels.conv.pack(weights, np.empty(1000), taps, 1, False, 1)


def test_a_build_without_kernels_of_float64_says_so(monkeypatch):
    monkeypatch.setitem(vars(kernels.conv), "LANES", {"f": 4})
    monkeypatch.setattr(kernels, "_usable_levels", lambda: [])
    with pytest.raises(ImportError, match=r"no SIMD level .* takes float64 .* `pip install \.`"):
        kernels._load_float64()
