"""Evaluations with averaged weights, on a model that is really trained."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import convnet, photos, same_weights

from fastconv.callbacks import Callback, EarlyStopping, ModelCheckpoint, SwapEMAWeights
from fastconv.layers import BatchNormalization, Conv2D, Dense, Dropout, GlobalAveragePooling2D
from fastconv.losses import BinaryCrossentropy
from fastconv.models import Sequential, load_model
from fastconv.optimizers import SGD
from fastconv.utils import set_random_seed


def model_of(weights=None):
    model = convnet(optimizer=SGD(0.2, momentum=0.5, use_ema=True, ema_momentum=0.7), dropout=0.0)
    if weights is not None:
        model.set_weights(weights)
    return model


def fit(model, *callbacks, epochs=3, **options):
    x, y = photos(24)
    data = {"batch_size": 8, "shuffle": False, "validation_data": (x, y), "verbose": 0}
    return model.fit(x, y, epochs=epochs, callbacks=callbacks, **data, **options).history


class Watch(Callback):
    """Keeps the weights at every epoch's end, as files have them, and the averages."""

    runs_last = -2  # before they are exchanged

    def __init__(self):
        super().__init__()
        self.weights, self.averages = [], []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.get_weights())
        state = self.model.optimizer.get_state()
        self.averages.append([state[f"{i}/average"] for i in range(4)])


def test_validation_is_of_the_averages_and_training_is_not_changed():
    start = model_of().get_weights()
    plain, swapped = model_of(start), model_of(start)
    watch = Watch()
    without, history = fit(plain, watch), fit(swapped, SwapEMAWeights())
    assert history["loss"] == without["loss"]
    assert history["val_loss"] != without["val_loss"]
    x, y = photos(24)
    judge = model_of()
    for averages, expected in zip(watch.averages, history["val_loss"], strict=True):
        judge.set_weights(averages)
        assert judge.evaluate(x, y, batch_size=8, verbose=0)[0] == expected
    assert same_weights(plain, swapped)
    assert all(map(np.array_equal, plain.get_weights(), watch.averages[-1]))


def test_files_hold_the_averages_and_a_run_goes_on_from_them(tmp_path):
    start = model_of().get_weights()
    whole, stopped = model_of(start), model_of(start)
    watch = Watch()
    fit(whole, watch)
    path = tmp_path / "model-{epoch}.npz"
    callbacks = [SwapEMAWeights(swap_on_epoch=True), ModelCheckpoint(path)]
    fit(stopped, *callbacks, epochs=2)
    for epoch, averages in enumerate(watch.averages[:2], 1):
        saved = load_model(tmp_path / f"model-{epoch}.npz")
        assert all(map(np.array_equal, saved.get_weights(), averages))
    for more in ([], [SwapEMAWeights(swap_on_epoch=True)]):
        resumed = model_of()
        fit(resumed, *more, resume_from=tmp_path / "model-2.npz")
        assert same_weights(whole, resumed)


def test_a_run_that_is_stopped_early_ends_with_the_averages():
    start = model_of().get_weights()
    for on_epoch in (False, True):
        model, watch = model_of(start), Watch()
        stop = EarlyStopping("loss", mode="max", min_delta=10.0)
        fit(model, watch, SwapEMAWeights(on_epoch), stop, epochs=9)
        assert len(watch.averages) == 2
        assert all(map(np.array_equal, model.get_weights(), watch.averages[-1]))
        assert not model.optimizer.averages_in_model


class Fail(Callback):
    def on_test_begin(self, logs=None):
        raise RuntimeError("in the middle")


def test_weights_come_back_however_a_run_ends():
    model, twin = (model_of(model_of().get_weights()) for _ in range(2))
    twin.set_weights(model.get_weights())
    for one, more in ((model, [SwapEMAWeights()]), (twin, [])):
        with pytest.raises(RuntimeError, match="in the middle"):
            fit(one, *more, Fail())
    assert same_weights(model, twin)
    assert not model.optimizer.averages_in_model


def test_evaluations_and_predictions_by_hand():
    model = model_of()
    x, y = photos(24)
    swap = SwapEMAWeights()
    assert model.evaluate(x, y, verbose=0, callbacks=[swap]) == model.evaluate(x, y, verbose=0)
    for _ in range(3):
        model.train_on_batch(x, y)
    before = model.get_weights()
    judge = model_of(before)
    state = model.optimizer.get_state()
    judge.set_weights([state[f"{i}/average"] for i in range(4)])
    expected = judge.predict(x, verbose=0)
    np.testing.assert_array_equal(model.predict(x, verbose=0, callbacks=[swap]), expected)
    score = judge.evaluate(x, y, verbose=0)
    assert model.evaluate(x, y, verbose=0, callbacks=[swap]) == score
    assert all(map(np.array_equal, before, model.get_weights()))


def test_an_optimizer_without_averages_is_refused_before_training():
    model = convnet()
    before = model.get_weights()
    with pytest.raises(ValueError, match="SwapEMAWeights: the model's optimizer keeps no averages"):
        fit(model, SwapEMAWeights())
    assert all(map(np.array_equal, before, model.get_weights()))


def normalized_model():
    """A network with averages of two kinds: its weights', and those that it normalizes by."""
    model = Sequential(
        [
            Conv2D(4, 3, activation="relu", input_shape=(12, 12, 3)),
            BatchNormalization(),
            GlobalAveragePooling2D(),
            Dropout(0.2),
            Dense(1, activation="sigmoid"),
        ]
    )
    optimizer = SGD(
        0.1, momentum=0.9, nesterov=True, weight_decay=1e-3, use_ema=True, ema_momentum=0.8
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer, BinaryCrossentropy(label_smoothing=0.1), metrics=["accuracy"])
    return model


@pytest.mark.parametrize("swap_comes_first", [True, False])
def test_what_was_validated_is_what_is_kept_as_the_best(tmp_path, swap_comes_first):
    x, y = photos(24)
    path = tmp_path / "best.npz"
    swap = SwapEMAWeights(swap_on_epoch=True)
    stop = EarlyStopping(patience=2, restore_best_weights=True)
    keeping = [ModelCheckpoint(path, save_best_only=True), stop]
    model = normalized_model()
    callbacks = [swap, *keeping] if swap_comes_first else [*keeping, swap]
    losses = fit(model, *callbacks, epochs=12)["val_loss"]
    assert load_model(path).evaluate(x, y, verbose=0, batch_size=8)[0] == min(losses)
    assert model.evaluate(x, y, verbose=0, batch_size=8)[0] == min(losses)


def test_a_normalized_networks_run_goes_on_bit_for_bit(tmp_path):
    def callbacks():
        return [
            SwapEMAWeights(swap_on_epoch=True),
            EarlyStopping(patience=50, restore_best_weights=True),
            ModelCheckpoint(tmp_path / "{epoch}.npz"),
        ]

    start = tmp_path / "start.npz"
    normalized_model().save(start)
    whole, stopped = load_model(start), load_model(start)
    set_random_seed(7)
    history = fit(whole, *callbacks(), epochs=5)
    set_random_seed(7)
    fit(stopped, *callbacks(), epochs=2)
    resumed = load_model(tmp_path / "2.npz")
    assert fit(resumed, *callbacks(), epochs=5, resume_from=tmp_path / "2.npz") == history
    assert same_weights(whole, resumed)
    again = load_model(tmp_path / "2.npz").optimizer.get_config()
    assert again == whole.optimizer.get_config()
    assert again["exclude_from_weight_decay"] == ["bias", "gamma", "beta"]
