"""Parameters and gradients that the tests of optimizers go through steps with."""

import numpy as np

from fastconv.layers.parameter import Parameter

SHAPES = [(3, 4), (5,), (2, 2, 3, 7), ()]


def new_parameters(seed=0):
    rng = np.random.default_rng(seed)
    return [Parameter(f"w{n}", rng.normal(size=shape)) for n, shape in enumerate(SHAPES)]


def gradients(step):
    rng = np.random.default_rng(100 + step)
    # Of very different sizes, so that clipping touches some and epsilon matters for others.
    return [
        (rng.normal(size=shape) * 10.0 ** rng.integers(-5, 2, size=shape)).astype(np.float32)
        for shape in SHAPES
    ]


def run(optimizer, parameters, steps):
    for step in steps:
        for parameter, gradient in zip(parameters, gradients(step), strict=True):
            parameter.gradient = gradient
        optimizer.apply(parameters)
