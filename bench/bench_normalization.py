"""Batch normalization: a training step forward and back, and a prediction."""

import numpy as np
import pytest

from fastconv.layers import BatchNormalization

SHAPES = {"56x56x64": (32, 56, 56, 64), "14x14x512": (8, 14, 14, 512), "32x32x3": (32, 32, 32, 3)}


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def layer_and_x(request, normal):
    layer = BatchNormalization()
    layer.build((None, *request.param[1:]))
    return layer, normal(request.param)


def test_training_forward(benchmark, layer_and_x):
    layer, x = layer_and_x
    benchmark(layer.call, x, True)


def test_backward(benchmark, layer_and_x):
    layer, x = layer_and_x
    layer.call(x, True)
    benchmark(layer.backward, np.ones_like(x))


def test_prediction(benchmark, layer_and_x):
    layer, x = layer_and_x
    benchmark(layer.call, x)
