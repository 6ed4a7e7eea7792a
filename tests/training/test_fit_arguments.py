"""The arguments of `fit`: validations, names of logs, what takes no effect is refused."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import convnet, photos

from fastconv.preprocessing.image import ImageDataGenerator
from fastconv.training.fit_arguments import ValidationEpochs

X, Y = photos(12)


def _batches():
    yield X, Y


@pytest.mark.parametrize(
    ("freq", "expected"),
    [
        (1, [0, 1, 2, 3, 4, 5]), (2, [1, 3, 5]), (4, [3]), (7, []), ([1, 2, 6], [0, 1, 5]),
        ((3,), [2]), (range(2, 5), [1, 2, 3]), (np.int64(3), [2, 5]), ({4}, [3]),
    ],
)  # fmt: skip
def test_which_epochs_are_validated(freq, expected):
    epochs = ValidationEpochs(freq, "m")
    assert [epoch for epoch in range(6) if epoch in epochs] == expected
    names = epochs.log_names(("loss",), 0, 6)
    assert ("val_loss" in names.always, "val_loss" in names.sometimes) == (
        len(expected) == 6, 0 < len(expected) < 6,
    )  # fmt: skip
    assert not epochs.log_names(("loss",), 6, 6).sometimes


@pytest.mark.parametrize("freq", [0, -1, 1.5, True, "2", [1, 0], ["a"], None])
def test_other_frequencies_are_refused(freq):
    with pytest.raises((TypeError, ValueError), match=r"fit: validation_freq is .*; it must be"):
        convnet().fit(X, Y, validation_data=(X, Y), validation_freq=freq)


def test_validation_after_listed_epochs():
    history = convnet().fit(
        X, Y, epochs=4, validation_data=(X, Y), validation_freq=[1, 4], verbose=0
    )
    assert len(history.history["loss"]) == 4 and len(history.history["val_loss"]) == 2


def test_old_keras_arguments_change_nothing():
    old = {"workers": 4, "use_multiprocessing": True, "max_queue_size": 3}
    model = convnet()
    model.fit(X, Y, verbose=0, **old)
    model.evaluate(X, Y, verbose=0, **old)
    assert len(model.predict(X, verbose=0, **old)) == 12


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"validation_steps": 3}, ValueError, "validation_steps is 3; it must be left out without"),
        (
            {"validation_batch_size": 3},
            ValueError,
            "validation_batch_size is 3; it must be left out",
        ),
        (
            {"validation_data": (X, Y), "validation_steps": float("nan")},
            TypeError,
            "validation_steps is nan",
        ),
        ({"validation_data": (X, Y), "validation_batch_size": 0}, ValueError, "batch_size is 0"),
        ({"validation_data": [X]}, ValueError, "validation_data has 1 parts"),
        ({"validation_data": X}, ValueError, "fit: validation_data: y is None; it must be"),
        ({"validation_data": _batches}, TypeError, "validation_data: x is _batches itself; .*call"),
        ({"validation_data": {"x": X}}, ValueError, "validation_data: x has 'x'; it must have"),
        ({"validation_data": iter([])}, ValueError, "a generator; validation_steps must be given"),
        (
            {"validation_data": iter([]), "validation_steps": 1},
            ValueError,
            "validation_data: the list_iterator gave no batch",
        ),
        ({"validation_data": (X, Y, Y, Y)}, ValueError, "validation_data has 4 parts"),
        (
            {"validation_data": iter([(X, Y)])},
            ValueError,
            "a generator; validation_steps must be given",
        ),
        ({"validation_split": "0.2"}, ValueError, "validation_split is '0.2'; it must be a number"),
        ({"validation_split": 1}, ValueError, "validation_split is 1; it must be a number"),
        ({"validation_split": float("nan")}, ValueError, "validation_split is nan"),
        ({"shuffle": "batch"}, TypeError, "shuffle is 'batch'; it must be True or False"),
        ({"verbose": "loud"}, ValueError, "verbose is 'loud'"),
        ({"verbose": [1]}, ValueError, "verbose is .1.; it must be 0, 1, 2"),
        ({"epochs": 2.0}, TypeError, r"epochs is 2\.0; it must be a whole number"),
        ({"initial_epoch": -1}, ValueError, "initial_epoch is -1"),
        ({"batch_size": 2.5}, TypeError, r"batch_size is 2\.5"),
        ({"steps_per_epoch": "3"}, TypeError, "steps_per_epoch is '3'"),
        (
            {"nb_epoch": 3},
            TypeError,
            r"Model\.fit\(\) got an unexpected keyword argument 'nb_epoch",
        ),
    ],
)
def test_mistakes_are_named_before_training(arguments, error, text):
    model = convnet()
    with pytest.raises(error, match=text):
        model.fit(X, Y, **arguments)
    assert model.optimizer.iterations == 0


def test_an_iterator_brings_its_own_batches():
    iterator = ImageDataGenerator().flow(X, Y, batch_size=5)
    with pytest.raises(ValueError, match="validation_batch_size is 2; it must be left out"):
        convnet().fit(X, Y, validation_data=iterator, validation_batch_size=2, verbose=0)
    convnet().fit(X, Y, batch_size=4, validation_data=iterator, verbose=0)
