"""Evaluation and prediction averaged over images and their mirror images."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import convnet, photos

from fastconv.layers import Conv2D, Dense, Flatten
from fastconv.losses import BinaryCrossentropy, CategoricalCrossentropy
from fastconv.models import Sequential


def classifier(classes=3):
    layers = [Conv2D(4, 3, activation="relu", input_shape=(12, 12, 3)), Flatten()]
    model = Sequential([*layers, Dense(classes, activation="softmax")])
    model.compile(loss=CategoricalCrossentropy(label_smoothing=0.1), metrics=["accuracy"])
    return model


@pytest.mark.parametrize("rows", [1, 10, 70])
def test_a_prediction_is_the_mean_of_both(rows):
    model, x = convnet(), photos(rows)[0]
    alone, mirrored = (model.predict(images, verbose=0) for images in (x, x[:, :, ::-1].copy()))
    expected = (alone + mirrored) / 2
    for _ in range(4):  # passes are recorded meanwhile
        averaged = model.predict(x, verbose=0, tta="flip")
        np.testing.assert_array_equal(averaged, expected)
    assert np.abs(alone - averaged).max() > 1e-4
    np.testing.assert_array_equal(
        averaged, model.predict(x[:, :, ::-1].copy(), verbose=0, tta="flip")
    )


def test_loss_and_metrics_are_those_of_the_mean():
    x, y = photos(50)
    model = convnet(loss=BinaryCrossentropy(label_smoothing=0.1))
    outputs = model.predict(x, verbose=0, tta="flip")
    result = model.evaluate(x, y, verbose=0, return_dict=True, tta="flip")
    expected = BinaryCrossentropy(label_smoothing=0.1)(y[:, None], outputs)
    assert result["loss"] == pytest.approx(float(expected), rel=1e-5)
    assert result["accuracy"] == pytest.approx(np.mean((outputs[:, 0] > 0.5) == y))
    assert result != model.evaluate(x, y, verbose=0, return_dict=True)


def test_more_than_two_classes():
    x, _ = photos(20)
    y = np.eye(3, dtype=np.float32)[np.arange(20) % 3]
    model = classifier()
    outputs = model.predict(x, verbose=0, tta="flip")
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-5)
    result = model.evaluate(x, y, verbose=0, return_dict=True, tta="flip")
    assert result["accuracy"] == pytest.approx(np.mean(outputs.argmax(1) == y.argmax(1)))


def test_what_cannot_be_averaged_is_refused():
    x, y = photos(4)
    model = convnet()
    for call in (lambda: model.predict(x, tta="turn"), lambda: model.evaluate(x, y, tta=True)):
        with pytest.raises(ValueError, match=r"tta is .*; it must be 'flip'"):
            call()
    masks = Sequential([Conv2D(1, 3, padding="same", input_shape=(12, 12, 3))])
    with pytest.raises(ValueError, match=r"it must be None for a model from \(None, 12, 12, 3\)"):
        masks.predict(x, verbose=0, tta="flip")

    class Own(Sequential):
        def test_step(self, batch):
            return super().test_step(batch)

    own = Own([Flatten(input_shape=(12, 12, 3)), Dense(1)])
    own.compile(loss="mse")
    with pytest.raises(ValueError, match="it must be None: test_step is your own"):
        own.evaluate(x, y, tta="flip")
