import numpy as np
import pytest
from finite_differences import check_layer
from keras_reference import import_keras, keras_test
from oracle import assert_close

from fastconv import layers
from fastconv.graph import fused_normalization, fusion
from fastconv.layers import BatchNormalization


def images(shape=(4, 3, 2, 3), seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) * [1, 2, 0.5] + [0, 1, -1]).astype(np.float32)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_gradients(center, scale):
    layer = BatchNormalization(center=center, scale=scale, gamma_initializer="random_normal")
    check_layer(layer, images())


@pytest.mark.parametrize("shape", [(1, 3, 4, 3), (1, 7, 3)], ids=str)
def test_gradients_of_a_single_image(shape):
    """Its pixels are the samples: the gradient is no less than that of a batch."""
    layer = BatchNormalization(gamma_initializer="random_normal")
    check_layer(layer, images(shape))
    layer.gamma.assign([1, 2, 3])
    dy = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    layer(images(shape), training=True)
    assert np.abs(layer.backward(dy)).max() > 1e-3


@keras_test
@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 1, 3)])
def test_a_single_sample_is_its_own_mean_as_in_keras(shape):
    keras = import_keras()
    theirs, ours = keras.layers.BatchNormalization(), BatchNormalization(beta_initializer="ones")
    theirs.build(shape)
    theirs.beta.assign(np.ones(3, np.float32))
    x = images(shape)
    y = ours(x, training=True)
    np.testing.assert_allclose(y, keras.ops.convert_to_numpy(theirs(x, training=True)), atol=1e-6)
    assert (y == 1).all()
    np.testing.assert_allclose(
        ours.moving_variance.value, keras.ops.convert_to_numpy(theirs.moving_variance), rtol=1e-6
    )
    # Whatever the sample is, the output is beta: finite differences of it are 0.
    assert not ours.backward(np.ones_like(y)).any()
    check_layer(BatchNormalization(), images(shape))


def test_frozen_gradient_is_that_of_a_fixed_scale():
    layer = BatchNormalization(trainable=False, moving_variance_initializer="random_uniform")
    layer.build((None, 3))
    layer.moving_variance.assign([1, 4, 0.25])
    check_layer(layer, images((5, 3)))


def test_training_normalizes_and_moves_the_averages():
    x = images((50, 4, 4, 3))
    layer = BatchNormalization()
    y = layer(x, training=True)
    np.testing.assert_allclose(y.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    variance = x.var(axis=(0, 1, 2))
    np.testing.assert_allclose(y.var(axis=(0, 1, 2)), variance / (variance + 1e-3), rtol=1e-4)
    np.testing.assert_allclose(
        layer.moving_mean.value, 0.01 * x.mean(axis=(0, 1, 2)), rtol=1e-4, atol=1e-7
    )
    np.testing.assert_allclose(layer.moving_variance.value, 0.99 + 0.01 * variance, rtol=1e-5)


def test_inference_uses_the_averages_and_leaves_them():
    layer = BatchNormalization()
    x = images()
    np.testing.assert_allclose(layer(x), x / np.sqrt(1 + 1e-3), rtol=1e-5)
    assert not layer.moving_mean.value.any()


def test_frozen_means_inference():
    layer = BatchNormalization(trainable=False)
    x = images()
    np.testing.assert_array_equal(layer(x, training=True), layer(x))
    assert not layer.moving_mean.value.any()
    assert layer.trainable_weights == []


def test_weights_in_keras_order():
    layer = BatchNormalization()
    layer.build((None, 3))
    assert [p.name for p in layer.parameters] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [p.name for p in layer.trainable_weights] == ["gamma", "beta"]
    assert layer.count_params() == 12


def test_mistakes():
    with pytest.raises(ValueError, match="axis=1 is not supported"):
        BatchNormalization(axis=1).build((None, 4, 4, 3))
    with pytest.raises(ValueError, match="momentum is 2"):
        BatchNormalization(momentum=2)
    with pytest.raises(ValueError, match="epsilon is 0"):
        BatchNormalization(epsilon=0)
    layer = BatchNormalization()
    layer(images())
    with pytest.raises(ValueError, match="the last axis must be 3"):
        layer(np.zeros((2, 4)))


@keras_test
def test_against_keras():
    keras = import_keras()
    theirs, ours = keras.layers.BatchNormalization(), BatchNormalization()
    for seed in range(3):
        x = images((8, 5, 4, 3), seed)
        expected = theirs(x, training=True).detach().numpy()
        np.testing.assert_allclose(ours(x, training=True), expected, atol=2e-5)
    for mine, weight in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, weight, atol=1e-6)
    np.testing.assert_allclose(ours(x), theirs(x).detach().numpy(), atol=2e-5)


@pytest.mark.parametrize(
    "relu", [layers.ReLU, lambda: layers.Activation("relu6"), lambda: layers.ReLU(1.5)]
)
@pytest.mark.parametrize("channels", [3, 20])
def test_normalization_takes_the_relu_in(relu, channels):
    random, shape = np.random.default_rng(0), (5, 6, 7, channels)
    normalization, gate = layers.BatchNormalization(), relu()
    for layer in (normalization, gate):
        layer.build((None, *shape[1:]))
    normalization.gamma.assign(random.standard_normal(channels))
    normalization.beta.assign(random.standard_normal(channels))
    (operation,) = fusion.fuse([normalization, gate])
    assert type(operation) is fused_normalization.FusedNormalizationRelu
    x, dy = random.standard_normal(shape, np.float32), random.standard_normal(shape, np.float32)
    expected = gate.call(normalization.call(x, True), True).copy()
    expected_dx = normalization.backward(gate.backward(dy)).copy()
    gradients = [parameter.gradient.copy() for parameter in normalization.trainable_weights]
    assert_close(operation.call(x, training=True), expected)
    assert_close(operation.backward(dy), expected_dx)
    for parameter, gradient in zip(normalization.trainable_weights, gradients, strict=True):
        assert_close(parameter.gradient, gradient)
    expected = gate.call(normalization.call(x)).copy()
    assert_close(operation.call(x), expected)


@pytest.mark.parametrize(
    "relu",
    [lambda: layers.LeakyReLU(), lambda: layers.Activation("tanh"), lambda: layers.Dropout(0.5)],
)
def test_normalization_takes_nothing_else_in(relu):
    members = [layers.BatchNormalization(), relu()]
    assert fusion.fuse(members) == members
