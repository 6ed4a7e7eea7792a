"""fit, evaluate, predict and their checks."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from small_models import convnet, photos, same_weights

import fastconv
from fastconv import layers
from fastconv.callbacks import Callback, LambdaCallback
from fastconv.models import Sequential
from fastconv.preprocessing.image import ImageDataGenerator


def test_fit_learns_and_reports():
    fastconv.utils.set_random_seed(1)
    model = convnet(metrics=["acc"])
    x, y = photos(64)
    history = model.fit(x, y, epochs=8, validation_split=0.25, verbose=0)
    assert list(history.history) == ["loss", "acc", "val_loss", "val_acc"]
    assert history.epoch == list(range(8)) and model.history is history
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert history.history["accuracy"] is history.history["acc"]
    assert history.history["val_accuracy"] is history.history["val_acc"]


def test_same_seed_same_weights():
    def trained():
        fastconv.utils.set_random_seed(11)
        model = convnet()
        model.fit(*photos(), epochs=2, verbose=0)
        return model

    assert same_weights(trained(), trained())


def test_epochs_loss_is_the_mean_over_rows():
    model = convnet(dropout=0.0, optimizer=fastconv.optimizers.SGD(0.0))
    x, y = photos(10)
    logs = model.fit(x, y, batch_size=4, verbose=0).history
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert logs["loss"][0] == pytest.approx(loss, rel=1e-6)
    assert logs["accuracy"][0] == pytest.approx(accuracy)
    expected = fastconv.losses.get("binary_crossentropy")(y, model.predict(x, verbose=0))
    assert loss == pytest.approx(expected, rel=1e-5)


def test_evaluate_returns_what_keras_returns():
    model = convnet()
    x, y = photos(9)
    loss, accuracy = model.evaluate(x, y, batch_size=2, verbose=0)
    assert model.metrics_names == ["loss", "accuracy"]
    expected = {"loss": loss, "accuracy": accuracy}
    assert model.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(expected)
    model.compile("sgd", "binary_crossentropy")
    assert isinstance(model.evaluate(x, y, verbose=0), float)


def test_predict_does_not_depend_on_the_batch_size():
    model = convnet()
    x, y = photos(9)
    whole = model.predict(x, batch_size=9, verbose=0)
    assert whole.shape == (9, 1) and whole.dtype == np.float32
    np.testing.assert_allclose(model.predict(x, batch_size=2, verbose=0), whole, atol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(x), whole, atol=1e-6)
    images = ImageDataGenerator().flow(x, y, batch_size=4, shuffle=False)
    np.testing.assert_allclose(model.predict(images, verbose=0), whole, atol=1e-6)


def test_sample_weight_and_class_weight_agree():
    x, y = photos(12)
    by_class, by_sample, unweighed = convnet(), convnet(), convnet()
    for model in (by_sample, unweighed):
        model.set_weights(by_class.get_weights())
        for mine, other in zip(by_class.layers, model.layers, strict=True):
            other.set_state(mine.get_state())
    by_class.fit(x, y, class_weight={0: 1.0, 1: 5.0}, shuffle=False, verbose=0)
    by_sample.fit(x, y, sample_weight=np.where(y == 1, 5.0, 1.0), shuffle=False, verbose=0)
    unweighed.fit(x, y, shuffle=False, verbose=0)
    assert same_weights(by_class, by_sample) and not same_weights(by_class, unweighed)


def test_validation_data_of_every_kind():
    x, y = photos(12)
    model = convnet()
    expected = model.evaluate(x, y, verbose=0)[0]
    iterator = ImageDataGenerator().flow(x, y, batch_size=5, shuffle=False)
    endless = iter([(x, y)] * 9)
    frozen = {"optimizer": fastconv.optimizers.SGD(0.0), "dropout": 0.0}
    for data, steps in (((x, y), None), ((x, y, np.ones(12)), None), (iterator, None),
                        (endless, 1)):  # fmt: skip
        other = convnet(**frozen)
        other.set_weights(model.get_weights())
        logs = other.fit(x, y, validation_data=data, validation_steps=steps, verbose=0).history
        assert logs["val_loss"][0] == pytest.approx(expected, rel=1e-5)


def test_validation_every_other_epoch():
    x, y = photos(8)
    logs = (
        convnet().fit(x, y, epochs=4, validation_data=(x, y), validation_freq=2, verbose=0).history
    )
    assert len(logs["loss"]) == 4 and len(logs["val_loss"]) == 2


def test_initial_epoch_and_steps():
    x, y = photos(40)
    seen = []
    callback = LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(epoch),
        on_train_batch_end=lambda batch, logs: seen.append(f"b{batch}"),
    )
    model = convnet()
    model.fit(x, y, batch_size=10, epochs=4, initial_epoch=2, steps_per_epoch=2,
              callbacks=callback, verbose=0)  # fmt: skip
    assert seen == [2, "b0", "b1", 3, "b0", "b1"] and model.optimizer.iterations == 4


def test_fit_generator_takes_iterators_and_generators():
    x, y = photos(20)
    iterator = ImageDataGenerator().flow(x, y, batch_size=8, seed=0)
    model = convnet()
    history = model.fit_generator(iterator, epochs=2, validation_data=iterator, verbose=0)
    assert model.optimizer.iterations == 6 and "val_loss" in history.history

    def endless():
        while True:
            yield x[:4], y[:4]

    model.fit_generator(endless(), steps_per_epoch=3, epochs=2, verbose=0, workers=4)
    assert model.optimizer.iterations == 12
    with pytest.raises(ValueError, match="steps_per_epoch is None; it must be given"):
        model.fit_generator(endless(), verbose=0)


def test_an_iterator_serves_a_new_epoch_each_time():
    x, y = photos(8)
    iterator = ImageDataGenerator(rotation_range=90).flow(x, y, batch_size=8, seed=0)
    model = convnet()
    for epochs in (2, 1):
        model.fit(iterator, epochs=epochs, verbose=0)
    assert iterator.epoch == 3


def test_stop_training_ends_the_run_after_the_batch():
    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    x, y = photos(40)
    model = convnet()
    history = model.fit(x, y, batch_size=8, epochs=3, callbacks=[Stop()], verbose=0)
    assert model.optimizer.iterations == 2 and history.epoch == [0]
    assert len(model.fit(x, y, epochs=2, verbose=0).epoch) == 2


def test_batches_by_hand():
    x, y = photos(6)
    model = convnet(dropout=0.0)
    before = model.test_on_batch(x, y, return_dict=True)
    loss, accuracy = model.train_on_batch(x, y)
    assert (loss, accuracy) == pytest.approx((before["loss"], before["accuracy"]))
    assert model.test_on_batch(x, y)[0] < loss
    weighed = model.test_on_batch(x, y, sample_weight=np.zeros(6))
    assert weighed[0] == 0 and weighed[1] > 0


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda m, x, y: m.fit(x[:, :5], y),
            ValueError,
            r"x has shape .* it must be \(None, 12, 12, 3",
        ),
        (lambda m, x, y: m.fit(x[0], y[:12]), ValueError, "x has shape"),
        (lambda m, x, y: m.predict_on_batch(x[0]), ValueError, r"add the batch axis: x\[None\]"),
        (lambda m, x, y: m.fit(x, np.eye(2)[y.astype(int)]), ValueError, "targets have shape"),
        (lambda m, x, y: m.fit(x), ValueError, "y is None; it must be the labels"),
        (lambda m, x, y: m.fit(x, y, validation_data=(x[:, :5], y)), ValueError, "validation_data"),
        (lambda m, x, y: m.fit(x, y, validation_data=[x]), ValueError, "has 1 parts"),
        (lambda m, x, y: m.fit(x, y, epochs=-1), ValueError, "epochs is -1"),
        (lambda m, x, y: m.fit(x, y, verbose=3), ValueError, "verbose is 3"),
        (lambda m, x, y: m.fit(x, y, callbacks=[Callback]), TypeError, "add parentheses"),
        (lambda m, x, y: m.fit(x, y, sample_weight=np.ones(3)), ValueError, "sample_weight has 3"),
        (lambda m, x, y: m.fit([[1, 2], [3]], y[:2]), ValueError, "fit: x is a list whose rows"),
        (lambda m, x, y: m.predict([[1, 2], [3]]), ValueError, "predict: x is a list whose rows"),
        (
            lambda m, x, y: m.predict_on_batch(["a"]),
            TypeError,
            "batch: x has dtype <U1; it must",
        ),
        (lambda m, x, y: m([["a"]]), TypeError, "call: x has dtype <U1; it must be"),
        (lambda m, x, y: m.fit(x, ["cat"] * 20), TypeError, "fit: y has dtype <U3; .*unique"),
        (lambda m, x, y: m.evaluate(x, ["cat"] * 20), TypeError, "evaluate: y has dtype <U3"),
        (lambda m, x, y: m.train_on_batch(x, ["cat"] * 20), TypeError, "batch: y has dtype <U3"),
        (
            lambda m, x, y: m.fit(x, y, sample_weight=[[1], [2, 3]] * 10),
            ValueError,
            "fit: sample_weight is a list whose rows differ",
        ),
        (
            lambda m, x, y: m.evaluate(x, y, sample_weight=["a"] * 20),
            TypeError,
            "evaluate: sample_weight has dtype <U1; it must be",
        ),
        (
            lambda m, x, y: m.train_on_batch(x, y, np.full(20, np.nan)),
            ValueError,
            "train_on_batch: .* sample_weight runs from nan to nan; they must",
        ),
        (
            lambda m, x, y: m.fit(x, y, sample_weight=np.ones((20, 3))),
            ValueError,
            r"fit: .* sample_weight has shape \(20, 3\); it must be \(20,\)$",
        ),
        (lambda m, x, y: m.evaluate(x, y[:-1]), ValueError, "20 rows and y has 19"),
        (lambda m, x, y: m.compile("adam"), ValueError, "loss is None; it must be"),
        (lambda m, x, y: m.compile("adam", "hinges"), ValueError, "unknown loss"),
        (lambda m, x, y: m.compile("lamb", "mse"), ValueError, "unknown optimizer"),
        (lambda m, x, y: m.compile("adam", "mse", metrics=["f1"]), ValueError, "unknown metric"),
    ],
)
def test_mistakes_change_nothing(call, error, text):
    model = convnet()
    x, y = photos(20)
    weights, state = model.get_weights(), [layer.get_state() for layer in model.layers]
    loss, optimizer = model.loss, model.optimizer
    with pytest.raises(error, match=text):
        call(model, x, y)
    assert all(map(np.array_equal, weights, model.get_weights()))
    assert state == [layer.get_state() for layer in model.layers]
    assert model.loss is loss and model.optimizer is optimizer and optimizer.iterations == 0


class _NamesLater:
    """Two batches, the second one's labels are names."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        x, y = photos(4)
        return x, (["cat"] * 4 if index else y)


