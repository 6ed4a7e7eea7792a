"""Optimizers: one step over the weights of model4's largest layer."""

import pytest

from fastconv import optimizers
from fastconv.layers import Dense

OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.01),
    "sgd, momentum": lambda: optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    "adam": lambda: optimizers.Adam(),
    "adam, clipnorm and decay": lambda: optimizers.Adam(clipnorm=1.0, weight_decay=0.01),
    "adamw, averages": lambda: optimizers.AdamW(use_ema=True),
    "nadam": lambda: optimizers.Nadam(),
    "adagrad": lambda: optimizers.Adagrad(),
    "lion": lambda: optimizers.Lion(),
    "rmsprop": lambda: optimizers.RMSprop(),
    "rmsprop, centered": lambda: optimizers.RMSprop(centered=True, momentum=0.9),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_step(benchmark, make, normal):
    layer = Dense(512, input_shape=(12800,))
    layer.build((None, 12800))
    for parameter in layer.weights:
        parameter.gradient[...] = normal(parameter.shape)
    benchmark(make().apply, layer.weights)
