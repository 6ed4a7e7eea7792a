import numpy as np
import pytest
from finite_differences import check_layer, spaced

from fastconv import ops
from fastconv.layers import (
    AveragePooling2D,
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
        (lambda: MaxPooling2D(name="p").build((None, 4)), ValueError, "'p': .*four axes"),
        (lambda: GlobalMaxPooling2D().build((None, 4)), ValueError, "four axes"),
    ],
)
def test_mistakes(make, error, message):
    with pytest.raises(error, match=message):
        make()
