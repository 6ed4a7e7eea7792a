import numpy as np
import pytest
from finite_differences import check_layer
from keras_reference import import_keras, keras_test

from fastconv import layers, ops
from fastconv.layers import SeparableConv2D


def images(shape=(2, 6, 5, 3), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": "same", "strides": 2, "depth_multiplier": 2, "activation": "tanh"},
        {"padding": 1, "dilation_rate": 2, "use_bias": False},
    ],
    ids=str,
)
def test_gradients(options):
    check_layer(SeparableConv2D(4, (2, 3), **options), images())


def test_gradients_behind_a_relu():
    layer = SeparableConv2D(4, 2, activation="relu")
    layer.build((None, 4, 4, 2))
    layer.bias.assign([4, -4, 5, -5])
    x = images((2, 4, 4, 2))
    assert np.abs(layer.pre_activation(x)).min() > 0.5
    check_layer(layer, x)


def test_is_two_convolutions():
    layer = SeparableConv2D(7, 3, activation="relu", depth_multiplier=2, bias_initializer="ones")
    x = images((2, 9, 8, 5))
    y = layer(x)
    between = ops.conv2d(x, layer.depthwise_kernel.value.reshape(3, 3, 1, 10), groups=5)
    expected = ops.conv2d(between, layer.pointwise_kernel.value, layer.bias.value)
    np.testing.assert_allclose(y, np.maximum(expected, 0), atol=1e-5)
    assert (y == 0).any()


def test_input_gradient_only_where_needed():
    layer = SeparableConv2D(3, 3)
    y = layer(images(), training=True)
    assert layer.backward(np.ones_like(y)).shape == images().shape
    gradients = [weight.gradient.copy() for weight in layer.weights]
    layer.needs_input_gradient = False
    assert layer.backward(np.ones_like(y)) is None
    for weight, gradient in zip(layer.weights, gradients, strict=True):
        np.testing.assert_array_equal(weight.gradient, gradient)


@keras_test
@pytest.mark.parametrize(
    "options",
    [
        {"activation": "relu"},
        {"padding": "same", "strides": 2, "depth_multiplier": 3},
        {"dilation_rate": 2, "use_bias": False},
    ],
    ids=str,
)
def test_against_keras(options):
    keras = import_keras()
    x = images((2, 9, 8, 4))
    theirs = keras.layers.SeparableConv2D(6, 3, bias_initializer="ones", **options)
    theirs.build(x.shape)
    ours = SeparableConv2D(6, 3, **options)
    ours.build(x.shape)
    assert [w.shape for w in ours.get_weights()] == [tuple(w.shape) for w in theirs.get_weights()]
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    ours.set_weights(theirs.get_weights())
    expected = theirs(x).detach().numpy()
    assert ours.output_shape[1:] == expected.shape[1:]
    np.testing.assert_allclose(ours(x), expected, atol=1e-5 * np.abs(expected).max())
    assert set(ours.get_config()) - {"input_shape"} <= set(theirs.get_config())


def test_is_known_by_keras_s_other_name():
    assert layers.SeparableConvolution2D is SeparableConv2D
    assert layers.get("SeparableConvolution2D") is SeparableConv2D


def test_mistakes():
    with pytest.raises(ValueError, match="filters is 0"):
        SeparableConv2D(0, 3)
    with pytest.raises(ValueError, match=r"'s': kernel \(9, 9\) does not fit"):
        SeparableConv2D(2, 9, name="s").build((None, 4, 4, 2))
    layer = SeparableConv2D(2, 3)
    layer(images())
    with pytest.raises(ValueError, match="channels"):
        layer(images((1, 6, 6, 4)))
