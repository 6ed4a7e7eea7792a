import numpy as np
import pytest
from finite_differences import check_layer, spaced
from keras_reference import import_keras, keras_test

from fastconv import Sequential, layers, ops
from fastconv.layers import (
    AveragePooling2D,
    Conv2D,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    L2Pooling2D,
    MaxPooling2D,
)

WINDOWS = [
    {},
    {"pool_size": 3, "strides": 2},
    {"pool_size": (3, 2), "strides": 1, "padding": "same"},
    {"pool_size": 2, "padding": ((1, 0), (0, 1))},
    {"pool_size": 2, "strides": 2, "ceil_mode": True},
    {"pool_size": 2, "strides": 1, "dilation_rate": (2, 3)},
]


@pytest.mark.parametrize("options", WINDOWS, ids=str)
@pytest.mark.parametrize("layer_class", [MaxPooling2D, AveragePooling2D, L2Pooling2D])
def test_gradients(layer_class, options):
    check_layer(layer_class(**options), spaced((2, 6, 5, 2)))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("layer_class", [GlobalMaxPooling2D, GlobalAveragePooling2D])
def test_global_gradients(layer_class, keepdims):
    check_layer(layer_class(keepdims=keepdims), spaced((2, 4, 5, 3)))


@pytest.mark.parametrize(
    ("layer_class", "function"),
    [
        (MaxPooling2D, ops.max_pool2d),
        (AveragePooling2D, ops.average_pool2d),
        (L2Pooling2D, ops.l2_pool2d),
    ],
)
@pytest.mark.parametrize("options", WINDOWS, ids=str)
def test_is_the_operation(layer_class, function, options):
    x = spaced((2, 6, 5, 2))
    layer = layer_class(**options)
    np.testing.assert_array_equal(layer(x), function(x, **options))
    assert layer.output_shape[1:] == layer(x).shape[1:]
    assert layer.count_params() == 0


def test_what_keras_has_not_is_in_the_config_where_it_does_something():
    assert set(MaxPooling2D().get_config()) == {
        "name", "trainable", "pool_size", "strides", "padding",
    }  # fmt: skip
    layer = AveragePooling2D(3, 2, 1, ceil_mode=True, dilation_rate=2, count_include_pad=True)
    config = layer.get_config()
    assert (config["ceil_mode"], config["dilation_rate"]) == (True, [2, 2])
    assert config["count_include_pad"] is True
    x = spaced((2, 8, 7, 2))
    options = {"ceil_mode": True, "dilation_rate": 2, "count_include_pad": True}
    expected = ops.average_pool2d(x, 3, 2, 1, **options)
    np.testing.assert_array_equal(AveragePooling2D.from_config(config)(x), expected)


def test_the_gradient_of_counted_padding():
    check_layer(AveragePooling2D(2, padding=1, count_include_pad=True), spaced((2, 5, 4, 2)))


@pytest.mark.parametrize("options", [{"ceil_mode": True}, {"strides": 1, "dilation_rate": 2}])
def test_what_a_model_makes_one_operation_of_has_the_options(options):
    """A convolution, its ReLU and the pooling behind them, trained or not."""
    pooling = MaxPooling2D(2, **options)
    model = Sequential([Conv2D(4, 3, activation="relu", input_shape=(9, 9, 2)), pooling, Flatten()])
    model.compile("sgd", "mse")
    x = spaced((3, 9, 9, 2))
    expected = pooling(model.layers[0](x)).reshape(3, -1)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-6)
    target, before = np.zeros_like(expected), model.get_weights()[0]
    dy = (2 * expected / expected.size).reshape(3, *pooling.output_shape[1:])
    convolved = model.layers[0](x, training=True)
    pooling(convolved, training=True)
    model.layers[0].backward(pooling.backward(dy.astype(np.float32)))
    gradient = model.layers[0].kernel.gradient.copy()
    model.train_on_batch(x, target)
    np.testing.assert_allclose(model.get_weights()[0], before - 0.01 * gradient, atol=1e-6)


@keras_test
@pytest.mark.parametrize("name", ["MaxPooling2D", "AveragePooling2D"])
@pytest.mark.parametrize(
    "options",
    [
        {"pool_size": 2, "strides": None, "padding": "same", "data_format": "channels_last"},
        {"pool_size": (2, 1), "strides": 2, "padding": "SAME"},
        {"pool_size": 3, "strides": (1, 2), "name": "p"},
    ],
    ids=str,
)
def test_takes_what_keras_takes(name, options):
    theirs, ours = (getattr(kind, name)(**options) for kind in (import_keras().layers, layers))
    x = spaced((2, 7, 5, 3))
    np.testing.assert_allclose(ours(x), theirs(x).detach().numpy(), atol=1e-6)


def test_global_values():
    x = spaced((2, 5, 4, 3))
    np.testing.assert_array_equal(GlobalMaxPooling2D()(x), x.max(axis=(1, 2)))
    np.testing.assert_allclose(
        GlobalAveragePooling2D(keepdims=True)(x), x.mean(axis=(1, 2), keepdims=True), atol=1e-6
    )
    assert GlobalMaxPooling2D(input_shape=(5, 4, 3)).output_shape == (None, 3)
    assert GlobalMaxPooling2D(keepdims=True, input_shape=(5, 4, 3)).output_shape == (None, 1, 1, 3)


def test_global_average_of_a_large_image_is_exact_enough():
    x = np.random.default_rng(0).random((1, 200, 200, 2), np.float32) + 1
    expected = x.mean(axis=(1, 2), dtype=np.float64)
    np.testing.assert_allclose(GlobalAveragePooling2D()(x), expected, rtol=1e-5)


def test_shapes_of_the_chapter():
    layer = MaxPooling2D((2, 2))
    assert layer.compute_output_shape((None, 98, 98, 32)) == (None, 49, 49, 32)
    assert layer.compute_output_shape((None, 47, 47, 32)) == (None, 23, 23, 32)


def test_input_gradient_only_where_needed():
    for layer in (MaxPooling2D(), GlobalAveragePooling2D()):
        y = layer(spaced((2, 6, 5, 2)), training=True)
        layer.needs_input_gradient = False
        assert layer.backward(np.ones_like(y)) is None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MaxPooling2D(0), ValueError, "pool_size is 0"),
        (lambda: MaxPooling2D(2, strides="a"), TypeError, "strides is 'a'"),
        (lambda: MaxPooling2D(3).build((None, 2, 2, 1)), ValueError, "pool window.*does not fit"),
        (lambda: MaxPooling2D(name="p").build((None, 4)), ValueError, "'p': .*must be images"),
        (lambda: GlobalMaxPooling2D().build((None, 4)), ValueError, "must be images"),
    ],
)
def test_mistakes(make, error, message):
    with pytest.raises(error, match=message):
        make()
