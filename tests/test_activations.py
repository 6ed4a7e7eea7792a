import numpy as np
import pytest
from keras_reference import import_keras, keras_test

from fastconv import activations

NAMES = ["linear", "relu", "sigmoid", "tanh", "softmax", "leaky_relu"]


@keras_test
@pytest.mark.parametrize("name", NAMES)
def test_against_keras(name):
    keras = import_keras()
    x = np.concatenate([np.linspace(-100, 100, 101), np.linspace(-3, 3, 49)])
    x = np.float32(x).reshape(5, 30)
    expected = getattr(keras.activations, name)(keras.ops.convert_to_tensor(x)).numpy()
    np.testing.assert_allclose(activations.get(name)(x), expected, rtol=2e-6, atol=1e-30)


def test_leaky_relu_has_keras_3s_slope():
    np.testing.assert_allclose(activations.leaky_relu([-1.0, 2.0]), [-0.2, 2])
    np.testing.assert_allclose(activations.LeakyRelu(0.5)([-1.0, 2.0]), [-0.5, 2])


@pytest.mark.parametrize("name", NAMES)
def test_nan_stays(name):
    assert np.isnan(activations.get(name)(np.array([[np.nan, 1]]))[0, 0])


def test_sigmoid_is_accurate_in_its_tail():
    np.testing.assert_allclose(
        activations.sigmoid([-20.0, -80.0]), np.exp([-20.0, -80.0]), rtol=1e-5
    )
    np.testing.assert_array_equal(activations.sigmoid([-1e4, 1e4]), [0, 1])


def test_get():
    assert activations.get(None) is activations.linear
    assert activations.get("relu") is activations.relu
    assert activations.get(activations.tanh) is activations.tanh
    steep = activations.LeakyRelu(0.5)
    assert activations.serialize(activations.leaky_relu) == "leaky_relu"
    assert repr(activations.get(activations.serialize(steep))) == "LeakyRelu(negative_slope=0.5)"
    with pytest.raises(ValueError, match="unknown activation 'swish'; known are linear, relu"):
        activations.get("swish")
    with pytest.raises(TypeError, match="is no activation"):
        activations.get(np.tanh)
    with pytest.raises(ValueError, match="negative_slope is -1"):
        activations.LeakyRelu(-1)


@pytest.mark.parametrize("name", ["sigmoid", "softmax"])
def test_another_dtype_is_named(name):
    z = np.zeros((2, 3))
    with pytest.raises(TypeError, match=f"{name}: the input has dtype float64; float32 is needed"):
        activations.get(name).forward(z, z)
