"""Labels as rows, norms and batches' parts, beside Keras's."""

from __future__ import annotations

import numpy as np
import pytest
from keras_reference import import_keras, keras_test

from fastconv import utils


@keras_test
@pytest.mark.parametrize(
    ("x", "classes"),
    [([0, 2, 1], None), ([[0], [3]], None), ([[0, 1], [2, 0]], 4), (2, None), (np.array([1.0]), 3)],
)
def test_to_categorical_as_in_keras(x, classes):
    expected = import_keras().utils.to_categorical(x, classes)
    found = utils.to_categorical(x, classes)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("x", "classes", "text"),
    [
        ([0, 3], 3, "x holds numbers from 0 to 3; they must be from 0 to 2"),
        ([-1, 1], None, "from -1 to 1"),
        ([0.5], None, "not whole"),
        (["cat"], None, "it must be of numbers"),
        ([1], 0, "num_classes is 0"),
    ],
)
def test_to_categorical_refuses(x, classes, text):
    with pytest.raises((TypeError, ValueError), match=f"to_categorical: .*{text}"):
        utils.to_categorical(x, classes)


@keras_test
@pytest.mark.parametrize(("axis", "order"), [(-1, 2), (-2, 1), (1, 2)])
def test_normalize_as_in_keras(axis, order):
    x = np.random.default_rng(0).normal(size=(3, 4))
    x[1] = 0
    expected = import_keras().utils.normalize(x, axis, order)
    np.testing.assert_allclose(utils.normalize(x, axis, order), expected)


@keras_test
def test_parts_of_batches_as_in_keras():
    theirs = import_keras().utils
    x, y, w = np.ones(2), np.zeros(2), np.ones(2)
    for parts in ((x,), (x, y), (x, y, w), ([x, y],)):
        mine = utils.pack_x_y_sample_weight(*parts)
        expected = theirs.pack_x_y_sample_weight(*parts)
        assert type(mine) is type(expected)
        for data in (mine, list(mine) if isinstance(mine, tuple) else mine):
            found = utils.unpack_x_y_sample_weight(data)
            wanted = theirs.unpack_x_y_sample_weight(data)
            assert all(one is other for one, other in zip(found, wanted, strict=True))
    with pytest.raises(ValueError, match="data has 4 parts"):
        utils.unpack_x_y_sample_weight((x, x, x, x))
