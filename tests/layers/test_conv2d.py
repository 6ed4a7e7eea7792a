import numpy as np
import pytest
from finite_differences import check_layer
from keras_reference import import_keras, keras_test

from fastconv import ops
from fastconv.layers import Conv2D


def images(shape=(2, 6, 5, 4), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": "same", "strides": 2},
        {"padding": 1, "dilation_rate": 2},
        {"padding": ((1, 0), (0, 2)), "groups": 2},
        {"use_bias": False, "activation": "tanh"},
        {"activation": "sigmoid"},
        {"activation": "softmax"},
    ],
    ids=str,
)
def test_gradients(options):
    check_layer(Conv2D(4, (2, 3), **options), images())


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_gradients_with_a_kink(activation):
    """Half of the filters are far above 0 and half below, so no difference crosses it."""
    layer = Conv2D(4, 2, activation=activation, kernel_initializer="random_normal")
    layer.build((None, 4, 4, 3))
    layer.bias.assign([2, -2, 3, -3])
    x = images((2, 4, 4, 3))
    assert np.abs(layer.pre_activation(x)).min() > 0.5
    check_layer(layer, x)


def test_is_conv2d_with_relu():
    layer = Conv2D(3, 3, activation="relu", bias_initializer="random_normal")
    x = images()
    y = layer(x)
    expected = ops.conv2d(x, layer.kernel.value, layer.bias.value)
    np.testing.assert_allclose(y, np.maximum(expected, 0), atol=1e-6)
    assert (y == 0).any()
    np.testing.assert_allclose(layer.pre_activation(x), expected, atol=1e-6)


def test_input_gradient_only_where_needed():
    layer = Conv2D(3, 3)
    y = layer(images(), training=True)
    dx = layer.backward(np.ones_like(y))
    kernel_gradient = layer.kernel.gradient.copy()
    assert dx.shape == images().shape
    layer.needs_input_gradient = False
    assert layer.backward(np.ones_like(y)) is None
    np.testing.assert_array_equal(layer.kernel.gradient, kernel_gradient)


def test_sizes_may_change_between_calls():
    layer = Conv2D(2, 3)
    assert layer(images((1, 6, 6, 2))).shape == (1, 4, 4, 2)
    assert layer(images((3, 8, 5, 2))).shape == (3, 6, 3, 2)
    assert layer(images((0, 8, 5, 2))).shape == (0, 6, 3, 2)


def test_shapes_and_parameters_of_the_chapter():
    layer = Conv2D(32, (3, 3), activation="relu", input_shape=(100, 100, 3))
    assert layer.input_shape == (None, 100, 100, 3)
    assert layer.output_shape == (None, 98, 98, 32)
    layer.build(layer.input_shape)
    assert layer.count_params() == 896


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Conv2D(0, 3), ValueError, "filters is 0"),
        (lambda: Conv2D(2.5, 3), TypeError, "filters is 2.5"),
        (lambda: Conv2D(2, (1, 2, 3)), TypeError, "kernel_size is"),
        (lambda: Conv2D(2, 3, groups=0), ValueError, "groups is 0"),
        (lambda: Conv2D(2, 3, activation="alu"), ValueError, "unknown activation 'alu'; known"),
        (lambda: Conv2D(2, 3, kernel_initializer="he"), ValueError, "unknown initializer 'he'"),
        (lambda: Conv2D(2, 3, padding="full").build((None, 5, 5, 1)), ValueError, "padding is"),
        (lambda: Conv2D(2, 3).build((None, 5, 5)), ValueError, "it must be images"),
        (lambda: Conv2D(2, 3).build((None, 5, 5, None)), ValueError, "must be known"),
        (lambda: Conv2D(4, 3, groups=2).build((None, 5, 5, 3)), ValueError, "groups=2 does not"),
    ],
)
def test_mistakes(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_kernel_too_large_is_told_as_documented():
    layer = Conv2D(8, 5, name="conv2d_1")
    with pytest.raises(ValueError) as caught:
        layer.build((None, 3, 3, 32))
    assert str(caught.value) == (
        "Conv2D 'conv2d_1': kernel (5, 5) does not fit the input (3, 3, 32) with padding='valid'"
    )
    assert layer.parameters == []


def test_other_channels_than_built_for():
    layer = Conv2D(2, 3)
    layer(images())
    with pytest.raises(ValueError, match="the input has 3 channels"):
        layer(images((1, 6, 6, 3)))


@keras_test
@pytest.mark.parametrize(
    "options",
    [
        {"activation": "relu"},
        {"padding": "same", "strides": 2, "activation": "leaky_relu"},
        {"dilation_rate": 2, "groups": 2},
    ],
    ids=str,
)
def test_against_keras(options):
    keras = import_keras()
    x = images((2, 9, 8, 4))
    theirs = keras.layers.Conv2D(6, 3, **options)
    theirs.build(x.shape)
    ours = Conv2D(6, 3, **options)
    ours.build(x.shape)
    assert [w.shape for w in ours.get_weights()] == [tuple(w.shape) for w in theirs.get_weights()]
    ours.set_weights(theirs.get_weights())
    expected = theirs(x).detach().numpy()
    np.testing.assert_allclose(ours(x), expected, atol=1e-5 * np.abs(expected).max())
