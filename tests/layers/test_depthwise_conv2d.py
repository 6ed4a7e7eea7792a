import numpy as np
import pytest
from finite_differences import check_layer
from keras_reference import import_keras, keras_test

from fastconv import layers, ops
from fastconv.layers import DepthwiseConv2D


def images(shape=(2, 6, 5, 3), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": "same", "strides": 2, "depth_multiplier": 2},
        {"padding": 1, "dilation_rate": 2, "use_bias": False, "activation": "tanh"},
        {"strides": (2, 1), "depth_multiplier": 5},
    ],
    ids=str,
)
def test_gradients(options):
    check_layer(DepthwiseConv2D((2, 3), **options), images())


def test_gradients_behind_a_relu():
    """Each output is far above 0 or below, so no difference crosses it."""
    layer = DepthwiseConv2D(2, activation="relu", depth_multiplier=2)
    layer.build((None, 4, 4, 2))
    layer.bias.assign([4, -4, 5, -5])
    x = images((2, 4, 4, 2))
    assert np.abs(layer.pre_activation(x)).min() > 0.5
    check_layer(layer, x)


def test_is_conv2d_in_groups_by_the_depthwise_kernels():
    layer = DepthwiseConv2D(3, activation="relu", depth_multiplier=2, bias_initializer="ones")
    x = images((2, 12, 11, 16))
    y = layer(x)
    kernel = layer.kernel.value.reshape(3, 3, 1, 32)
    expected = ops.conv2d(x, kernel, layer.bias.value, groups=16)
    np.testing.assert_allclose(y, np.maximum(expected, 0), atol=1e-6)
    for channel in range(16):  # the outputs of a channel lie side by side
        alone = ops.conv2d(x[..., channel : channel + 1], layer.kernel.value[:, :, channel, None])
        np.testing.assert_allclose(
            layer.pre_activation(x)[..., 2 * channel : 2 * channel + 2], alone + 1, atol=1e-5
        )
    plan = layer._plan(layer._workspace, x.shape, False)
    assert plan.describe()["output"]["algorithm"] == "depthwise"


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
    theirs = keras.layers.DepthwiseConv2D(3, bias_initializer="ones", **options)
    theirs.build(x.shape)
    ours = DepthwiseConv2D(3, **options)
    ours.build(x.shape)
    assert [w.shape for w in ours.get_weights()] == [tuple(w.shape) for w in theirs.get_weights()]
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    ours.set_weights(theirs.get_weights())
    expected = theirs(x).detach().numpy()
    assert ours.output_shape[1:] == expected.shape[1:]
    np.testing.assert_allclose(ours(x), expected, atol=1e-5 * np.abs(expected).max())


@keras_test
def test_kernels_start_as_keras_s_do():
    """The same fans: uniform up to the root of 6 over those of the kernel's shape."""
    theirs = import_keras().layers.DepthwiseConv2D(5, depth_multiplier=4)
    theirs.build((None, 9, 9, 64))
    ours = DepthwiseConv2D(5, depth_multiplier=4)
    ours.build((None, 9, 9, 64))
    largest = [np.abs(layer.get_weights()[0]).max() for layer in (ours, theirs)]
    assert largest[0] == pytest.approx(largest[1], rel=1e-2)


@keras_test
def test_config_is_keras_s():
    theirs = import_keras().layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu")
    assert set(DepthwiseConv2D(3).get_config()) - {"input_shape"} <= set(theirs.get_config())


def test_is_known_by_keras_s_other_name():
    assert layers.DepthwiseConvolution2D is DepthwiseConv2D
    assert layers.get("DepthwiseConvolution2D") is DepthwiseConv2D


def test_mistakes():
    with pytest.raises(ValueError, match="depth_multiplier is 0"):
        DepthwiseConv2D(3, depth_multiplier=0)
    with pytest.raises(ValueError, match=r"'d': kernel \(9, 9\) does not fit"):
        DepthwiseConv2D(9, name="d").build((None, 4, 4, 2))
    layer = DepthwiseConv2D(3)
    layer(images())
    with pytest.raises(ValueError, match="channels"):
        layer(images((1, 6, 6, 4)))
