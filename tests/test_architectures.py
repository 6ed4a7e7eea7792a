"""The chapter's four models and their recipes, and the networks that branch, beside Keras's."""

from __future__ import annotations

import json

import numpy as np
import pytest
from keras_reference import import_keras, keras_test

from fastconv import architectures, layers, optimizers, utils
from fastconv.architectures import classification, segmentation
from fastconv.architectures.recipe_settings import recipe_of, settings_of
from fastconv.callbacks import (
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    SwapEMAWeights,
)
from fastconv.models import Sequential, load_model


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("model1", 77_729), ("model2", 27_073), ("model3", 27_073), ("model4", 6_647_873)],
)
def test_sizes_are_the_chapters(name, parameters):
    model = architectures.get(name)()
    assert model.count_params() == parameters and model.name == name
    assert model.output_shape == (None, 1) and not model.compiled


@pytest.mark.parametrize("name", ["model1", "model2", "model3"])
def test_recipes_of_the_first_three(name):
    recipe = architectures.get(name).recipe
    assert (recipe.optimizer, recipe.learning_rate, recipe.epochs) == ("adam", 0.001, 30)
    assert bool(recipe.augmentation) == (name == "model3")
    stopping, checkpoint = recipe.callbacks()
    assert isinstance(stopping, EarlyStopping) and stopping.patience == 2
    assert checkpoint.filepath == f"{name}.npz" and checkpoint.save_best_only


def test_recipe_of_the_fourth():
    recipe = architectures.model4.recipe
    model = recipe.compile(architectures.model4((30, 30, 3)))
    assert type(model.optimizer).__name__ == "RMSprop"
    assert model.optimizer.learning_rate == 1e-4
    (checkpoint,) = recipe.callbacks()
    assert isinstance(checkpoint, ModelCheckpoint)
    assert checkpoint.filepath == "model4-{epoch:02d}.npz" and checkpoint.save_best_only


def test_recipe_of_pawnet():
    from fastconv.preprocessing.image import ImageDataGenerator

    recipe = architectures.pawnet.recipe
    model = recipe.compile(architectures.pawnet((16, 16, 3)))
    optimizer = model.optimizer
    assert optimizer.use_ema and optimizer.learning_rate == recipe.learning_rate
    weights = model.trainable_weights
    for one in weights:
        one.value[...], one.gradient[...] = 1, 0
    optimizer.apply(weights)
    assert all((one.value.max() < 1) == ("kernel" in one.name) for one in weights)
    generator = ImageDataGenerator(rescale=recipe.rescale, **recipe.augmentation)
    swap, rates, changes, checkpoint = recipe.callbacks(generator)
    assert isinstance(swap, SwapEMAWeights) and swap.swap_on_epoch
    assert isinstance(rates, LearningRateScheduler)
    assert list(changes.schedule) == [recipe.epochs - recipe.final_epochs]
    assert not checkpoint.save_best_only
    with pytest.raises(ValueError, match="generator is None"):
        recipe.callbacks()
    assert model.count_params() * 4 < 10e6


def test_a_recipes_course_is_scaled():
    recipe = architectures.Recipe(
        "x.npz", schedule="cosine", warmup_epochs=4, epochs=100, final_epochs=10
    )
    for epochs in (1, 7, 50, 100, 1000):
        scaled = recipe.scaled(epochs)
        rates = [scaled.rate_at(epoch, 0.5) for epoch in range(epochs)]
        warm = scaled.warmup_epochs
        assert warm == round(epochs / 25) and scaled.final_epochs == round(epochs / 10)
        assert rates[warm] == max(rates) == 0.5 and min(rates) > 0
        assert rates[: warm + 1] == sorted(rates[: warm + 1])
        assert rates[warm:] == sorted(rates[warm:], reverse=True)
    assert architectures.Recipe("x.npz").rate_at(20, 0.5) == 0.5


def test_averages_of_a_short_run_are_short():
    for steps, momentum in ((10, 0.0), (200, 0.9), (10**6, 0.995)):
        optimizer = optimizers.SGD(use_ema=True, ema_momentum=0.995)
        architectures.Recipe.shorten_averages(optimizer, steps)
        assert optimizer.ema_momentum == pytest.approx(momentum)


@pytest.mark.parametrize("name", architectures.ARCHITECTURES)
def test_what_a_run_goes_by_is_kept_as_json(name):
    recipe = architectures.get(name).recipe
    settings = json.loads(json.dumps(settings_of(recipe)))
    again = recipe_of(settings, recipe.checkpoint)
    assert settings_of(again) == settings
    assert again.rate_at(3, 0.1) == recipe.rate_at(3, 0.1)


def test_augmentation_is_the_chapters():
    from fastconv.preprocessing.image import ImageDataGenerator

    ImageDataGenerator(rescale=1 / 255, **architectures.AUGMENTATION)
    assert architectures.AUGMENTATION["rotation_range"] == 40
    assert architectures.AUGMENTATION["shear_range"] == 0.2


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match="model1, model2, model3, model4"):
        architectures.get("model5")


