import math

import numpy as np
import pytest
from finite_differences import check_layer, spaced
from keras_reference import import_keras, keras_test

import fastconv
from fastconv import activations, layers
from fastconv.models import Model, Sequential, load_model

NAMES = [
    "linear", "relu", "relu6", "sigmoid", "tanh", "softmax", "leaky_relu", "elu", "selu", "gelu",
    "silu", "swish", "softplus", "softsign", "hard_sigmoid", "hard_silu", "hard_swish", "mish",
    "exponential", "log_softmax",
]  # fmt: skip


def numbers(largest=80):
    x = np.concatenate([np.linspace(-largest, largest, 101), np.linspace(-6, 6, 49)])
    return np.float32(x).reshape(5, 30)


def square(z):
    return z**2, lambda dy: 2 * z * dy


@keras_test
@pytest.mark.parametrize("name", NAMES)
def test_against_keras(name):
    keras = import_keras()
    x = numbers()
    expected = getattr(keras.activations, name)(keras.ops.convert_to_tensor(x)).numpy()
    # Beyond -3, both say of a small share what is left of 1 after rounding.
    absolute = 1e-6 if name == "gelu" else 1e-7 if name in ("elu", "selu") else 1e-30
    np.testing.assert_allclose(activations.get(name)(x), expected, rtol=4e-6, atol=absolute)


@keras_test
@pytest.mark.parametrize("name", NAMES)
def test_gradients_against_keras(name):
    keras = import_keras()
    torch = pytest.importorskip("torch")
    x = numbers(15)
    dy = np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    tensor = torch.tensor(x, requires_grad=True)
    getattr(keras.activations, name)(tensor).backward(torch.tensor(dy))
    layer = layers.Activation(name)
    layer(x, training=True)
    expected = tensor.grad.numpy()
    np.testing.assert_allclose(layer.backward(dy), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_by_finite_differences(name):
    check_layer(layers.Activation(name), spaced((6, 8)))
    check_layer(layers.Dense(5, name, kernel_initializer="identity"), spaced((3, 5)))


@keras_test
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("relu", {"negative_slope": 0.1, "max_value": 2.0, "threshold": 0.5}),
        ("relu", {"max_value": 2.0}),
        ("leaky_relu", {"negative_slope": 0.4}),
        ("elu", {"alpha": 0.5}),
        ("gelu", {"approximate": True}),
        ("softmax", {"axis": 0}),
        ("log_softmax", {"axis": 1}),
    ],
)
def test_arguments_are_kerass(name, arguments):
    keras = import_keras()
    x = numbers(10)
    function, ours = getattr(keras.activations, name), getattr(activations, name)
    expected = function(keras.ops.convert_to_tensor(x), **arguments).numpy()
    np.testing.assert_allclose(ours(x, **arguments), expected, rtol=4e-6, atol=1e-6)
    if list(arguments) != ["max_value"]:  # the only one that is not a first argument
        np.testing.assert_array_equal(ours(x, *arguments.values()), ours(x, **arguments))


def test_both_kinds_of_gelu_have_their_gradient():
    for approximate in (False, True):
        check_layer(layers.Activation(activations.Gelu(approximate)), spaced((6, 8)))
    z = np.linspace(-6, 6, 1001, dtype=np.float32)
    exact = [value * 0.5 * math.erfc(-value / math.sqrt(2)) for value in z.tolist()]
    np.testing.assert_allclose(activations.gelu(z), exact, atol=1.2e-6)


def test_leaky_relu_has_keras_3s_slope():
    np.testing.assert_allclose(activations.leaky_relu([-1.0, 2.0]), [-0.2, 2])
    np.testing.assert_allclose(activations.LeakyRelu(0.5)([-1.0, 2.0]), [-0.5, 2])


@pytest.mark.parametrize("name", NAMES)
def test_nan_stays(name):
    assert np.isnan(activations.get(name)(np.array([[np.nan, 1]]))[0, 0])


@pytest.mark.parametrize("name", NAMES)
def test_blocks_of_a_large_array_are_all_computed(name):
    z = np.random.default_rng(0).normal(size=(3, 40_001)).astype(np.float32)
    activation = activations.get(name)
    y, out = activation.forward(z, np.empty_like(z)), np.full_like(z, np.nan)
    np.testing.assert_array_equal(activation(z), y)
    for part in (slice(0, 100), slice(-100, None)):
        if "softmax" not in name:
            np.testing.assert_array_equal(activation(z[:, part]), y[:, part])
    more = (z,) if activation.needs_input else ()
    assert np.isfinite(activation.backward(np.ones_like(z), y, out, *more)).all()


def test_sigmoid_is_accurate_in_its_tail():
    np.testing.assert_allclose(
        activations.sigmoid([-20.0, -80.0]), np.exp([-20.0, -80.0]), rtol=1e-5
    )
    np.testing.assert_array_equal(activations.sigmoid([-1e4, 1e4]), [0, 1])


