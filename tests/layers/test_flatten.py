import numpy as np
from finite_differences import check_layer

from fastconv.layers import Flatten


def test_is_a_view():
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    layer = Flatten()
    layer.build(x.shape)
    y = layer.call(x)
    assert y.shape == (2, 12)
    assert np.shares_memory(x, y)
    np.testing.assert_array_equal(y, x.reshape(2, -1))


def test_shapes():
    assert Flatten().compute_output_shape((None, 49, 49, 32)) == (None, 76832)
    assert Flatten().compute_output_shape((None, None, 3)) == (None, None)
    assert Flatten()(np.zeros((0, 2, 3))).shape == (0, 6)
    assert Flatten()(np.zeros(5)).shape == (5, 1)


def test_gradients():
    check_layer(Flatten(), np.random.default_rng(0).normal(size=(2, 3, 2)))
    layer = Flatten()
    layer(np.zeros((2, 3, 4)), training=True)
    layer.needs_input_gradient = False
    assert layer.backward(np.zeros((2, 12), np.float32)) is None