def test_labels_of_names_in_a_later_batch():
    with pytest.raises(TypeError, match="the iterator's batch: y has dtype <U3"):
        convnet().fit(_NamesLater(), verbose=0)
    assert len(convnet().predict(_NamesLater(), verbose=0)) == 8  # which ignores labels


def test_a_wrong_label_in_the_last_row_is_found_first():
    model = Sequential([layers.Dense(3, activation="softmax", input_shape=(2,))])
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = np.zeros((100, 2), np.float32), np.zeros(100, int)
    y[-1] = 3
    weights = model.get_weights()
    with pytest.raises(ValueError, match="class numbers run from 0 to 3"):
        model.fit(x, y, shuffle=False, verbose=0)
    assert all(map(np.array_equal, weights, model.get_weights()))


def test_uncompiled_models_say_so():
    model = Sequential([layers.Dense(1, input_shape=(2,))])
    for method in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
        with pytest.raises(RuntimeError, match="call compile"):
            getattr(model, method)(np.zeros((1, 2)), np.zeros(1))
    assert model.metrics_names == []
    with pytest.raises(ValueError, match="has no layers"):
        Sequential().predict(np.zeros((1, 2)))


def test_an_error_closes_the_callbacks():
    closed = []

    class Failing(Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

        def close(self):
            closed.append(self)

    with pytest.raises(KeyboardInterrupt):
        convnet().fit(*photos(8), callbacks=[Failing()], verbose=0)
    assert len(closed) == 1


def test_the_classes_are_learnt_from_the_iterator():
    class Pets:
        def __init__(self):
            self.class_indices = {"dog": 1, "cat": 0}

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return photos(4)

    model = convnet()
    model.fit(Pets(), verbose=0)
    assert model.class_names == ["cat", "dog"]


def test_threads_may_predict_from_one_model():
    model = convnet()
    x, _ = photos(30)
    expected = [model.predict(part, verbose=0) for part in np.split(x, 3)]
    wrong = []

    def work(part, answer):
        for _ in range(20):
            if not np.array_equal(model.predict(part, verbose=0), answer):
                wrong.append(1)

    threads = [
        threading.Thread(target=work, args=pair)
        for pair in zip(np.split(x, 3), expected, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_metric_objects_and_several_metrics():
    x, y = photos(20)
    auc = fastconv.metrics.get("auc")
    model = convnet(metrics=["accuracy", auc])
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert list(logs) == ["loss", "accuracy", "auc"]
    # Passes have metrics of their own: the user's object is not touched.
    assert auc.result() == 0 and model.evaluate(x, y, verbose=0, return_dict=True) == logs


def test_two_trainings_of_one_model_at_once_are_refused():
    model = convnet()
    x, y = photos(8)
    seen = []

    class Again(fastconv.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            with pytest.raises(RuntimeError, match=r"is being trained already.*deepcopy\(model\)"):
                self.model.fit(x, y, verbose=0)
            seen.append(epoch)

    model.fit(x, y, epochs=2, verbose=0, callbacks=[Again()])
    model.fit(x, y, epochs=1, verbose=0)  # once that one has ended
    assert seen == [0, 1] and model.epochs_done == 1
