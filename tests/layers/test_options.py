"""What is assigned to a layer takes effect at the next call, or is refused by name."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from small_models import convnet, photos, same_weights

import fastconv
from fastconv import activations, layers
from fastconv.layers import Conv2D, Dense, Dropout, Layer
from fastconv.layers.arguments import constructor_arguments
from fastconv.models import Sequential, load_model

IMAGES = np.random.default_rng(0).normal(size=(3, 8, 8, 4)).astype(np.float32)

#: Every layer with each of its options, and another value of it.
BUILT = {
    "Conv2D": (
        lambda **options: Conv2D(**{"filters": 4, "kernel_size": 3} | options),
        {
            "filters": 8, "kernel_size": 2, "strides": 2, "padding": "same", "dilation_rate": 2,
            "groups": 2, "use_bias": False, "kernel_initializer": "ones",
            "bias_initializer": "ones", "kernel_regularizer": "l2", "bias_regularizer": "l1",
            "kernel_constraint": "non_neg", "bias_constraint": "unit_norm",
        },
    ),
    "Dense": (
        lambda **options: Dense(**{"units": 4} | options),
        {"units": 8, "use_bias": False, "kernel_initializer": "ones", "bias_initializer": "ones"},
    ),
    "BatchNormalization": (
        layers.BatchNormalization,
        {
            "axis": 3, "center": False, "scale": False, "beta_initializer": "ones",
            "gamma_initializer": "zeros", "moving_mean_initializer": "ones",
            "moving_variance_initializer": "zeros",
        },
    ),
    "Dropout": (
        lambda **options: Dropout(0.5, **options), {"noise_shape": (None, 1, 1, 4), "seed": 3}
    ),
    "MaxPooling2D": (layers.MaxPooling2D, {"pool_size": 3, "strides": 1, "padding": "same"}),
    "AveragePooling2D": (layers.AveragePooling2D, {"pool_size": 3, "strides": 1, "padding": 1}),
    "L2Pooling2D": (layers.L2Pooling2D, {"pool_size": 3, "strides": 1, "padding": "same"}),
    "GlobalAveragePooling2D": (layers.GlobalAveragePooling2D, {"keepdims": True}),
    "GlobalMaxPooling2D": (layers.GlobalMaxPooling2D, {"keepdims": True}),
}  # fmt: skip
CASES = [(kind, option) for kind, (_, options) in BUILT.items() for option in options]

#: Those that count at every call: a value, and what the layer is made with for the same.
LIVE = {
    "Conv2D": (BUILT["Conv2D"][0], {"activation": "relu"}),
    "Dense": (BUILT["Dense"][0], {"activation": "tanh"}),
    "BatchNormalization": (layers.BatchNormalization, {"momentum": 0.5, "epsilon": 0.1}),
    "Dropout": (lambda rate=0.5, **options: Dropout(rate, seed=1, **options), {"rate": 0.9}),
    "Activation": (
        lambda activation="relu", **options: layers.Activation(activation, **options),
        {"activation": "sigmoid"},
    ),
}
LIVE_CASES = [(kind, option) for kind, (_, options) in LIVE.items() for option in options]


@pytest.mark.parametrize(("kind", "option"), CASES)
def test_what_shapes_a_built_layer_is_refused(kind, option):
    make, options = BUILT[kind]
    layer = make(name="one")
    before = layer(IMAGES)
    config = layer.get_config()
    with pytest.raises(AttributeError, match=rf"{kind} 'one': {option} cannot be set.*from_config"):
        setattr(layer, option, options[option])
    assert layer.get_config() == config and np.array_equal(layer(IMAGES), before)


@pytest.mark.parametrize(("kind", "option"), CASES)
def test_what_shapes_a_layer_counts_before_it_is_built(kind, option):
    make, options = BUILT[kind]
    strides = {"strides": 2} if option == "pool_size" else {}  # those that were given stay
    expected, layer = make(**{option: options[option]}, **strides), make(input_shape=(8, 8, 4))
    _ = layer.output_shape  # which must not be remembered
    setattr(layer, option, options[option])
    for one in (expected, layer):
        fastconv.utils.set_random_seed(1)
        one.build((None, 8, 8, 4))
    assert layer.output_shape == expected.output_shape
    assert np.array_equal(layer(IMAGES, training=True), expected(IMAGES, training=True))
    assert layer.get_config()[option] == expected.get_config()[option]


@pytest.mark.parametrize(("kind", "option"), LIVE_CASES)
@pytest.mark.parametrize("training", [False, True])
def test_what_may_change_counts_from_the_next_call(kind, option, training):
    make, options = LIVE[kind]
    runs = []
    for layer in (make(**{option: options[option]}), make()):
        fastconv.utils.set_random_seed(1)
        layer.build((None, 8, 8, 4))
        if option not in layer.get_config() or layer.get_config()[option] != options[option]:
            state, weights = layer.get_state(), layer.get_weights()
            layer(IMAGES, training=training)
            layer.set_state(state)
            layer.set_weights(weights)
            setattr(layer, option, options[option])
        runs.append([layer(IMAGES, training=training), layer(IMAGES), layer.get_config()[option]])
        if training:
            runs[-1].append(layer.backward(np.ones_like(runs[-1][0])))
    for one, other in zip(*runs, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("layer", "option", "value", "error", "message"),
    [
        (Conv2D(2, 3), "filters", 0, ValueError, "filters is 0; it must be at least 1"),
        (Conv2D(2, 3), "strides", "two", TypeError, "strides is 'two'"),
        (
            Conv2D(2, 3),
            "padding",
            "full",
            ValueError,
            "padding is 'full'; it must be 'valid', 'same'",
        ),
        (Conv2D(2, 3), "use_bias", "no", TypeError, "use_bias is 'no'; it must be True or False"),
        (Conv2D(2, 3), "activation", 3, TypeError, "3 is no activation"),
        (Conv2D(2, 3), "activation", "rilu", ValueError, "unknown activation 'rilu'"),
        (Dense(2), "kernel_initializer", "magic", ValueError, "unknown initializer 'magic'"),
        (Dense(2), "name", "a/b", ValueError, "name is 'a/b'"),
        (Dense(2), "trainable", "yes", TypeError, "trainable is 'yes'; it must be True or False"),
        (Dropout(0.5), "rate", 2, ValueError, "rate is 2; it must be from 0 to 1"),
        (Dropout(0.5), "seed", -1, ValueError, "seed is -1; it must be at least 0"),
        (layers.BatchNormalization(), "momentum", 1.5, ValueError, "momentum is 1.5"),
        (layers.BatchNormalization(), "epsilon", 0, ValueError, "epsilon is 0; it must be above"),
        (layers.ReLU(), "activation", "tanh", TypeError, "activation is 'tanh'; it must be a Relu"),
    ],
)
def test_values_are_checked_and_a_bad_one_changes_nothing(layer, option, value, error, message):
    before = layer.get_config()
    with pytest.raises(error, match=message):
        setattr(layer, option, value)
    assert layer.get_config() == before


@pytest.mark.parametrize("option", ["kernel_regulariser", "trainble", "stride", "dtype"])
def test_a_name_that_means_nothing_is_refused(option):
    with pytest.raises(AttributeError, match=f"there is no attribute '{option}'"):
        setattr(Conv2D(2, 3), option, 1)
    with pytest.raises(AttributeError, match="did you mean 'trainable'"):
        Dense(2).trainble = False


def test_a_class_of_ones_own_has_what_it_likes():
    class Mine(Layer):
        def call(self, x, training=False):
            return x

    class MyDense(Dense):
        pass

    for layer in (Mine(), MyDense(2)):
        layer.strength = 3
        layer.kind = "mine"
        assert layer.strength == 3


@pytest.mark.parametrize("weight", ["kernel", "bias"])
def test_a_weight_stays_and_its_numbers_are_assigned(weight):
    layer = Dense(2, name="d")
    layer(np.ones((1, 3)))
    for value in (np.ones((3, 2)), None, fastconv.layers.parameter.Parameter("w", np.ones(2))):
        with pytest.raises(AttributeError, match=rf"{weight} is a weight.*layer.{weight}.value"):
            setattr(layer, weight, value)
    getattr(layer, weight).value = np.full(getattr(layer, weight).shape, 2.0)
    assert layer.get_weights()[weight == "bias"].min() == 2


def test_every_constructor_argument_is_an_option():
    """So that a new argument of a layer is checked and fixed, or live, like the others."""
    from fastconv._core.options import Option

    others = {
        "input_shape",
        "input_dim",
        "shape",
        "batch_shape",
        "batch_size",
        "sparse",
        "dtype",
        "data_format",
    }
    others |= {"max_value", "negative_slope", "threshold", "alpha"}  # of an activation
    others |= {"output_shape"}  # which all layers have
    others |= {"activity_regularizer", "sparse"}  # refused
    others |= {"batch_size"}  # without effect
    for cls in (getattr(layers, name) for name in layers.__all__):
        if inspect.isclass(cls) and cls is not Layer:
            for argument in set(constructor_arguments(cls)) - others:
                assert isinstance(getattr(cls, argument), Option), (cls, argument)


class TestInModels:
    """The network's cache, and fused stages, notice."""

    def test_an_activation_changes_fused_blocks_and_files(self, tmp_path):
        for activation in ("tanh", None, "relu", activations.LeakyRelu(0.3), activations.Relu()):
            model = convnet(dropout=0.0)
            x, y = photos(8)
            model.train_on_batch(x, y)
            model.layers[0].activation = activation
            made = convnet(dropout=0.0)
            made.pop(), made.pop(), made.pop(), made.pop(), made.pop()
            for old in model.layers:
                new = type(old).from_config(old.get_config())
                made.add(new)
            made.set_weights(model.get_weights())
            assert np.array_equal(model.predict(x, verbose=0), made.predict(x, verbose=0))
            model.save(tmp_path / "m.npz")
            loaded = load_model(tmp_path / "m.npz")
            assert np.array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))
            assert loaded.layers[0].get_config() == model.layers[0].get_config()

    def test_the_last_activation_changes_what_the_loss_takes_in(self):
        x, y = photos(8)
        model = convnet(dropout=0.0)
        model.train_on_batch(x, y)
        model.layers[-1].activation = None
        logits = model.predict(x, verbose=0)
        assert logits.min() < 0 and model._executor().final_activations == [None]
        model.layers[-1].activation = "sigmoid"
        np.testing.assert_allclose(
            model.predict(x, verbose=0), 1 / (1 + np.exp(-logits)), rtol=1e-5
        )
        assert model._executor().final_activations == ["sigmoid"]

    def test_frozen_parameters_stay_from_the_next_step_on(self):
        model = convnet()
        x, y = photos(8)
        model.train_on_batch(x, y)
        kernel, bias = model.layers[0].parameters
        kernel.trainable = False
        before = [kernel.value.copy(), bias.value.copy()]
        model.train_on_batch(x, y)
        assert np.array_equal(kernel.value, before[0]) and not np.array_equal(bias.value, before[1])
        kernel.trainable = True
        model.train_on_batch(x, y)
        assert not np.array_equal(kernel.value, before[0])
        with pytest.raises(TypeError, match="Parameter 'kernel': trainable is 'no'"):
            kernel.trainable = "no"

    @pytest.mark.filterwarnings("ignore:.*no weights are trained")
    def test_a_frozen_model_stays(self):
        model = convnet()
        x, y = photos(8)
        model.train_on_batch(x, y)
        weights = model.get_weights()
        model.trainable = False
        assert not any(layer.trainable for layer in model.layers)
        assert model.trainable_weights == [] and model.non_trainable_weights == model.weights
        model.fit(x, y, epochs=2, verbose=0)
        assert all(map(np.array_equal, weights, model.get_weights()))
        lines = []
        model.summary(print_fn=lines.append)
        assert "Trainable params: 0" in lines
        model.layers[-1].trainable = True  # as in Keras, the model's own word stands
        model.train_on_batch(x, y)
        assert all(map(np.array_equal, weights, model.get_weights()))
        model.trainable = True
        model.train_on_batch(x, y)
        assert not any(map(np.array_equal, weights, model.get_weights()))
        with pytest.raises(TypeError, match=r"Sequential '.*': trainable is None"):
            model.trainable = None

    def test_a_frozen_model_is_saved_so(self, tmp_path):
        model = convnet()
        model.trainable = False
        model.save(tmp_path / "m.npz")
        loaded = load_model(tmp_path / "m.npz")
        assert loaded.trainable is False and loaded.trainable_weights == []
        assert Sequential.from_config(model.get_config()).trainable is False

    def test_layers_shared_with_another_model_tell_both(self):
        first = convnet()
        second = Sequential([*first.layers[:3], Dense(1)])
        second.compile("sgd", "mean_squared_error")
        x, y = photos(8)
        second.train_on_batch(x, y)
        first.layers[0].trainable = False
        before = first.layers[0].get_weights()
        second.train_on_batch(x, y)
        assert all(map(np.array_equal, before, first.layers[0].get_weights()))

    def test_dropout_and_normalization_in_a_model(self):
        x, y = photos(8)
        model = convnet(dropout=0.5)
        model.train_on_batch(x, y)
        model.layers[3].rate = 0.0
        other = convnet(dropout=0.0)
        other.set_weights(model.get_weights())
        assert model.train_on_batch(x, y) == other.train_on_batch(x, y)
        normalized = Sequential([layers.BatchNormalization(input_shape=(3,)), Dense(1)])
        normalized.compile("sgd", "mean_squared_error")
        normalized.layers[0].momentum = 0.0
        rows = np.random.default_rng(0).normal(3, 1, (50, 3)).astype(np.float32)
        normalized.train_on_batch(rows, np.zeros(50))
        np.testing.assert_allclose(
            normalized.layers[0].moving_mean.value, rows.mean(axis=0), rtol=1e-5
        )

    def test_what_a_model_is_trained_with_may_be_assigned(self):
        x, y = photos(8)
        model, other = convnet(dropout=0.0), convnet(dropout=0.0, loss="mse", metrics=["auc"])
        other.set_weights(model.get_weights())
        model.evaluate(x, y, verbose=0)
        model.loss, model.metrics = "mse", "auc"
        model.optimizer = "adam"
        assert model.train_on_batch(x, y) == other.train_on_batch(x, y)
        assert model.metrics_names == ["loss", "auc"] and same_weights(model, other)
        for name, value in (("loss", "best"), ("optimizer", "best"), ("metrics", ["best"])):
            with pytest.raises(ValueError, match=r"unknown .* 'best'"):
                setattr(model, name, value)
        assert model.train_on_batch(x, y) == other.train_on_batch(x, y)
        model.metrics.append("accuracy")
        assert len(model.test_on_batch(x, y)) == 3

    def test_a_models_arrangement_is_kept_while_nothing_changes(self):
        model = convnet()
        executor = model._executor()
        assert model._executor() is executor
        Dense(3).trainable = False  # of nobody
        assert model._executor() is executor
        model.layers[0].trainable = False
        model.layers[0].trainable = True
        assert model._executor() is executor


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "sigmoid"])
def test_activations_that_layers_share_stay_as_they_are(name):
    activation = activations.get(name)
    for attribute in ("negative_slope", "max_value", "name", "plain", "alpha"):
        with pytest.raises(AttributeError, match=f"{attribute} cannot be set, since layers share"):
            setattr(activation, attribute, 3)