@pytest.mark.parametrize("name", ["silu", "mish", "gelu", "softplus", "hard_silu", "elu", "selu"])
def test_large_numbers_neither_overflow_nor_warn(name):
    layer = layers.Activation(name)
    y = layer(np.float32([[-1e4, -90, 90, 1e4]]), training=True)
    assert np.isfinite(y).all() and y[0, 3] >= 1e4
    dx = layer.backward(np.ones((1, 4), np.float32))
    np.testing.assert_allclose(dx[0, :2], 0, atol=1e-6)
    np.testing.assert_allclose(dx[0, 2:], 1, atol=0.06)


def test_get():
    assert activations.get(None) is activations.linear
    assert activations.get("relu") is activations.relu
    assert activations.get(activations.tanh) is activations.tanh
    assert activations.get("swish") is activations.swish is activations.silu
    steep = activations.LeakyRelu(0.5)
    assert activations.serialize(activations.leaky_relu) == "leaky_relu"
    assert repr(activations.get(activations.serialize(steep))) == "LeakyRelu(negative_slope=0.5)"
    with pytest.raises(ValueError, match="unknown activation 'swosh'; known are linear, relu"):
        activations.get("swosh")
    for nothing in (np.tanh, 3, layers.Dense(3)):
        with pytest.raises(TypeError, match="is no activation"):
            activations.get(nothing)
    with pytest.raises(ValueError, match="negative_slope is -1"):
        activations.LeakyRelu(-1)


def test_kerass_configs_are_read():
    function = {
        "module": "builtins", "class_name": "function", "config": "gelu",
        "registered_name": "function",
    }  # fmt: skip
    assert activations.deserialize(function) is activations.gelu
    layer = {
        "module": "keras.layers", "class_name": "LeakyReLU", "registered_name": None,
        "config": {"name": "leaky", "trainable": True, "dtype": "float32", "negative_slope": 0.1},
    }  # fmt: skip
    assert repr(activations.get(layer)) == "LeakyRelu(negative_slope=0.1)"


def test_a_layer_of_an_activation_stands_for_it():
    dense = layers.Dense(2, activation=layers.LeakyReLU(0.1))
    assert repr(dense.activation) == "LeakyRelu(negative_slope=0.1)"
    assert layers.Dense(2, activation=layers.Softmax()).activation is activations.softmax


@pytest.mark.parametrize("name", ["sigmoid", "softmax"])
def test_another_dtype_is_named(name):
    z = np.zeros((2, 3))
    with pytest.raises(TypeError, match=f"{name}: the input has dtype float64; float32 is needed"):
        activations.get(name).forward(z, z)


def test_a_function_of_ones_own_trains_and_comes_back(tmp_path):
    check_layer(layers.Dense(3, activation=square), spaced((4, 5)))
    model = Sequential([layers.Dense(3, activation=square, input_shape=(4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    model.train_on_batch(x, np.ones((8, 1), np.float32))
    model.save(tmp_path / "m.npz")
    again = load_model(tmp_path / "m.npz", custom_objects={"square": square})
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    with pytest.raises(ValueError, match="unknown activation 'Custom>square'"):
        load_model(tmp_path / "m.npz")


def test_a_function_is_never_taken_for_a_built_in_one():
    def relu(z):
        return -z, lambda dy: -dy

    config = activations.serialize(relu)
    assert activations.deserialize(config, {"relu": relu}).function is relu
    with pytest.raises(ValueError, match="unknown activation"):
        activations.deserialize(config)


def test_mistakes_in_functions_are_named():
    z = np.ones((2, 3), np.float32)
    plain = layers.Activation(lambda z: z * 2)
    with pytest.raises(TypeError, match=r"it returned a ndarray; .* must return \(y, gradient\)"):
        plain(z)
    with pytest.raises(ValueError, match=r"no name by which .* with def"):
        plain.get_config()
    short = layers.Activation(lambda z: (z[:1], lambda dy: dy))
    with pytest.raises(ValueError, match=r"y has shape \(1, 3\); it must have the input's"):
        short(z)


class Doubled(activations.Activation):
    needs_input = True

    def forward(self, z, out):
        return np.multiply(z, z, out=out)

    def backward(self, dy, y, out, z):
        return np.multiply(2 * z, dy, out=out)


def test_a_class_of_ones_own_may_ask_for_the_input():
    check_layer(layers.Conv2D(2, 2, activation=Doubled()), spaced((2, 3, 4, 2)))
    config = activations.serialize(Doubled())
    assert type(activations.deserialize(config, {"Doubled": Doubled})) is Doubled


def test_an_activation_assigned_between_the_passes_is_an_error():
    layer = layers.Dense(2)
    y = layer(np.ones((3, 2)), training=True)
    layer.activation = "gelu"
    with pytest.raises(RuntimeError, match="with the activation Gelu"):
        layer.backward(y)


def test_functions_of_the_module_are_the_names():
    for name in NAMES:
        same = fastconv.layers.Dense(1, activation=getattr(fastconv.activations, name))
        assert same.activation is fastconv.layers.Dense(1, activation=name).activation


def test_functions_take_tensors_of_a_graph():
    x = layers.Input((3, 4))
    y = activations.softmax(activations.relu(activations.gelu(x), max_value=0.5), axis=-1)
    z = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    expected = activations.softmax(activations.relu(activations.gelu(z), max_value=0.5))
    np.testing.assert_allclose(Model(x, y).predict(z), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="axis is 1; it must be -1, the last, on a tensor"):
        activations.log_softmax(x, axis=1)
