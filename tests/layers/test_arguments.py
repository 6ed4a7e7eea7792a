import pytest

from fastconv import layers
from fastconv.layers import Conv2D, Dense
from fastconv.utils import clear_session


def test_unknown_argument_names_the_known():
    with pytest.raises(TypeError, match=r"Dense: unknown argument 'kernel_regulariser'.*units"):
        Dense(3, kernel_regulariser="l2")


@pytest.mark.parametrize("name", ["", "a/b", 3])
def test_bad_name(name):
    with pytest.raises(ValueError, match="name is"):
        Dense(3, name=name)


def test_channels_first_and_dtypes():
    assert Conv2D(1, 1, data_format="channels_last", dtype="float32")
    with pytest.raises(ValueError, match=r"channels_first.*moveaxis"):
        Conv2D(1, 1, data_format="channels_first")
    for dtype in ("float64", "float16", "nonsense", {"class_name": "DTypePolicy"}):
        with pytest.raises(ValueError, match="it must be 'float32'"):
            Dense(1, dtype=dtype)


@pytest.mark.parametrize("shape", [(3, -1), (0,), ("a",), (2.5, 3)])
def test_bad_input_shape(shape):
    with pytest.raises(ValueError, match="input_shape is"):
        Dense(1, input_shape=shape)


def test_automatic_names():
    clear_session()
    assert [Dense(1).name, Dense(1).name, layers.MaxPooling2D().name] == [
        "dense",
        "dense_1",
        "max_pooling2d",
    ]
    clear_session()
    assert Dense(1).name == "dense"
    assert repr(Dense(1)) == "<Dense 'dense_1'>"
