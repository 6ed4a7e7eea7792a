import numpy as np
import pytest
from finite_differences import check_layer
from keras_reference import import_keras, keras_test

from fastconv import layers
from fastconv._core import runtime
from fastconv.layers import GroupNormalization, LayerNormalization, UnitNormalization

CASES = [
    ("LayerNormalization", {}, (4, 6)),
    ("LayerNormalization", {}, (2, 3, 4, 5)),
    ("LayerNormalization", {"axis": [1, 2, 3], "epsilon": 0.1}, (3, 3, 4, 2)),
    ("LayerNormalization", {"axis": [2, 3], "center": False}, (2, 3, 4, 2)),
    ("LayerNormalization", {"axis": 2, "scale": False}, (2, 3, 4)),
    ("GroupNormalization", {"groups": 2}, (2, 3, 4, 6)),
    ("GroupNormalization", {"groups": -1, "epsilon": 0.01}, (2, 3, 4, 3)),
    ("GroupNormalization", {"groups": 1, "center": False}, (2, 3, 4)),
    ("GroupNormalization", {"groups": 2, "scale": False}, (4, 8)),
    ("GroupNormalization", {"groups": 3, "axis": 1}, (2, 6, 4, 3)),
    ("GroupNormalization", {"groups": 4}, (2, 33, 33, 16)),
    ("GroupNormalization", {"groups": -1, "scale": False, "axis": 3}, (3, 40, 50, 11)),
    ("UnitNormalization", {}, (4, 6)),
    ("UnitNormalization", {"axis": [1, 2]}, (2, 3, 4)),
]


def numbers(shape, seed=0):
    return np.random.default_rng(seed).normal(1, 2, size=shape).astype(np.float32)


@keras_test
@pytest.mark.parametrize(("name", "arguments", "shape"), CASES)
def test_against_keras(name, arguments, shape):
    keras = import_keras()
    torch = pytest.importorskip("torch")
    x, dy = numbers(shape), numbers(shape, 1)
    theirs, layer = getattr(keras.layers, name)(**arguments), getattr(layers, name)(**arguments)
    theirs.build(shape)
    layer.build(shape)
    weights = [numbers(weight.shape, 2 + n) for n, weight in enumerate(theirs.weights)]
    theirs.set_weights(weights)
    layer.set_weights(weights)
    assert [w.name for w in layer.weights] == [w.name for w in theirs.weights]
    tensor = torch.tensor(x, requires_grad=True)
    y = theirs(tensor)
    y.backward(torch.tensor(dy))
    np.testing.assert_allclose(layer(x, training=True), y.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(layer.backward(dy), tensor.grad.numpy(), atol=2e-5)
    for ours, weight in zip(layer.weights, theirs.weights, strict=True):
        expected = weight.value.grad.numpy()
        largest = max(5, np.abs(expected).max())  # of thousands of terms, theirs in float32
        np.testing.assert_allclose(ours.gradient, expected, rtol=1e-5, atol=4e-6 * largest)
    keys = {"axis", "groups", "epsilon", "center", "scale"} & theirs.get_config().keys()
    assert keys <= layer.get_config().keys()
    read = type(layer).from_config(layer.get_config())
    assert read.get_config() == layer.get_config()


SMALL = [case for case in CASES if np.prod(case[2]) < 200]


@pytest.mark.parametrize(("name", "arguments", "shape"), SMALL)
def test_gradients(name, arguments, shape):
    layer = getattr(layers, name)(**arguments)
    layer.build(shape)
    layer.set_weights([1 + 0.3 * numbers(w.shape, n) for n, w in enumerate(layer.weights)])
    check_layer(layer, 0.5 * numbers(shape))


@pytest.mark.parametrize("axis", [1, (1, 3)])
def test_any_axes_may_be_normalized(axis):
    """Keras on PyTorch takes the last ones only: the others are moved there."""
    x, axes = numbers((2, 3, 4, 5)), axis if isinstance(axis, tuple) else (axis,)
    layer, last = LayerNormalization(axis), LayerNormalization(tuple(range(-len(axes), 0)))
    moved = np.moveaxis(x, axes, range(-len(axes), 0))
    expected = np.moveaxis(last(moved), range(-len(axes), 0), axes)
    np.testing.assert_allclose(layer(x), expected, atol=1e-6)
    check_layer(LayerNormalization(axis), 0.5 * numbers((2, 3, 2, 4)))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_bits_with_any_number_of_threads(threads):
    x, dy = numbers((2, 64, 65, 12)), numbers((2, 64, 65, 12), 1)

    def run(count):
        before = runtime.get_num_threads()
        runtime.set_num_threads(count)
        try:
            layer = GroupNormalization(3)
            y = layer(x, training=True)
            return y, np.array(layer.backward(dy)), layer.gamma.gradient, layer.beta.gradient
        finally:
            runtime.set_num_threads(before)

    for one, other in zip(run(1), run(threads), strict=True):
        np.testing.assert_array_equal(one, other)


def test_many_pixels_lose_no_digits():
    x = numbers((1, 150, 150, 4)) + 100
    y = GroupNormalization(groups=2, epsilon=1e-6)(x)
    groups = x.astype(np.float64).reshape(1, -1, 2, 2)
    expected = groups - groups.mean(axis=(1, 3), keepdims=True)
    expected /= np.sqrt((expected**2).mean(axis=(1, 3), keepdims=True) + 1e-6)
    np.testing.assert_allclose(y, expected.reshape(x.shape), atol=2e-5)


def test_a_frozen_input_gets_no_gradient_and_weights_theirs():
    layer = LayerNormalization()
    y = layer(numbers((4, 6)), training=True)
    layer.needs_input_gradient = False
    assert layer.backward(np.ones_like(y)) is None
    np.testing.assert_allclose(layer.beta.gradient, 4)


def test_a_zero_sample_stays_zero():
    layer = UnitNormalization()
    np.testing.assert_array_equal(layer(np.zeros((1, 3)), training=True), 0)
    assert np.isfinite(layer.backward(np.ones((1, 3), np.float32))).all()


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: GroupNormalization(0), ValueError, "groups is 0; it must be at least 1, or -1"),
        (lambda: GroupNormalization(4).build((None, 5, 6)), ValueError, "divide the 6 channels"),
        (lambda: GroupNormalization(4).build((None, 6, None)), ValueError, "known size"),
        (lambda: GroupNormalization(2, axis=0).build((4, 2)), ValueError, "not the batch's"),
        (lambda: LayerNormalization(axis=2).build((None, 6)), ValueError, "axis is 2; it must be"),
        (lambda: LayerNormalization(axis=[1, -1]).build((None, 6)), ValueError, "different axes"),
        (lambda: LayerNormalization(axis=0).build((None, 6)), ValueError, "not the batch's"),
        (lambda: LayerNormalization(axis="last"), TypeError, "axis is 'last'"),
        (lambda: LayerNormalization(rms_scaling=True), ValueError, "rms_scaling is True"),
        (lambda: LayerNormalization(epsilon=0), ValueError, "epsilon is 0"),
    ],
)
def test_mistakes(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize("cls", [LayerNormalization, GroupNormalization])
def test_weights_may_be_regularized_and_bounded(cls):
    layer = cls(gamma_regularizer="l2", beta_constraint="non_neg", gamma_initializer="zeros")
    layer.build((None, 32))
    assert layer.gamma.regularizer is layer.gamma_regularizer is not None
    assert layer.beta.constraint is layer.beta_constraint is not None
    assert not layer.gamma.value.any()
    assert cls.from_config(layer.get_config()).get_config() == layer.get_config()
