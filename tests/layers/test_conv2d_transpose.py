import numpy as np
import pytest
from finite_differences import check_layer
from keras_reference import import_keras, keras_test

from fastconv import layers, ops
from fastconv.layers import Conv2DTranspose


def images(shape=(2, 4, 5, 3), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": "same", "strides": 2},
        {"strides": (2, 3), "output_padding": (1, 2), "activation": "tanh"},
        {"padding": ((1, 0), (0, 1)), "dilation_rate": 2, "use_bias": False},
    ],
    ids=str,
)
def test_gradients(options):
    check_layer(Conv2DTranspose(4, (3, 2), **options), images())


def test_gradients_behind_a_relu():
    layer = Conv2DTranspose(4, 2, activation="relu")
    layer.build((None, 4, 4, 2))
    layer.bias.assign([4, -4, 5, -5])
    x = images((2, 4, 4, 2))
    assert np.abs(layer.pre_activation(x)).min() > 0.5
    check_layer(layer, x)


def test_is_conv2d_transpose():
    layer = Conv2DTranspose(4, 3, 2, "same", 1, activation="relu", bias_initializer="ones")
    x = images()
    y = layer(x)
    assert layer.output_shape == (None, *y.shape[1:])
    expected = ops.conv2d_transpose(x, layer.kernel.value, layer.bias.value, 2, "same", 1)
    np.testing.assert_array_equal(y, np.maximum(expected, 0))
    assert (y == 0).any()


def test_what_it_computes_in_is_kept_between_steps():
    layer, x = Conv2DTranspose(4, 3, 2), images()
    layer.build((None, *x.shape[1:]))
    y = layer.call(x, training=True)
    dx = layer.backward(np.ones_like(y))
    assert np.shares_memory(layer.call(x, training=True), y)
    assert np.shares_memory(layer.backward(np.ones_like(y)), dx)


def test_sizes_may_change_between_calls():
    layer = Conv2DTranspose(2, 3, 2)
    assert layer(images((1, 6, 6, 2))).shape == (1, 13, 13, 2)
    assert layer(images((3, 8, 5, 2))).shape == (3, 17, 11, 2)
    assert layer(images((0, 8, 5, 2))).shape == (0, 17, 11, 2)


@keras_test
@pytest.mark.parametrize(
    "options",
    [
        {"activation": "relu"},
        {"padding": "same", "strides": 2},
        {"padding": "same", "strides": 3, "output_padding": 1},
        {"strides": 3, "output_padding": (2, 0), "use_bias": False},
        {"dilation_rate": 2},
    ],
    ids=str,
)
def test_against_keras(options):
    keras = import_keras()
    x = images((2, 5, 4, 4))
    theirs = keras.layers.Conv2DTranspose(6, 3, bias_initializer="ones", **options)
    theirs.build(x.shape)
    ours = Conv2DTranspose(6, 3, **options)
    ours.build(x.shape)
    assert [w.shape for w in ours.get_weights()] == [tuple(w.shape) for w in theirs.get_weights()]
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    ours.set_weights(theirs.get_weights())
    expected = theirs(x).detach().numpy()
    assert ours.output_shape[1:] == expected.shape[1:]
    np.testing.assert_allclose(ours(x), expected, atol=1e-5 * np.abs(expected).max())
    assert set(ours.get_config()) - {"input_shape"} <= set(theirs.get_config())


def test_is_known_by_keras_s_other_name():
    assert layers.Convolution2DTranspose is Conv2DTranspose
    assert layers.get("Convolution2DTranspose") is Conv2DTranspose


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Conv2DTranspose(0, 3), ValueError, "filters is 0"),
        (lambda: Conv2DTranspose(2, 3, output_padding=-1), ValueError, "output_padding is -1"),
        (lambda: Conv2DTranspose(2, 3, padding="full"), ValueError, "padding is 'full'"),
        (
            lambda: Conv2DTranspose(2, 3, 2, output_padding=2, name="t").build((None, 4, 4, 1)),
            ValueError,
            r"'t': output_padding is \(2, 2\).*below strides",
        ),
        (lambda: Conv2DTranspose(2, 3).build((None, 5, 5)), ValueError, "it must be images"),
    ],
)
def test_mistakes(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_other_channels_than_built_for():
    layer = Conv2DTranspose(2, 3)
    layer(images())
    with pytest.raises(ValueError, match="takes 3 channels, but the input has 4"):
        layer(images((1, 6, 6, 4)))
