import numpy as np
import pytest
from finite_differences import check_layer, spaced
from keras_reference import import_keras, keras_test

from fastconv.layers import PReLU


@keras_test
@pytest.mark.parametrize("shared", [None, 1, [1, 2], (2,)])
def test_against_keras(shared):
    keras = import_keras()
    torch = pytest.importorskip("torch")
    x = spaced((2, 3, 4, 5))
    x[0, 0, 0] = 0
    dy = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    theirs = keras.layers.PReLU("random_normal", shared_axes=shared)
    theirs.build(x.shape)
    layer = PReLU("random_normal", shared_axes=shared)
    layer.build(x.shape)
    layer.set_weights(theirs.get_weights())
    tensor = torch.tensor(x, requires_grad=True)
    y = theirs(tensor)
    y.backward(torch.tensor(dy))
    np.testing.assert_allclose(layer(x, training=True), y.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(layer.backward(dy), tensor.grad.numpy(), atol=1e-6)
    np.testing.assert_allclose(layer.alpha.gradient, theirs.alpha.value.grad.numpy(), atol=1e-5)


@pytest.mark.parametrize("shared", [None, (1, 2)])
def test_gradients(shared):
    check_layer(PReLU("random_uniform", shared_axes=shared), spaced((2, 2, 3, 2)))


def test_config_and_mistakes():
    layer = PReLU("ones", shared_axes=np.array([1, 2]))
    assert layer.get_config()["shared_axes"] == [1, 2]
    assert PReLU.from_config(layer.get_config()).get_config() == layer.get_config()
    layer.build((None, None, 7, 3))
    assert layer.alpha.shape == (1, 1, 3)
    with pytest.raises(ValueError, match="shared_axes is 0; it must be axes behind the batch"):
        PReLU(shared_axes=0)
    with pytest.raises(ValueError, match=r"shared_axes is \(3,\); it must be axes of the input"):
        PReLU(shared_axes=3).build((None, 4, 5))
    with pytest.raises(ValueError, match="every size along which slopes are not shared"):
        PReLU().build((None, None, 5))


def test_its_weight_may_be_regularized_and_bounded():
    layer = PReLU(alpha_regularizer="l2", alpha_constraint="non_neg")
    layer.build((None, 4))
    assert layer.alpha.regularizer is layer.alpha_regularizer is not None
    assert layer.alpha.constraint is layer.alpha_constraint is not None
    again = PReLU.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
