import numpy as np
import pytest
from finite_differences import check_layer, spaced
from keras_reference import import_keras, keras_test

from fastconv import layers
from fastconv.layers import Cropping2D, Permute, RepeatVector, Reshape, UpSampling2D, ZeroPadding2D

CASES = [
    ("Reshape", {"target_shape": (6, 10)}, (2, 3, 4, 5)),
    ("Reshape", {"target_shape": [-1, 2, 5]}, (2, 3, 4, 5)),
    ("Reshape", {"target_shape": (60,)}, (2, 3, 4, 5)),
    ("Permute", {"dims": (2, 1)}, (2, 3, 4)),
    ("Permute", {"dims": [3, 1, 2]}, (2, 3, 4, 5)),
    ("RepeatVector", {"n": 3}, (2, 5)),
    ("ZeroPadding2D", {}, (2, 3, 4, 2)),
    ("ZeroPadding2D", {"padding": 2}, (2, 3, 4, 2)),
    ("ZeroPadding2D", {"padding": (1, 0)}, (2, 3, 4, 2)),
    ("ZeroPadding2D", {"padding": ((0, 2), (3, 1))}, (2, 3, 4, 2)),
    ("Cropping2D", {}, (2, 3, 4, 2)),
    ("Cropping2D", {"cropping": 1}, (2, 3, 4, 2)),
    ("Cropping2D", {"cropping": (1, 0)}, (2, 3, 4, 2)),
    ("Cropping2D", {"cropping": ((0, 2), (1, 1))}, (2, 3, 4, 2)),
    ("UpSampling2D", {}, (2, 3, 4, 2)),
    ("UpSampling2D", {"size": (3, 1)}, (2, 3, 4, 2)),
    ("UpSampling2D", {"size": (1, 4)}, (2, 3, 4, 2)),
    ("UpSampling2D", {"interpolation": "bilinear"}, (2, 3, 4, 2)),
    ("UpSampling2D", {"size": (3, 5), "interpolation": "bilinear"}, (2, 3, 4, 2)),
    ("UpSampling2D", {"size": 4, "interpolation": "bilinear"}, (1, 1, 2, 3)),
]


def made(name, arguments):
    return getattr(layers, name)(**arguments)


@keras_test
@pytest.mark.parametrize(("name", "arguments", "shape"), CASES)
def test_against_keras(name, arguments, shape):
    keras = import_keras()
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    theirs = getattr(keras.layers, name)(**arguments)
    layer = made(name, arguments)
    expected = theirs(x)
    expected = expected.detach().numpy() if hasattr(expected, "detach") else np.asarray(expected)
    np.testing.assert_allclose(layer(x), expected, atol=1e-6)
    assert layer.output_shape == (None, *theirs.compute_output_shape(shape)[1:])
    assert (None, *expected.shape[1:]) == layer.output_shape


@pytest.mark.parametrize(("name", "arguments", "shape"), CASES)
def test_gradients(name, arguments, shape):
    check_layer(made(name, arguments), spaced(shape))


@pytest.mark.parametrize(("name", "arguments", "shape"), CASES)
def test_results_are_contiguous_and_batches_may_alternate(name, arguments, shape):
    layer = made(name, arguments)
    rng = np.random.default_rng(0)
    for samples in (2, 5, 1):
        x = rng.normal(size=(samples, *shape[1:])).astype(np.float32)
        layer.build(x.shape)
        kept, y = x.copy(), layer.call(x, training=True)
        np.testing.assert_array_equal(y, made(name, arguments)(x))
        dx = layer.backward(np.ones_like(y))
        np.testing.assert_array_equal(x, kept)
        assert dx.shape == x.shape and dx.dtype == np.float32
        assert y.flags.c_contiguous and dx.flags.c_contiguous
    layer.needs_input_gradient = False
    assert layer.backward(np.ones_like(y)) is None


def test_unknown_sizes_stay_unknown():
    assert Reshape((-1, 2)).compute_output_shape((None, None, 4)) == (None, None, 2)
    assert Permute((2, 1)).compute_output_shape((None, None, 4)) == (None, 4, None)
    assert ZeroPadding2D(1).compute_output_shape((None, None, 4, 3)) == (None, None, 6, 3)
    assert Cropping2D(1).compute_output_shape((None, 4, None, 3)) == (None, 2, None, 3)
    assert UpSampling2D(2).compute_output_shape((None, 4, None, 3)) == (None, 8, None, 3)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Reshape((-1, -1)), ValueError, r"target_shape is \(-1, -1\)"),
        (lambda: Reshape((2, 0)), ValueError, r"target_shape is \(2, 0\)"),
        (lambda: Reshape("ab"), TypeError, "target_shape is 'ab'"),
        (lambda: Permute((1, 3)), ValueError, r"dims is \(1, 3\); it must be every axis"),
        (lambda: RepeatVector(0), ValueError, "n is 0"),
        (lambda: ZeroPadding2D(-1), ValueError, "padding is -1"),
        (lambda: ZeroPadding2D("same"), ValueError, "padding is 'same'"),
        (lambda: Cropping2D((1, 2, 3)), ValueError, r"cropping is \(1, 2, 3\)"),
        (lambda: UpSampling2D(0), ValueError, "size is 0"),
        (lambda: UpSampling2D(2, "cubic"), ValueError, "must be 'nearest' or 'bilinear'"),
        (lambda: ZeroPadding2D(1, data_format="channels_first"), ValueError, "data_format"),
        (lambda: Reshape((7,))(np.ones((2, 3, 4))), ValueError, r"has 12 numbers, .* \(7,\)"),
        (lambda: Permute((2, 1))(np.ones((2, 3))), ValueError, "need 2 axes behind the batch"),
        (lambda: RepeatVector(2)(np.ones((2, 3, 4))), ValueError, r"\(batch, features\)"),
        (lambda: Cropping2D(2)(np.ones((2, 4, 6, 1))), ValueError, "nothing would be left"),
        (lambda: UpSampling2D(2)(np.ones((2, 4))), ValueError, "it must be images"),
    ],
)
def test_mistakes(make, error, text):
    with pytest.raises(error, match=text):
        make()
