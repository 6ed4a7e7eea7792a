import numpy as np
import pytest

from fastconv.layers import Input, InputLayer


@pytest.mark.parametrize(
    "layer",
    [
        Input((4, 4, 3)).node.layer,
        Input(shape=(4, 4, 3)).node.layer,
        InputLayer(input_shape=(4, 4, 3)),
        InputLayer(batch_shape=(None, 4, 4, 3)),
    ],
)
def test_spellings(layer):
    assert isinstance(layer, InputLayer)
    assert layer.input_shape == layer.output_shape == (None, 4, 4, 3)
    x = np.ones((2, 4, 4, 3), np.float32)
    assert layer.call(x) is x
    assert layer.backward(x) is x
    assert layer.parameters == []


def test_mistakes():
    with pytest.raises(ValueError, match="give the shape"):
        Input()
    with pytest.raises(ValueError, match=r"'in': the input has shape \(None, 5\)"):
        InputLayer((4,), name="in")(np.zeros((1, 5)))


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda x: np.asarray(x), "has no numbers yet; make a Model of it"),
        (lambda x: bool(x), "the graph cannot depend on them"),
        (lambda x: len(x), "the batch's size is not known"),
        (lambda x: x[:, 0], "cannot be indexed; use layers such as Cropping2D"),
        (lambda x: list(x), "cannot be gone through"),
    ],
)
def test_a_tensor_says_what_it_cannot(use, message):
    with pytest.raises(TypeError, match=rf"InputLayer 'photo'.*{message}"):
        use(Input((4, 4, 3), name="photo"))
