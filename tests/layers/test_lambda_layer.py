import json

import numpy as np
import pytest
from finite_differences import check_layer, spaced

from fastconv import layers
from fastconv.layers import Dense, Input, Lambda
from fastconv.models import Model, Sequential, load_model


def cube(x, scale=1.0):
    return scale * x**3


def cube_gradient(dy, x):
    return 3 * x**2 * dy


def halves(x):
    return x[:, ::2]


OBJECTS = {"cube": cube, "cube_gradient": cube_gradient, "halves": halves}


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(8, 4)).astype(np.float32), np.ones((8, 1), np.float32)


def test_gradients():
    check_layer(Lambda(cube, gradient=cube_gradient), spaced((3, 4)))


def test_it_trains_without_a_gradient_where_nothing_before_it_is_trained():
    x, y = data()
    model = Sequential([Lambda(halves, input_shape=(4,)), Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()[0].copy()
    model.train_on_batch(x, y)
    assert (model.get_weights()[0] != before).any()


def test_a_missing_gradient_is_asked_for():
    x, y = data()
    model = Sequential([Dense(4, input_shape=(4,)), Lambda(halves), Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"needs the gradient of its function: give gradient="):
        model.train_on_batch(x, y)
    model.layers[0].trainable = False
    model.train_on_batch(x, y)


def test_functions_are_saved_by_name_and_never_as_code(tmp_path):
    x, y = data()
    cubes = Lambda(cube, gradient=cube_gradient, arguments={"scale": 0.5})
    model = Sequential([Dense(4, input_shape=(4,)), cubes, Dense(1)])
    model.compile("sgd", "mse")
    model.train_on_batch(x, y)
    model.save(tmp_path / "m.npz")
    again = load_model(tmp_path / "m.npz", custom_objects=OBJECTS)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert again.train_on_batch(x, y) == model.train_on_batch(x, y)
    with pytest.raises(ValueError, match=r"'cube', which is not known; give custom_objects="):
        load_model(tmp_path / "m.npz")
    with pytest.raises(ValueError, match="has no name by which it could be saved"):
        Lambda(lambda x: x).get_config()


def test_kerass_configs_are_read_but_for_code():
    function = {"module": "builtins", "class_name": "function", "config": "cube"}
    config = {"function": function, "arguments": {"scale": 2.0}, "output_shape": [4]}
    layer = layers.deserialize({"class_name": "Lambda", "config": config}, OBJECTS)
    assert layer.function is cube and layer.arguments == {"scale": 2.0}
    assert layer.compute_output_shape((None, 4)) == (None, 4)
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None}}
    with pytest.raises(TypeError, match="code in a file is never run"):
        layers.deserialize({"class_name": "Lambda", "config": {"function": code}}, OBJECTS)


def test_config_comes_back():
    layer = Lambda(halves, output_shape=(2,), gradient=cube_gradient, name="half")
    config = json.loads(json.dumps(layer.get_config()))
    again = layers.deserialize({"class_name": "Lambda", "config": config}, OBJECTS)
    assert again.get_config() == config


def test_output_shapes():
    assert Lambda(halves).compute_output_shape((None, 5)) == (None, 3)
    assert Lambda(halves, output_shape=(7,)).compute_output_shape((None, None)) == (None, 7)
    given = Lambda(halves, output_shape=lambda shape: (shape[0], 9))
    assert given.compute_output_shape((None, None)) == (None, 9)
    with pytest.raises(ValueError, match="by the argument output_shape"):
        Lambda(halves).compute_output_shape((None, None))


def test_training_is_passed_on_where_it_is_taken():
    layer = Lambda(lambda x, training: x + training)
    np.testing.assert_array_equal(layer(np.ones((1, 2)), training=True), 2)
    np.testing.assert_array_equal(layer(np.ones((1, 2))), 1)


def test_several_inputs():
    layer = Lambda(lambda x: x[0] * x[1], gradient=lambda dy, x: [dy * x[1], dy * x[0]])
    a, b = spaced((2, 3)), spaced((2, 3), seed=1)
    y = layer.call([a, b], training=True)
    np.testing.assert_array_equal(y, a * b)
    first, second = layer.backward(np.ones_like(y))
    np.testing.assert_array_equal(first, b)
    np.testing.assert_array_equal(second, a)


def product(x):
    return x[0] * x[1]


def product_gradient(dy, x):
    return [dy * x[1], dy * x[0]]


def test_several_inputs_in_a_graph():
    """The product of two layers, and its gradients, are those of Multiply."""

    def network(merge):
        x = Input((4,))
        a, b = Dense(3, kernel_initializer="ones")(x), Dense(3, kernel_initializer="ones")(x)
        return Model(x, Dense(1, kernel_initializer="ones")(merge([a, b])))

    x, y = data()
    losses = []
    for merge in (Lambda(product, gradient=product_gradient), layers.Multiply()):
        model = network(merge)
        model.compile("sgd", "mse")
        losses.append([model.train_on_batch(x, y) for _ in range(3)])
    assert losses[0] == losses[1]
    a, b = spaced((2, 3)), spaced((2, 3), seed=1)
    np.testing.assert_array_equal(Lambda(product)([a, b]), a * b)


def test_what_it_returns_is_what_layers_take():
    for function in (lambda x: x, lambda x: x.T.copy().T, lambda x: x.astype(np.float64)):
        y = Lambda(function).call(np.ones((2, 3), np.float32))
        assert y.flags.c_contiguous and y.flags.writeable and y.dtype == np.float32


def in_place(x):
    x *= 2
    return x


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Lambda(3), TypeError, "function is 3; it must be a function, or its name"),
        (lambda: Lambda(cube, arguments=[1]), TypeError, r"arguments is \[1\]"),
        (lambda: Lambda(lambda x: "a")(np.ones((1, 2))), TypeError, "the function returned 'a'"),
        (lambda: Lambda(np.mean)(np.ones((1, 2))), TypeError, "must return an array of numbers"),
        (lambda: Lambda(in_place)(np.ones((1, 2))), ValueError, "read-only"),
    ],
)
def test_mistakes(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_gradient_of_another_shape_is_named():
    layer = Lambda(halves, gradient=lambda dy, x: dy)
    y = layer(np.ones((2, 4)), training=True)
    with pytest.raises(ValueError, match=r"the gradient has shape \(2, 2\); .* \(2, 4\)"):
        layer.backward(y)
