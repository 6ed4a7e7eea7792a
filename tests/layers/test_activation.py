import numpy as np
import pytest
from finite_differences import check_layer, spaced
from keras_reference import import_keras, keras_test

from fastconv.layers import ELU, Activation, Dense, LeakyReLU, ReLU, Softmax
from fastconv.models import Sequential

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


LAYERS = [
    (LeakyReLU, {}), (LeakyReLU, {"negative_slope": 0.1}), (ELU, {}), (ELU, {"alpha": 0.5}),
    (Softmax, {}), (Softmax, {"axis": 1}), (Softmax, {"axis": [1, 2]}),
]  # fmt: skip


@keras_test
@pytest.mark.parametrize(("cls", "arguments"), LAYERS)
def test_layers_against_keras(cls, arguments):
    keras = import_keras()
    x = spaced((2, 3, 4, 5))
    theirs = getattr(keras.layers, cls.__name__)(**arguments)
    layer = cls(**arguments)
    np.testing.assert_allclose(layer(x), theirs(x).detach().numpy(), rtol=1e-5, atol=1e-7)
    assert arguments.items() <= layer.get_config().items()
    assert cls.from_config(layer.get_config()).get_config() == layer.get_config()
    check_layer(cls(**arguments), spaced((2, 2, 3, 2)))


def test_a_loss_takes_in_a_softmax_along_the_last_axis_only():
    for layer, taken in ((Softmax(), "softmax"), (Softmax(1), None)):
        model = Sequential([Dense(3, input_shape=(4,)), layer])
        assert model.layers[1].activation.name == (taken or "softmax_along")
    with pytest.raises(TypeError, match="activation"):
        layer.activation = "tanh"


def test_mistakes():
    with pytest.raises(ValueError, match="max_value is -1"):
        ReLU(-1)
    with pytest.raises(ValueError, match=r"negative_slope is -0.1"):
        ReLU(negative_slope=-0.1)
    with pytest.raises(ValueError, match="unknown activation 'rilu'"):
        Activation("rilu")
    with pytest.raises(ValueError, match=r"axis is 3; .* shape \(None, 2, 3\)"):
        Softmax(3).build((None, 2, 3))
    with pytest.raises(TypeError, match="axis is 'last'"):
        Softmax("last")
