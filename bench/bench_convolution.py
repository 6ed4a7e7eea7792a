"""Convolution: output, and both gradients, over a spread of shapes."""

import numpy as np
import pytest

from fastconv.ops.plans import Conv2DPlan

# batch, size, channels, filters, kernel, stride, padding, groups
SHAPES = {
    "3x3 3->32": (32, 100, 3, 32, 3, 1, "valid", 1),
    "3x3 32->64": (32, 49, 32, 64, 3, 1, "valid", 1),
    "3x3 64->128 same": (32, 23, 64, 128, 3, 1, "same", 1),
    "3x3 512->512 same": (4, 14, 512, 512, 3, 1, "same", 1),
    "3x3/2 64->128 same": (8, 56, 64, 128, 3, 2, "same", 1),
    "5x5 64->192 same": (8, 27, 64, 192, 5, 1, "same", 1),
    "5x5/2 32->64 same": (8, 56, 32, 64, 5, 2, "same", 1),
    "7x7 32->32 same": (8, 28, 32, 32, 7, 1, "same", 1),
    "11x11/4 3->64": (4, 224, 3, 64, 11, 4, "valid", 1),
    "1x1 256->64": (8, 28, 256, 64, 1, 1, "valid", 1),
    "7x7/2 3->64 same": (4, 224, 3, 64, 7, 2, "same", 1),
    "3x3 13->31, odd": (16, 47, 13, 31, 3, 1, "valid", 1),
    "3x3 64->64, 4 groups": (8, 56, 64, 64, 3, 1, "same", 4),
    "3x3 128, depthwise": (8, 56, 128, 128, 3, 1, "same", 128),
    "3x3/2 128, depthwise": (8, 56, 128, 128, 3, 2, "same", 128),
    "5x5 96, depthwise": (8, 28, 96, 96, 5, 1, "same", 96),
    "3x3 32->64, two a channel": (8, 56, 32, 64, 3, 1, "same", 32),
    "3x3 64->64, 32 groups": (8, 56, 64, 64, 3, 1, "same", 32),
    "3x3 32->64, one image": (1, 49, 32, 64, 3, 1, "valid", 1),
}


class Convolution:
    """A planned convolution and all its arrays."""

    def __init__(self, shape, normal):
        batch, size, channels, filters, kernel, stride, padding, groups = shape
        self.x = normal((batch, size, size, channels))
        self.kernel = normal((kernel, kernel, channels // groups, filters))
        self.bias = normal((filters,))
        self.plan = Conv2DPlan(
            self.x.shape, self.kernel.shape, strides=stride, padding=padding, groups=groups
        )
        self.y = np.empty(self.plan.output_shape, np.float32)
        self.dy = normal(self.y.shape)
        self.dx, self.dkernel, self.dbias = map(np.empty_like, (self.x, self.kernel, self.bias))


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def convolution(request, normal):
    return Convolution(request.param, normal)


def test_output(benchmark, convolution):
    c = convolution
    benchmark(c.plan.forward, c.x, c.kernel, c.bias, c.y)


def test_kernel_gradient(benchmark, convolution):
    c = convolution
    benchmark(c.plan.backward, c.dy, c.x, c.kernel, None, c.dkernel, c.dbias)


def test_all_gradients(benchmark, convolution):
    c = convolution
    benchmark(c.plan.backward, c.dy, c.x, c.kernel, c.dx, c.dkernel, c.dbias)
