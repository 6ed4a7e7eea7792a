"""Copies, by `copy`, `pickle`, joblib or another process, go on as the original would."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import pickle
import weakref

import numpy as np
import pytest
from image_folders import write_folder
from optimizer_runs import new_parameters, run
from small_models import convnet, photos, predicted, same_weights, train_elsewhere

import fastconv
from fastconv import callbacks, layers, losses, metrics, optimizers
from fastconv._core.memory import ALIGNMENT
from fastconv.models import Sequential
from fastconv.preprocessing.image import ImageDataGenerator, image_dataset_from_directory
from fastconv.utils import set_random_seed


def by_joblib(value, folder):
    joblib = pytest.importorskip("joblib")
    joblib.dump(value, folder / "value.joblib")
    return joblib.load(folder / "value.joblib")


def by_mapped_joblib(value, folder):
    """Arrays arrive read-only, in a file's memory."""
    joblib = pytest.importorskip("joblib")
    joblib.dump(value, folder / "value.joblib")
    return joblib.load(folder / "value.joblib", mmap_mode="r")


WAYS = {
    "copy": lambda value, folder: copy.copy(value),
    "deepcopy": lambda value, folder: copy.deepcopy(value),
    **{
        f"pickle {protocol}": lambda value, folder, protocol=protocol: pickle.loads(
            pickle.dumps(value, protocol)
        )
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
    "joblib": by_joblib,
    "joblib, mapped": by_mapped_joblib,
}


@pytest.fixture(params=WAYS)
def copied(request, tmp_path):
    return lambda value: WAYS[request.param](value, tmp_path)


def deep_model(optimizer="adam"):
    """Return a compiled model of every layer, and of every kind of stage."""
    model = Sequential(
        [
            layers.Conv2D(6, 3, activation="relu", input_shape=(14, 14, 3)),
            layers.MaxPooling2D(),
            layers.Conv2D(5, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.AveragePooling2D(2, strides=1),
            layers.Conv2D(4, 2, activation="leaky_relu"),
            layers.Activation("tanh"),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(40, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy", metrics.AUC()])
    return model


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda: optimizers.Adam(0.01, clipnorm=1.0),
    "rmsprop": lambda: optimizers.RMSprop(0.01, centered=True, momentum=0.5),
    "scheduled": lambda: optimizers.Adam(optimizers.schedules.CosineDecay(0.01, 20)),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_goes_on_with_the_same_bits(optimizer, copied):
    model = deep_model(OPTIMIZERS[optimizer]())
    x, y = photos(24, size=14)
    for step in range(3):
        model.train_on_batch(x[8 * step :][:8], y[8 * step :][:8])
    other = copied(model)
    weights = other.get_weights()
    results = []
    for one in (model, other):
        set_random_seed(3)
        logs = one.fit(x, y, batch_size=9, epochs=2, validation_data=(x, y), verbose=0).history
        results.append((logs, one.predict(x, verbose=0).tobytes(), one.optimizer.iterations))
        if one is model:
            assert all(map(np.array_equal, weights, other.get_weights()))  # memory of its own
    assert results[0] == results[1] and same_weights(model, other)


@pytest.mark.parametrize(
    "model",
    [
        lambda: Sequential([layers.Dense(3), layers.Dense(1)], name="unbuilt"),
        lambda: Sequential([layers.Input((4,)), layers.Dense(3), layers.Dense(1)]),
        lambda: convnet(),
    ],
)
def test_models_of_every_state(model, copied):
    model = model()
    other = copied(model)
    assert other.get_config() == model.get_config()
    assert (other.built, other.compiled) == (model.built, model.compiled)
    if model.built:
        x = np.ones((2, *model.input_shape[1:]), np.float32)
        assert np.array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))
        assert all(p.value.ctypes.data % ALIGNMENT == 0 for p in other.weights)
    other.add(layers.Dense(2))
    assert len(other.layers) == len(model.layers) + 1


def test_a_copy_of_a_trained_model_has_all_that_belongs_to_it(copied):
    model = convnet()
    x, y = photos(16)
    history = model.fit(x, y, epochs=2, validation_split=0.25, verbose=0)
    model.class_names, model.metadata = ["cat", "dog"], {"note": 1}
    other = copied(model)
    assert other.history.history == history.history and other.history.model is other
    assert other.epochs_done == 2 and other.class_names == ["cat", "dog"]
    assert other.optimizer is not model.optimizer
    parameters = other.layers[0].parameters
    assert other.layers[0].kernel is parameters[0] and other.layers[0].bias is parameters[1]
    alone = copied(history)
    assert alone.history == history.history and alone.epoch == [0, 1] and alone.model is None
    assert alone.history["acc"] == history.history["accuracy"]


def test_frozen_weights_of_a_copy_keep_their_slots():
    model = convnet(dropout=0.0)
    x, y = photos(8)
    model.train_on_batch(x, y)
    model.layers[0].trainable = False
    other = pickle.loads(pickle.dumps(model))
    for one in (model, other):
        one.train_on_batch(x, y)
        one.layers[0].trainable = True
        one.train_on_batch(x, y)
    assert same_weights(model, other)


def test_what_is_shared_is_shared_in_the_copies():
    body = layers.Dense(4, activation="relu", input_shape=(3,))
    pair = (Sequential([body, layers.Dense(1)]), Sequential([body, layers.Dense(2)]))
    for one, other in (copy.deepcopy(pair), pickle.loads(pickle.dumps(pair))):
        assert one.layers[0] is other.layers[0] is not body


class KeepsOften(callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.kept = []

    def on_train_batch_end(self, batch, logs=None):
        self.kept.append(copy.deepcopy(self.model))
        pickle.dumps(self.model)


def test_a_model_is_copied_in_the_middle_of_its_training():
    model, keeper = convnet(), KeepsOften()
    x, y = photos(16)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[keeper])
    assert len(keeper.kept) == 4 and same_weights(keeper.kept[-1], model)
    assert keeper.kept[-1].epochs_done == 1
    keeper.kept[0].train_on_batch(x[8:], y[8:])


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(4, 3, activation="relu"),
        layers.Dense(40, activation="softmax"),
        layers.BatchNormalization(),
        layers.Dropout(0.5, noise_shape=(None, 1, 1, 3)),
        layers.MaxPooling2D(),
        layers.ReLU(6, 0.1),
        layers.GlobalMaxPooling2D(keepdims=True),
        layers.Flatten(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_go_on_with_the_same_bits(layer, copied):
    layer = copied(layer)  # not built yet
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype(np.float32)
    dy = np.ones_like(layer(x, training=True))
    layer.backward(dy)
    other = copied(layer)
    for one, two in zip(layer.parameters, other.parameters, strict=True):
        assert not np.shares_memory(one.value, two.value)
        assert two.value.flags.writeable and two.value.ctypes.data % ALIGNMENT == 0
        np.testing.assert_array_equal(one.gradient, two.gradient)
    with pytest.raises(RuntimeError, match="needs call"):
        other.backward(dy)
    if not isinstance(layer, layers.Dropout):
        assert layer(x).tobytes() == other(x).tobytes()
    assert layer(x, training=True).tobytes() == other(x, training=True).tobytes()
    assert np.array_equal(layer.backward(dy), other.backward(dy))
    assert layer.get_config() == other.get_config()


def test_activations_of_a_name_stay_one(copied):
    for name in ("linear", "relu", "sigmoid", "tanh", "softmax", "leaky_relu"):
        activation = fastconv.activations.get(name)
        assert copied(activation) is activation
    own = copied(fastconv.activations.Relu(6.0))
    assert own.get_config() == fastconv.activations.Relu(6.0).get_config()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_optimizer_by_itself_goes_on(optimizer, copied):
    first = OPTIMIZERS[optimizer]()
    parameters = new_parameters()
    run(first, parameters, range(3))
    second = copied(first)
    twins = new_parameters()
    for twin, parameter in zip(twins, parameters, strict=True):
        twin.value = parameter.value
    run(first, parameters, range(3, 6))
    run(second, twins, range(3, 6))
    for one, other in zip(parameters, twins, strict=True):
        np.testing.assert_array_equal(one.value, other.value)
    assert first.get_config() == second.get_config() and first.iterations == second.iterations


@pytest.mark.parametrize(
    "value",
    [
        losses.BinaryCrossentropy(label_smoothing=0.1),
        losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics.AUC(50),
        metrics.BinaryAccuracy(threshold=0.3),
        optimizers.schedules.ExponentialDecay(0.1, 10, 0.5),
        fastconv.initializers.GlorotUniform(seed=1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_losses_metrics_and_schedules(value, copied):
    assert copied(value).get_config() == value.get_config()


@pytest.mark.parametrize(
    "callback",
    [
        callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True),
        callbacks.ReduceLROnPlateau("loss"),
        callbacks.TerminateOnNaN(),
        callbacks.History(),
    ],
    ids=lambda callback: type(callback).__name__,
)
def test_callbacks_that_have_run(callback, copied):
    model = convnet()
    x, y = photos(8)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[callback])
    other = copied(callback)
    assert other.model is None
    np.testing.assert_equal(other.get_state(), callback.get_state())
    other.set_model(model)


def iterators(folder):
    x, y = photos(20)
    generator = ImageDataGenerator(rescale=0.5, rotation_range=20, zoom_range=0.2)
    write_folder(folder / "photos", {"cat": 5, "dog": 4})
    return {
        "arrays": generator.flow(x, y, batch_size=6, seed=1),
        "arrays ahead": generator.flow(x, y, batch_size=6, seed=1, prefetch=2),
        "files": generator.flow_from_directory(
            folder / "photos", (8, 8), batch_size=2, seed=2, prefetch=1, progress=False
        ),
        "disk": generator.flow_from_directory(
            folder / "photos", (8, 8), batch_size=2, seed=2, cache="disk",
            cache_dir=folder / "cache", progress=False,
        ),
        "data set": image_dataset_from_directory(folder / "photos", seed=3, batch_size=2),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["arrays", "arrays ahead", "files", "disk", "data set"])
def test_iterators_go_on_from_the_middle_of_an_epoch(kind, copied, tmp_path):
    iterator = iterators(tmp_path)[kind]
    for _ in range(len(iterator) + 1) if kind != "data set" else ():
        next(iterator)
    other = copied(iterator)
    assert other.get_state() == iterator.get_state()
    for step in range(len(iterator) + 1):
        if kind == "data set":
            step %= len(iterator)
            first, second = iterator[step], other[step]
        else:
            first, second = next(iterator), next(other)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(first, second, strict=True))
    iterator.close()
    other.close()


def test_a_generator_keeps_what_it_measured(copied):
    generator = ImageDataGenerator(featurewise_center=True, zca_whitening=True, rescale=0.1)
    generator.fit(photos(12, size=4)[0])
    image = photos(1, size=4)[0][0]
    assert copied(generator).standardize(image).tobytes() == generator.standardize(image).tobytes()


def test_a_spawned_process_trains_on():
    model = convnet()
    x, y = photos(16)
    history = model.fit(x, y, epochs=1, shuffle=False, verbose=0)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        # A child that cannot begin is made anew for ever.
        training = pool.apply_async(train_elsewhere, (model, history, x, y))
        other, predictions, logs = training.get(timeout=300)
    assert logs == history.history
    model.fit(x, y, epochs=1, shuffle=False, verbose=0)
    assert same_weights(model, other)
    assert predictions.tobytes() == model.predict(x, verbose=0).tobytes()


def test_joblib_workers_take_models():
    joblib = pytest.importorskip("joblib")
    model = convnet()
    x, y = photos(12)
    model.fit(x, y, epochs=1, verbose=0)
    work = joblib.Parallel(n_jobs=2)
    results = work(joblib.delayed(predicted)(model, x[i::3]) for i in range(3))
    for i, result in enumerate(results):
        assert result.tobytes() == model.predict(x[i::3], verbose=0).tobytes()


def test_a_model_that_nobody_has_is_freed_at_once():
    """No circle holds a model's memory until the garbage collector comes by."""
    gc.disable()
    try:
        model = convnet()
        x, y = photos(4)
        model.train_on_batch(x, y)
        gone = weakref.ref(model)
        del model
        assert gone() is None
    finally:
        gc.enable()
