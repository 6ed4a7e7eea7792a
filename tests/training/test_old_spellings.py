"""Methods of models in older Keras."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from fastconv.layers import Dense
from fastconv.models import Sequential


def small():
    model = Sequential([Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def batches():
    while True:
        yield np.ones((4, 2)), np.zeros((4, 1))


def test_generators_are_trained_on_evaluated_and_predicted():
    model = small()
    history = model.fit_generator(batches(), steps_per_epoch=2, epochs=2, verbose=0)
    assert history.epoch == [0, 1]
    loss = model.evaluate_generator(batches(), steps=3)
    assert loss == pytest.approx(model.evaluate(np.ones((4, 2)), np.zeros((4, 1)), verbose=0))
    assert model.predict_generator(batches(), steps=3).shape == (12, 1)
    model.reset_metrics()


@pytest.mark.parametrize("name", ["predict_classes", "predict_proba", "to_yaml"])
def test_what_was_removed_names_what_stands_in_its_place(name):
    model = small()
    with pytest.raises(AttributeError, match=f"has no attribute '{name}', which Keras has removed"):
        getattr(model, name)
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing'$"):
        model.nothing  # noqa: B018
    assert not hasattr(model, name) and copy.deepcopy(model).get_weights()
