import numpy as np
import pytest
from finite_differences import check_layer

from fastconv.layers import Dense


def vectors(shape=(3, 5), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("activation", [None, "linear", "sigmoid", "tanh", "softmax"])
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4)])
def test_gradients(activation, shape):
    check_layer(Dense(4, activation), vectors(shape))


def test_gradients_without_bias():
    check_layer(Dense(4, use_bias=False), vectors())


def test_is_a_product():
    layer = Dense(7, bias_initializer="random_normal")
    x = vectors((9, 13))
    layer.build(x.shape)
    expected = x.astype(np.float64) @ layer.kernel.value + layer.bias.value
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def test_shapes():
    layer = Dense(4, input_dim=6)
    assert layer.input_shape == (None, 6)
    assert layer.output_shape == (None, 4)
    layer.build((None, 6))
    assert layer.count_params() == 28
    assert Dense(4)(np.zeros((2, 3, 6))).shape == (2, 3, 4)
    assert Dense(4)(np.zeros((0, 6))).shape == (0, 4)


def test_input_gradient_only_where_needed():
    layer = Dense(4)
    y = layer(vectors(), training=True)
    layer.needs_input_gradient = False
    assert layer.backward(np.ones_like(y)) is None
    assert layer.kernel.gradient.any()


def test_gradients_of_a_layer_that_defers():
    check_layer(Dense(40), vectors((3, 5)))


def test_an_array_of_the_gradient_that_was_handed_out_stays_true():
    layer = Dense(40)
    y = layer(vectors(), training=True)
    layer.backward(np.ones_like(y))
    gradient = layer.kernel.gradient
    first = gradient.copy()
    layer.backward(np.full_like(y, 2))
    np.testing.assert_array_equal(gradient, 2 * first)
    assert layer.kernel.gradient is gradient


def test_a_deferred_gradient_stays_when_the_next_batch_comes():
    layer = Dense(40)
    y = layer(vectors(), training=True)
    layer.backward(np.ones_like(y))
    layer(vectors(seed=1), training=True)
    layer.kernel.assign(np.zeros(layer.kernel.shape))
    np.testing.assert_allclose(
        layer.kernel.gradient, np.repeat(vectors().sum(axis=0)[:, None], 40, axis=1), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Dense(0), ValueError, "units is 0"),
        (lambda: Dense("3"), TypeError, "units is '3'"),
        (lambda: Dense(3, activation=3), TypeError, "3 is no activation"),
        (lambda: Dense(3).build((None, None)), ValueError, "known number of inputs"),
        (lambda: Dense(3)(np.zeros(4)), ValueError, "known number of inputs|needed"),
    ],
)
def test_mistakes(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_other_inputs_than_built_for():
    layer = Dense(2, name="d")
    layer(vectors())
    with pytest.raises(ValueError, match=r"Dense 'd': .*\(3, 6\); the last axis must be 5"):
        layer(vectors((3, 6)))
