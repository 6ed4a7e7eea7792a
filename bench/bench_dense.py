"""Dense layers of the chapter's models and a square one."""

import numpy as np
import pytest

from fastconv.ops.plans import DensePlan

# batch, inputs, outputs
SHAPES = {
    "12800->512": (32, 12800, 512),
    "76832->1": (32, 76832, 1),
    "512->1": (32, 512, 1),
    "1024->1024": (128, 1024, 1024),
    "12800->512, one image": (1, 12800, 512),
}


class Dense:
    """A planned dense layer and all its arrays."""

    def __init__(self, shape, normal):
        batch, inputs, outputs = shape
        self.x, self.kernel = normal((batch, inputs)), normal((inputs, outputs))
        self.bias, self.dy = normal((outputs,)), normal((batch, outputs))
        self.plan = DensePlan(batch, inputs, outputs, dtype=np.float32)
        self.y = np.empty_like(self.dy)
        self.dx, self.dkernel, self.dbias = map(np.empty_like, (self.x, self.kernel, self.bias))


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def dense(request, normal):
    return Dense(request.param, normal)


def test_forward(benchmark, dense):
    benchmark(dense.plan.forward, dense.x, dense.kernel, dense.bias, dense.y)


def test_backward(benchmark, dense):
    d = dense
    benchmark(d.plan.backward, d.dy, d.x, d.kernel, d.dx, d.dkernel, d.dbias)
