"""Normalization with its neighbours in one operation: the numbers of the layers one by one."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import assert_close

import fastconv
from fastconv import layers
from fastconv.graph.fused_normalization import (
    FusedConvNormalization,
    FusedNormalizationRelu,
    FusedResidual,
)
from fastconv.models import Model


def residual_block(x, filters, strides=1, relu=True, depthwise=False, limit=None):
    y = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
    y = layers.ReLU(limit)(layers.BatchNormalization()(y))
    last = layers.DepthwiseConv2D(3, padding="same") if depthwise else layers.Conv2D(filters, 1)
    y = layers.BatchNormalization()(last(y))
    if strides != 1 or x.shape[-1] != filters:
        x = layers.BatchNormalization()(layers.Conv2D(filters, 1, strides=strides)(x))
    y = layers.Add()([x, y])
    return layers.ReLU(limit)(y) if relu else y


def twins():
    """Return a residual network, fused, and the same with every layer by itself."""
    fastconv.utils.set_random_seed(3)
    x = inputs = layers.Input((11, 9, 3))
    x = residual_block(x, 8)
    x = residual_block(x, 8, limit=0.7)
    x = residual_block(x, 8, relu=False, depthwise=True)
    x = residual_block(x, 12, strides=2)
    x = layers.BatchNormalization()(x)
    x = layers.Add()([x, x])  # of which the normalization is one, too
    outputs = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    fused = Model(inputs, outputs)
    plain = Model.from_config(fused.get_config())
    plain.set_weights(fused.get_weights())
    plain._fuse = False
    for model in (fused, plain):
        model.compile(fastconv.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    return fused, plain


def images(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 11, 9, 3)).astype(np.float32)


def test_training_is_that_of_the_layers():
    fused, plain = twins()
    kinds = [type(operation) for operation in fused._executor().operations]
    assert kinds.count(FusedResidual) == 4 and kinds.count(FusedConvNormalization) == 6
    labels = np.arange(7) % 3
    for seed in range(5):
        x = images(7, seed)
        assert fused.train_on_batch(x, labels) == pytest.approx(plain.train_on_batch(x, labels))
    for ours, theirs in zip(fused.get_weights(), plain.get_weights(), strict=True):
        assert_close(ours, theirs, usual=1e-2)


def test_prediction_follows_the_weights():
    """The folded kernel is made of what the weights are at the call."""
    fused, plain = twins()
    for seed in range(3):
        rng = np.random.default_rng(seed)
        weights = [np.abs(w + rng.normal(size=w.shape) * 0.3) for w in fused.get_weights()]
        fused.set_weights(weights)
        plain.set_weights(weights)
        assert_close(fused.predict(images(4), verbose=0), plain.predict(images(4), verbose=0))
    fused.layers[1].kernel.value[...] *= 2  # in place, as any array
    plain.layers[1].kernel.value[...] *= 2
    assert_close(fused.predict(images(4), verbose=0), plain.predict(images(4), verbose=0))


def test_frozen_and_fixed_to_prediction():
    fused, plain = twins()
    for model in (fused, plain):
        for layer in model.layers:
            layer.trainable = not isinstance(layer, layers.BatchNormalization)
    before = [layer.get_weights() for layer in fused.layers]
    for seed in range(3):
        losses = [m.train_on_batch(images(5, seed), np.arange(5) % 3) for m in (fused, plain)]
        assert losses[0] == pytest.approx(losses[1])
    for layer, kept in zip(fused.layers, before, strict=True):
        if isinstance(layer, layers.BatchNormalization):
            assert all(map(np.array_equal, layer.get_weights(), kept))
    for ours, theirs in zip(fused.get_weights(), plain.get_weights(), strict=True):
        assert_close(ours, theirs, usual=1e-2)


def test_what_others_read_is_not_taken_in():
    x = layers.Input((6, 6, 4))
    normalized = layers.BatchNormalization()(x)
    added = layers.Add()([layers.Conv2D(4, 1)(x), normalized])
    model = Model(x, [layers.ReLU()(added), normalized])
    kinds = [type(operation) for operation in model._executor().operations]
    assert FusedResidual not in kinds and FusedNormalizationRelu not in kinds
    broadcast = Model(x, layers.Add()([layers.BatchNormalization()(x), layers.Conv2D(1, 1)(x)]))
    assert FusedResidual not in [type(one) for one in broadcast._executor().operations]
