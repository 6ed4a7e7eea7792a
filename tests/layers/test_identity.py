"""Identity."""

from __future__ import annotations

import numpy as np

from fastconv.layers import Dense, Identity, Input
from fastconv.models import Model


def test_it_gives_its_input_and_gradients_go_through():
    x = Input((3,))
    dense = Dense(2)
    model = Model(x, Identity()(dense(Identity()(x))))
    np.testing.assert_array_equal(model.predict(np.ones((2, 3)), verbose=0), dense(np.ones((2, 3))))
    model.compile("sgd", "mse")
    before = dense.kernel.numpy()
    model.train_on_batch(np.ones((2, 3)), np.zeros((2, 2)))
    assert model.output_shape == (None, 2) and not np.array_equal(before, dense.kernel.value)