#: Each network at a size that tests can afford, and what it has at its own size.
GRAPHS = {
    "resnet20": (lambda: architectures.resnet20((8, 8, 3)), 274_042),
    "small_xception": (lambda: architectures.small_xception((32, 32, 3)), 721_857),
    "mobilenet_v2_like": (lambda: architectures.mobilenet_v2_like((32, 32, 3)), 411_489),
    "unet": (lambda: architectures.unet((8, 8, 3), classes=3, filters=4, depth=2), 484_145),
    "siamese": (lambda: architectures.siamese((14, 14, 1), embedding=4), 41_729),
    "autoencoder": (lambda: architectures.autoencoder((8, 8, 1), code=3), 77_169),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_sizes_of_the_graphs(name):
    model = getattr(architectures, name)()
    assert model.count_params() == GRAPHS[name][1] and model.name == name and not model.compiled


def in_keras(keras, model):
    """Return the network of the same layers and calls, made by Keras of what `get_config` says."""
    made = []
    for layer in model.layers:
        kind = getattr(keras.layers, type(layer).__name__, None)
        made.append(kind.from_config(layer.get_config()) if kind else in_keras(keras, layer))
    if isinstance(model, Sequential):
        return keras.Sequential([keras.Input(model.input_shape[1:]), *made], name=model.name)
    config = model.get_config()
    tensors = [made[place].output for place in config["inputs"]]
    for call in config["calls"]:
        inputs = [tensors[number] for number in call["inputs"]]
        tensors.append(made[call["layer"]](inputs if call.get("list") else inputs[0]))
    inputs = tensors[: len(config["inputs"])]
    return keras.Model(given(inputs), given([tensors[number] for number in config["outputs"]]))


def given(x):
    """Return what a model is given: a list where there are several."""
    return x if len(x) > 1 else x[0]


def random_inputs(model, rng, count):
    return given([rng.random((count, *one.shape[1:]), dtype=np.float32) for one in model.inputs])


@keras_test
@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_are_those_of_keras(name):
    """Keras's own count of the same network at the same size, and the same outputs."""
    keras = import_keras()
    full = getattr(architectures, name)()
    assert in_keras(keras, full).count_params() == full.count_params()
    ours = GRAPHS[name][0]()
    theirs = in_keras(keras, ours)
    rng = np.random.default_rng(0)
    weights = [rng.uniform(0.1, 0.5, w.shape) - 0.2 * (w.ndim > 1) for w in ours.get_weights()]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    x = random_inputs(ours, rng, 2)
    np.testing.assert_allclose(
        ours.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-4, atol=1e-5
    )


@keras_test
@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_train_as_in_keras(name, monkeypatch):
    """With smooth activations: on which side of a ReLU's corner a number is, rounding decides."""
    for module in (classification, segmentation):
        monkeypatch.setattr(module, "ReLU", lambda *limit: layers.Activation("silu"))
    keras = import_keras()
    ours = GRAPHS[name][0]()
    for layer in ours.layers:
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0
    theirs = in_keras(keras, ours)
    theirs.set_weights(ours.get_weights())
    for model, kind in ((theirs, keras.optimizers), (ours, optimizers)):
        model.compile(kind.SGD(0.01), "mse")
    rng = np.random.default_rng(0)
    for _ in range(3):
        x = random_inputs(ours, rng, 16)
        y = rng.random((16, *ours.output_shape[1:]), dtype=np.float32)
        expected = float(theirs.train_on_batch(x, y))
        assert ours.train_on_batch(x, y) == pytest.approx(expected, rel=1e-3)
    for mine, weight in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, weight, rtol=1e-3, atol=1e-4)


@keras_test
def test_mobilenet_is_as_large_as_kerass_own():
    keras = import_keras()
    theirs = keras.applications.MobileNetV2((96, 96, 3), 0.35, weights=None, classes=10)
    assert architectures.mobilenet_v2_like((96, 96, 3), 10).count_params() == theirs.count_params()


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_learn(name, tmp_path):
    """The loss of a batch seen again and again falls, and what was learnt is saved."""
    utils.set_random_seed(1)
    model = GRAPHS[name][0]()
    x = random_inputs(model, np.random.default_rng(1), 8)
    shape = (8, *model.output_shape[1:])
    y = np.zeros(shape, np.float32)
    if shape[-1] > 1:
        y[np.arange(8), ..., np.arange(8) % shape[-1]] = 1
    else:
        y[::2] = 1
    loss = "binary_crossentropy" if shape[-1] == 1 else "categorical_crossentropy"
    model.compile(optimizers.Adam(0.01), loss)
    losses = [model.train_on_batch(x, y) for _ in range(15)]
    assert losses[-1] < 0.9 * losses[0]
    model.save(tmp_path / "model.npz")
    saved = load_model(tmp_path / "model.npz").predict(x, verbose=0)
    np.testing.assert_array_equal(saved, model.predict(x, verbose=0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: architectures.resnet20(classes=1), "resnet20: classes is 1; it must be at least"),
        (lambda: architectures.unet(classes=0), "unet: classes is 0; it must be at least 2"),
        (lambda: architectures.unet((100, 100, 3)), "height and a width that are multiples of 8"),
        (lambda: architectures.autoencoder((30, 32, 1)), "autoencoder: input_shape is"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
