"""`clone_model`, `to_json` and `model_from_json`."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fastconv
from fastconv.layers import Add, Conv2D, Dense, Dropout, Flatten, Input
from fastconv.models import Model, Sequential, clone_model, model_from_json, save_model


def branched():
    x = Input((6, 6, 2), name="image")
    y = Conv2D(2, 3, padding="same")(x)
    inner = Sequential([Flatten(), Dense(3)], name="inner")
    return Model({"image": x}, {"a": inner(Add()([x, y])), "b": Dropout(0.5)(y)}, name="outer")


def same_outputs(first, second, x):
    ours, theirs = first.predict(x, verbose=0), second.predict(x, verbose=0)
    assert type(ours) is type(theirs)
    if not isinstance(ours, dict):
        ours, theirs = {"": ours}, {"": theirs}
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name])


@pytest.mark.parametrize("copy", [clone_model, lambda model: model_from_json(model.to_json())])
def test_a_copy_has_the_architecture_and_weights_of_its_own(copy):
    model = branched()
    made = copy(model)
    assert made.get_config() == model.get_config()
    assert not set(map(id, made.layers)) & set(map(id, model.layers))
    assert not np.array_equal(made.get_weights()[0], model.get_weights()[0])
    made.set_weights(model.get_weights())
    same_outputs(made, model, {"image": np.random.default_rng(0).random((2, 6, 6, 2))})


def test_sequential_models_stay_sequential():
    model = Sequential([Dense(2, input_shape=(3,)), Dense(1)], name="chain")
    made = clone_model(model)
    assert type(made) is Sequential and made.get_config() == model.get_config()
    unbuilt = clone_model(Sequential([Dense(2)]))
    assert not unbuilt.built
    made = model_from_json(model.to_json())
    assert type(made) is Sequential and json.loads(model.to_json())["class_name"] == "Sequential"


def test_layers_can_be_made_by_a_function_and_called_on_given_tensors():
    def wider(layer):
        config = layer.get_config()
        if isinstance(layer, Dense):
            config["units"] *= 2
        return type(layer).from_config(config)

    made = clone_model(branched(), clone_function=wider, recursive=True)
    assert made.output_shape == [(None, 6), (None, 6, 6, 2)]
    assert clone_model(branched(), clone_function=wider).output_shape[0] in [(None, 3), (None, 6)]
    x = Input((6, 6, 2))
    assert clone_model(branched(), input_tensors=x).inputs[0] is x
    with pytest.raises(TypeError, match="clone_function returned None for Conv2D"):
        clone_model(branched(), clone_function=lambda layer: None)
    with pytest.raises(
        ValueError, match="clone_model: Model 'outer': inputs are 2; there must be 1"
    ):
        clone_model(branched(), input_tensors=[x, x])


@pytest.mark.parametrize("given", [lambda one: [one], lambda one: {"p": one}])
def test_one_output_is_given_as_in_keras(given):
    """Of a list of one Keras makes an array, of a dict a dict."""
    rows = np.ones((1, 3), np.float32)
    x = Input((3,))
    model = Model(x, given(Dense(2)(x)))
    for made in (model, clone_model(model), Model.from_config(model.get_config())):
        for y in (made.predict(rows, verbose=0), made.predict_on_batch(rows), made(rows)):
            one = y.pop("p") if isinstance(y, dict) else y
            assert one.shape == (1, 2) and isinstance(y, dict) == isinstance(given(3), dict)


def test_mistakes_are_named(tmp_path):
    with pytest.raises(TypeError, match="clone_model: model is 3"):
        clone_model(3)
    with pytest.raises(TypeError, match="save_model: model is 3"):
        save_model(3, tmp_path / "m.npz")
    for text in ("{", "3", "{}", '{"class_name": "Model", "config": 3}'):
        with pytest.raises(ValueError, match="model_from_json: json_string is"):
            model_from_json(text)
    with pytest.raises(ValueError, match="a class of your own"):
        model_from_json('{"class_name": "Mine", "config": {"layers": []}}')

    class Own(fastconv.Model):
        def __init__(self, name=None):
            super().__init__(name=name)
            self.dense = Dense(1)

        def call(self, x):
            return self.dense(x)

    own = Own()
    own.build((None, 3))
    with pytest.raises(ValueError, match="makes its layers itself"):
        clone_model(own)


def test_save_model_and_filepath(tmp_path):
    model = Sequential([Dense(1, input_shape=(3,))])
    save_model(model, filepath=tmp_path / "m.npz")
    loaded = fastconv.models.load_model(filepath=tmp_path / "m.npz", safe_mode=False)
    same_outputs(loaded, model, np.ones((2, 3)))
