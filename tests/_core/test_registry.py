"""Things by name: spellings, classes of a user's own, and what an unknown name is told."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import (
    activations,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    regularizers,
)
from fastconv._core import registry
from fastconv._core.registry import Registry, unknown
from fastconv.optimizers import schedules
from fastconv.utils import custom_object_scope

ROOMS = {
    "activations": (activations.get, "relu", "rely"),
    "constraints": (constraints.get, "unit_norm", "unit_nrom"),
    "initializers": (initializers.get, "he_normal", "he_norml"),
    "regularizers": (regularizers.get, "l1_l2", "l1_l3"),
    "losses": (losses.get, "mean_squared_error", "mean_square_error"),
    "metrics": (metrics.get, "binary_accuracy", "binary_acuracy"),
    "optimizers": (optimizers.get, "rmsprop", "rmsporp"),
    "layers": (layers.get, "MaxPooling2D", "MaxPoling2D"),
    "schedules": (lambda name: schedules.get({"class_name": name}), "CosineDecay", "CosinDecay"),
}


@pytest.mark.parametrize("room", ROOMS)
def test_a_slip_of_the_pen_is_told_the_name_that_may_be_meant(room):
    get, name, slip = ROOMS[room]
    with pytest.raises(
        ValueError, match=rf"^{room}: unknown .* '{slip}'; known are .*mean '{name}'\?"
    ):
        get(slip)


@pytest.mark.parametrize("room", ROOMS)
def test_any_other_name_is_told_where_own_classes_are_given(room):
    with pytest.raises(ValueError, match=r"unknown .* 'qqq'; .*custom_objects=\{'qqq': TheClass\}"):
        ROOMS[room][0]("qqq")


@pytest.mark.parametrize(
    ("get", "spellings"),
    [
        (activations.get, ("leaky_relu", "LeakyReLU", "LeakyRelu", activations.LeakyRelu)),
        (initializers.get, ("glorot_uniform", "GlorotUniform", initializers.GlorotUniform)),
        (constraints.get, ("max_norm", "MaxNorm", constraints.max_norm, constraints.MaxNorm)),
        (regularizers.get, ("l1_l2", "L1L2", "l1l2", regularizers.l1_l2, regularizers.L1L2)),
        (losses.get, ("mse", "MSE", "mean_squared_error", losses.mean_squared_error)),
        (metrics.get, ("auc", "AUC", {"class_name": "AUC", "config": {}}, metrics.AUC)),
        (optimizers.get, ("rmsprop", "RMSprop", optimizers.RMSprop)),
    ],
)
def test_keras_spellings_mean_the_same(get, spellings):
    assert len({type(get(spelling)) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    ("room", "thing"),
    [
        (constraints, constraints.MaxNorm(3)),
        (optimizers, optimizers.Lion(0.1)),
        (regularizers, regularizers.L2(0.5)),
        (schedules, schedules.PolynomialDecay(0.1, 10)),
    ],
)
def test_what_keras_has_written_is_read(room, thing):
    """Its descriptions say more than ours."""
    more = {"module": "keras", "registered_name": None}
    again = room.deserialize(room.serialize(thing) | more)
    assert type(again) is type(thing) and again.get_config() == thing.get_config()
    own = type("Own", (type(thing),), {})
    assert (
        type(room.deserialize({"class_name": "Own", "config": thing.get_config()}, {"Own": own}))
        is own
    )


def test_a_layer_has_one_spelling():
    with pytest.raises(ValueError, match=r"unknown layer 'dense'; .*mean 'Dense'"):
        layers.get("dense")


def test_names_from_elsewhere_are_cut_short():
    with pytest.raises(ValueError) as caught:
        losses.get("x" * 10_000_000)
    assert len(str(caught.value)) < 500


def test_own_classes_come_first_and_are_of_the_kind():
    class Adam(optimizers.Adam):
        pass

    with custom_object_scope({"Adam": Adam, "mse": Adam}):
        assert type(optimizers.get("Adam")) is Adam
        with pytest.raises(TypeError, match=r"'mse' stands for .*, which is no Loss class"):
            losses.get("mse")
    assert type(optimizers.get("Adam")) is optimizers.Adam
    assert optimizers.serialize(Adam())["class_name"] == "Custom>Adam"


def test_an_own_class_in_another_spelling_is_not_taken_for_the_built_in_one():
    class MSE(losses.MeanSquaredError):
        pass

    saved = losses.serialize(MSE())
    with pytest.raises(ValueError, match="unknown loss 'Custom>MSE'"):
        losses.get(saved)
    with custom_object_scope({"MSE": MSE}):
        assert type(losses.get(saved)) is MSE


def test_an_object_stands_for_itself_and_with_arguments_for_its_class():
    steep = activations.LeakyRelu(0.9)
    registry = Registry(
        activations.Activation, {"steep": steep}, words=("here", "activation", "an Activation")
    )
    assert registry.get("steep") is registry.get("Steep") is steep
    made = registry.get({"class_name": "steep", "config": {"negative_slope": 0.5}})
    assert made.negative_slope == 0.5
    with pytest.raises(TypeError, match=r"^me: 3 is no activation; give a name \(steep\) or an"):
        registry.get(3, "me")


def test_objects_are_returned_and_classes_of_another_kind_are_not_made():
    loss = losses.MeanSquaredError()
    assert losses.get(loss) is loss
    assert losses.serialize(loss) == {"class_name": "MeanSquaredError", "config": loss.get_config()}
    with pytest.raises(TypeError, match="is no loss; give a name"):
        losses.get(optimizers.Adam)


def test_scopes_add_to_those_around():
    class Outer(losses.MeanSquaredError):
        pass

    class Inner(losses.MeanSquaredError):
        pass

    with custom_object_scope({"outer": Outer}):
        with custom_object_scope({"inner": Inner}), custom_object_scope(None):
            assert type(losses.get("outer")) is Outer and type(losses.get("inner")) is Inner
        with pytest.raises(ValueError, match="unknown loss 'inner'"):
            losses.get("inner")


def test_unknown_names_word_for_word():
    assert str(unknown("room", "celar", ["attic", "cellar"], "house", "build it")) == (
        "house: unknown room 'celar'; known are attic, cellar; did you mean 'cellar'?"
    )
    with pytest.raises(ValueError, match="; a class of your own is given as custom_objects="):
        losses.get("qqq")


def test_a_remedy_stands_where_no_name_is_close():
    assert str(unknown("room", "attic", ["cellar"], "house", "build it")) == (
        "house: unknown room 'attic'; known are cellar; build it"
    )


def test_a_message_lists_as_many_names_as_it_holds():
    with pytest.raises(ValueError, match=r"known are binary_cross.* and \d+ more; a class"):
        losses.get("zzz")
    with pytest.raises(TypeError, match=r"3 is no metric; give a name \(accuracy, .* more\) or"):
        metrics.get(3)


@pytest.fixture
def registered():
    """The registered objects, as they were before once the test is over."""
    objects = registry.get_custom_objects()
    before = dict(objects)
    yield objects
    objects.clear()
    objects.update(before)


def test_registered_classes_are_found_everywhere(registered, tmp_path):
    @registry.register_keras_serializable(package="mine")
    class Twice(layers.Layer):
        def call(self, x, training=False):
            return x * 2

        def backward(self, dy):
            return dy * 2

        def compute_output_shape(self, input_shape):
            return input_shape

    assert layers.serialize(Twice())["class_name"] == "mine>Twice"
    assert registry.get_registered_name(Twice) == "mine>Twice"
    assert registry.get_registered_object("mine>Twice") is Twice
    model = models.Sequential([Twice(input_shape=(3,))])
    model.save(tmp_path / "m.npz")
    again = models.load_model(tmp_path / "m.npz")
    np.testing.assert_array_equal(again.predict(np.ones((1, 3))), [[2, 2, 2]])
    del registered["mine>Twice"]
    with pytest.raises(ValueError, match="mine>Twice"):
        models.load_model(tmp_path / "m.npz")
    registered["Twice"] = Twice
    assert layers.serialize(Twice())["class_name"] == "Twice"
    assert layers.get("Twice") is Twice


def test_a_built_in_name_stays_built_in(registered):
    conv2d = registry.register_keras_serializable()(type("Conv2D", (layers.Conv2D,), {}))
    assert layers.get("Conv2D") is layers.Conv2D
    assert layers.serialize(conv2d(1, 1))["class_name"] == "Custom>Conv2D"
    assert layers.get("Custom>Conv2D") is conv2d
    other = type("Conv2D", (layers.Conv2D,), {"__qualname__": "elsewhere.Conv2D"})
    with pytest.raises(ValueError, match=r"'Custom>Conv2D' stands for .* already"):
        registry.register_keras_serializable()(other)
    assert registry.register_keras_serializable(name="Own")(other) is other
    with pytest.raises(TypeError, match="3 is decorated; it must be a class or a function"):
        registry.register_keras_serializable()(3)


def test_scopes_come_before_what_is_registered(registered):
    registered["Twice"] = layers.Flatten
    assert registry.get_registered_object("Twice", {"Twice": layers.Dense}) is layers.Dense
    assert registry.get_registered_object("Twice") is layers.Flatten
    assert registry.get_registered_object("Thrice") is None
