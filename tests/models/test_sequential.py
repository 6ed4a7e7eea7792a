"""Sequential: its layers, shapes, table, weights and configuration."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import convnet, photos

import fastconv
from fastconv import layers
from fastconv.layers import Conv2D, Dense, Flatten, MaxPooling2D
from fastconv.models import Sequential

CHAPTER_TABLE = """\
_________________________________________________________________
Layer (type)                 Output Shape              Param #
=================================================================
conv2d_6 (Conv2D)            (None, 98, 98, 32)        896
_________________________________________________________________
max_pooling2d_11 (MaxPooling (None, 49, 49, 32)        0
_________________________________________________________________
flatten_6 (Flatten)          (None, 76832)             0
_________________________________________________________________
dense_6 (Dense)              (None, 1)                 76833
=================================================================
Total params: 77,729
Trainable params: 77,729
Non-trainable params: 0
_________________________________________________________________"""


def test_summary_is_the_chapters_table(capsys):
    model = Sequential()
    model.add(Conv2D(32, (3, 3), activation="relu", input_shape=(100, 100, 3), name="conv2d_6"))
    model.add(MaxPooling2D((2, 2), name="max_pooling2d_11"))
    model.add(Flatten(name="flatten_6"))
    model.add(Dense(1, activation="sigmoid", name="dense_6"))
    model.summary()
    assert capsys.readouterr().out.rstrip() == CHAPTER_TABLE
    lines = []
    model.summary(print_fn=lines.append)
    assert "\n".join(lines) == CHAPTER_TABLE


def test_summary_tells_what_is_frozen_and_what_is_not_built():
    model = convnet()
    model.layers[0].trainable = False
    lines = []
    model.summary(print_fn=lines.append)
    assert "Trainable params: 101" in lines and "Non-trainable params: 112" in lines
    lines.clear()
    Sequential([Dense(2)]).summary(print_fn=lines.append)
    assert any(line.split()[-2:] == ["?", "?"] for line in lines)


def test_layers_are_built_as_they_are_added():
    model = Sequential(name="pile")
    model.add(Dense(3, input_shape=(4,)))
    assert model.built and model.count_params() == 15
    model.add(Dense(2))
    assert model.input_shape == (None, 4) and model.output_shape == (None, 2)
    assert [type(layer) for layer in model.layers] == [Dense, Dense]
    assert model.pop() is not None and model.output_shape == (None, 3)


def test_input_layer_gives_the_shape_and_is_not_listed():
    model = Sequential([layers.Input(shape=(8, 8, 3)), Conv2D(2, 3)])
    assert model.output_shape == (None, 6, 6, 2) and len(model.layers) == 1
    assert len(model.get_config()["layers"]) == 2


def test_without_input_shape_the_first_data_build_the_model():
    model = Sequential([Flatten(), Dense(1)])
    assert not model.built
    with pytest.raises(ValueError, match="unknown before build"):
        model.count_params()
    assert model.predict(np.zeros((3, 2, 2), np.float32), verbose=0).shape == (3, 1)
    assert model.count_params() == 5


def test_a_layer_that_does_not_fit_is_not_added():
    model = Sequential([Conv2D(2, 3, input_shape=(4, 4, 1))])
    with pytest.raises(ValueError, match=r"kernel \(5, 5\) does not fit"):
        model.add(Conv2D(2, 5))
    assert len(model.layers) == 1 and model.output_shape == (None, 2, 2, 2)


@pytest.mark.parametrize(
    ("layer", "error", "text"),
    [
        ("dense", TypeError, "it must be a fastconv layer"),
        (Dense, TypeError, "add parentheses"),
    ],
)
def test_only_layers_are_added(layer, error, text):
    with pytest.raises(error, match=text):
        Sequential().add(layer)


def test_names_must_differ():
    model = Sequential([Dense(1, name="a", input_shape=(1,))])
    with pytest.raises(ValueError, match="another layer has that name"):
        model.add(Dense(1, name="a"))
    message = r"in the model already, and a Sequential goes through a layer once.*deepcopy"
    with pytest.raises(ValueError, match=message):
        model.add(model.layers[0])


def test_get_layer_by_name_and_index():
    model = convnet()
    assert model.get_layer(index=-1) is model.get_layer(model.layers[-1].name)
    with pytest.raises(ValueError, match="it must be one of conv2d"):
        model.get_layer("nonsense")
    with pytest.raises(ValueError, match="give just one"):
        model.get_layer()
    with pytest.raises(ValueError, match="index is 9; it must be"):
        model.get_layer(index=9)


def test_weights_go_out_and_in():
    first, second = convnet(), convnet()
    second.set_weights(first.get_weights())
    x, _ = photos(3)
    assert np.array_equal(first.predict(x, verbose=0), second.predict(x, verbose=0))
    before = second.get_weights()
    bad = [w + 1 for w in before[:-1]] + [np.zeros(7)]
    with pytest.raises(ValueError, match=r"weight 'bias' has shape \(1,\)"):
        second.set_weights(bad)
    assert all(np.array_equal(a, b) for a, b in zip(before, second.get_weights(), strict=True))
    with pytest.raises(ValueError, match="weights has 3 arrays; it must have 4"):
        second.set_weights(before[:-1])


def test_configuration_makes_the_same_architecture():
    model = convnet()
    again = Sequential.from_config(model.get_config())
    assert again.get_config() == model.get_config() and again.built
    deferred = Sequential([Flatten(), Dense(2)])
    deferred.build((None, 3, 3))
    assert Sequential.from_config(deferred.get_config()).output_shape == (None, 2)


def test_custom_layers_come_back_through_custom_objects():
    class Twice(layers.Layer):
        def call(self, x, training=False):
            return 2 * x

        def backward(self, dy):
            return 2 * dy

    model = Sequential([Twice(input_shape=(3,)), Dense(1)])
    config = model.get_config()
    with pytest.raises(ValueError, match="custom_objects"):
        Sequential.from_config(config)
    again = Sequential.from_config(config, custom_objects={"Twice": Twice})
    assert type(again.layers[0]) is Twice


def test_calling_a_model_returns_an_array_of_the_callers_own():
    model = convnet()
    x, _ = photos(2)
    first = model(x)
    kept = first.copy()
    model(x + 1)
    assert np.array_equal(first, kept)


def test_build_twice_for_another_shape_is_refused():
    model = convnet()
    model.build((None, 12, 12, 3))
    with pytest.raises(ValueError, match="already built"):
        model.build((None, 13, 13, 3))
    with pytest.raises(ValueError, match="input's shape is unknown"):
        Sequential([Dense(1)]).build()


def test_sequential_is_at_the_top_level():
    assert fastconv.Sequential is Sequential
