import numpy as np
import pytest
from finite_differences import check_layer, spaced
from keras_reference import import_keras

from fastconv.layers import Activation, ReLU

NAMES = ["linear", "relu", "sigmoid", "tanh", "softmax", "leaky_relu"]


@pytest.mark.parametrize("name", NAMES)
def test_gradients(name):
    check_layer(Activation(name), spaced((3, 4)))


@pytest.mark.parametrize(
    "arguments", [(), (0.26,), (None, 0.3), (0.26, 0.3, 0.1), (None, 0.0, 0.1)]
)
def test_relu_gradients(arguments):
    check_layer(ReLU(*arguments), spaced((4, 5)))


def test_input_is_not_changed():
    for name in NAMES:
        x = spaced((3, 4))
        kept = x.copy()
        layer = Activation(name)
        layer.build(x.shape)
        y = layer.call(x, training=True)
        layer.backward(np.ones_like(y))
        np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("arguments", [(), (1.0,), (None, 0.3), (1.0, 0.3, 0.1), (None, 0.0, 0.25)])
def test_relu_against_keras(arguments):
    keras = import_keras()
    x = np.concatenate([spaced((4, 25)), np.full((1, 25), 0.25, np.float32)])
    expected = keras.layers.ReLU(*arguments)(x).detach().numpy()
    np.testing.assert_allclose(ReLU(*arguments)(x), expected, atol=1e-6)


def test_mistakes():
    with pytest.raises(ValueError, match="max_value is -1"):
        ReLU(-1)
    with pytest.raises(ValueError, match=r"negative_slope is -0.1"):
        ReLU(negative_slope=-0.1)
    with pytest.raises(ValueError, match="unknown activation 'gelu'"):
        Activation("gelu")
