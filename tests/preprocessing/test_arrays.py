"""Images brought to a size beside Keras's."""

from __future__ import annotations

import numpy as np
import pytest
from keras_reference import import_keras, keras_test

from fastconv.preprocessing.image import smart_resize


@keras_test
@pytest.mark.parametrize("size", [(5, 5), (12, 7), (3, 20)])
def test_smart_resize_as_in_keras(size):
    keras = import_keras()
    x = 255 * np.random.default_rng(0).random((2, 9, 14, 3), np.float32)
    expected = np.asarray(keras.preprocessing.image.smart_resize(x, size))
    np.testing.assert_allclose(smart_resize(x, size), expected, atol=1e-3)
    np.testing.assert_allclose(smart_resize(x[0].tolist(), size), expected[0], atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((np.zeros((3, 3)), (2, 2)), "x has shape"),
        ((np.zeros((3, 3, 1)), (2, 0)), "size is"),
        ((np.zeros((3, 3, 1)), (2, 2), "area"), "interpolation is 'area'"),
        ((np.zeros((3, 3, 1)), (2, 2), "nearest", "channels_first"), "data_format"),
    ],
)
def test_mistakes_are_named(arguments, text):
    with pytest.raises(ValueError, match=f"smart_resize: {text}"):
        smart_resize(*arguments)
