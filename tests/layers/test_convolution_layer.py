"""What the layers that end in a convolution have in common."""

import numpy as np
import pytest

from fastconv.layers import Conv2D, Conv2DTranspose, DepthwiseConv2D, SeparableConv2D

LAYERS = [
    (Conv2D, (4, 3), {"kernel": "kernel", "bias": "bias"}),
    (Conv2DTranspose, (4, 3), {"kernel": "kernel", "bias": "bias"}),
    (DepthwiseConv2D, (3,), {"kernel": "depthwise", "bias": "bias"}),
    (
        SeparableConv2D,
        (4, 3),
        {"depthwise_kernel": "depthwise", "pointwise_kernel": "pointwise", "bias": "bias"},
    ),
]


@pytest.mark.parametrize(("cls", "arguments", "weights"), LAYERS)
def test_each_weight_has_its_regularizer_and_its_constraint(cls, arguments, weights):
    options = {f"{name}_regularizer": "l2" for name in weights.values()}
    options |= {f"{name}_constraint": "non_neg" for name in weights.values()}
    layer = cls(*arguments, **options)
    layer.build((None, 6, 6, 2))
    assert [weight.name for weight in layer.weights] == list(weights)
    for weight in layer.weights:
        assert type(weight.regularizer).__name__ == "L2"
        assert type(weight.constraint).__name__ == "NonNeg"
    again = cls.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again.build((None, 6, 6, 2))
    assert all(weight.regularizer and weight.constraint for weight in again.weights)


@pytest.mark.parametrize(("cls", "arguments", "weights"), LAYERS)
def test_a_relu_is_the_same_fused_or_apart(cls, arguments, weights):
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype(np.float32)
    fused, apart = cls(*arguments, activation="relu"), cls(*arguments)
    y = fused(x)
    apart.build((None, 6, 6, 2))
    apart.set_weights(fused.get_weights())
    np.testing.assert_array_equal(y, np.maximum(apart(x), 0))
    assert (y == 0).any()
    assert fused(x, training=True).tobytes() == y.tobytes()


@pytest.mark.parametrize(("cls", "arguments", "weights"), LAYERS)
def test_one_layer_at_several_sizes_and_without_images(cls, arguments, weights):
    layer = cls(*arguments, activation="relu")
    for shape in ((1, 6, 6, 2), (3, 8, 5, 2), (0, 8, 5, 2)):
        y = layer(np.ones(shape, np.float32), training=True)
        assert y.shape[1:] == layer.compute_output_shape((None, *shape[1:]))[1:]
        layer.call(np.ones(shape, np.float32), training=True)
        assert layer.backward(np.ones_like(y)).shape == shape
