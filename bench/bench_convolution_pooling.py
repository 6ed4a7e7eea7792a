"""Convolution, ReLU and 2x2 max pooling in one, as models run them."""

import pytest

from fastconv.graph import fusion
from fastconv.layers import Conv2D, MaxPooling2D
from fastconv.models import Sequential

# batch, size, channels, filters
SHAPES = {
    "3->32 of 100x100": (32, 100, 3, 32),
    "32->32 of 49x49": (32, 49, 32, 32),
    "32->64 of 49x49": (32, 49, 32, 64),
    "64->128 of 23x23": (32, 23, 64, 128),
    "13->31 of 47x47, odd": (32, 47, 13, 31),
    "32->64 of 49x49, one image": (1, 49, 32, 64),
}


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def block(request, normal):
    """Return the fused op that a model runs, and its input."""
    batch, size, channels, filters = request.param
    convolution = Conv2D(filters, 3, activation="relu", input_shape=(size, size, channels))
    (fused_op,) = fusion.fuse(Sequential([convolution, MaxPooling2D()]).layers)
    return fused_op, normal((batch, size, size, channels))


def test_forward(benchmark, block):
    fused_op, x = block
    benchmark(fused_op.call, x, False)


def test_forward_in_training(benchmark, block):
    fused_op, x = block
    benchmark(fused_op.call, x, True)


@pytest.mark.parametrize("needs_dx", [False, True], ids=["kernel gradient", "all gradients"])
def test_backward(benchmark, block, normal, needs_dx):
    fused_op, x = block
    fused_op.layers[0].needs_input_gradient = needs_dx
    y = fused_op.call(x, True)
    # The time depends on it: the gradients skip outputs that are 0.
    benchmark.extra_info["living units"] = float((y > 0).mean())
    benchmark(fused_op.backward, normal(y.shape))
