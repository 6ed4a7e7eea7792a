"""The part of `keras.backend` and `keras.config` that is here."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import backend as K
from fastconv import config
from fastconv.layers import Dense, Input
from fastconv.models import Sequential


def test_settings_are_what_they_are():
    assert (K.image_data_format(), K.floatx(), K.backend()) == (
        "channels_last",
        "float32",
        "fastconv",
    )
    assert K.epsilon() == config.epsilon() == 1e-7
    K.set_image_data_format("channels_last")
    K.set_floatx("float32")
    K.set_epsilon(1e-7)


@pytest.mark.parametrize(
    ("setter", "value", "error"),
    [
        ("set_image_data_format", "channels_first", ValueError),
        ("set_floatx", "float16", ValueError),
        ("set_epsilon", 1e-3, ValueError),
    ],
)
def test_what_cannot_take_effect_is_refused(setter, value, error):
    with pytest.raises(error, match=setter):
        getattr(config, setter)(value)


def test_values_of_weights_and_rates_are_read_and_set():
    model = Sequential([Dense(2, input_shape=(3,))])
    model.compile("sgd", "mse")
    kernel = model.layers[0].kernel
    K.set_value(kernel, np.ones((3, 2)))
    assert K.get_value(kernel).sum() == 6 == kernel.numpy().sum() and K.count_params(kernel) == 6
    K.set_value(model.optimizer.learning_rate, 0.25)
    model.optimizer.learning_rate.assign(model.optimizer.learning_rate * 2)
    assert K.get_value(model.optimizer.lr) == 0.5
    with pytest.raises(TypeError, match="set_value: x is 3; it must be a weight"):
        K.set_value(3, 1)


def test_shapes_and_names():
    x = Input((4, 4, 3))
    assert K.int_shape(x) == (None, 4, 4, 3) and K.ndim(x) == 4
    assert K.is_keras_tensor(x) and not K.is_keras_tensor(np.ones(3))
    K.clear_session()
    assert (K.get_uid("a"), K.get_uid("a"), K.get_uid("b")) == (1, 2, 1)
    assert Dense(2).name == "dense"
