"""A Model's own behaviours: its layers, models within models, classes of one's own, files."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

import fastconv
from fastconv import layers, models
from fastconv.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D
from fastconv.models import Model, Sequential, load_model

IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)


def classifier(name="classifier"):
    x = Input((8, 8, 3), name="image")
    y = MaxPooling2D(name="pool")(Conv2D(4, 3, name="convolution")(x))
    return Model(x, Dense(2, name="head")(Flatten(name="flat")(y)), name=name)


def ways(model, path, **custom_objects):
    """Return the model itself as it comes back in every way, weights included."""
    model.save(path)
    config = json.loads(json.dumps(model.get_config()))
    made = type(model).from_config(config, **({"custom_objects": custom_objects}))
    made.set_weights(model.get_weights())
    return [
        made,
        load_model(path, custom_objects=custom_objects),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
    ]


def same(model, other, x):
    first, second = model.predict(x, verbose=0), other.predict(x, verbose=0)
    if not isinstance(first, list):
        first, second = [first], [second]
    return all(map(np.array_equal, first, second))


def test_layers_are_found_by_name_and_place():
    model = classifier()
    assert [layer.name for layer in model.layers] == [
        "image",
        "convolution",
        "pool",
        "flat",
        "head",
    ]
    assert model.get_layer("pool") is model.get_layer(index=2)
    with pytest.raises(ValueError, match=r"'classifier': name is 'pol'; it must be one of image, "):
        model.get_layer("pol")
    with pytest.raises(TypeError, match="index is 'pool'; it must be a whole number"):
        model.get_layer(index="pool")


def test_a_dict_names_the_only_input_and_output():
    x = Input((2,), name="x")
    model = Model(x, Dense(1, name="y")(x))
    model.compile("sgd", "mse")
    rows, target = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)
    for predict in (model, model.predict_on_batch, lambda one: model.predict(one, verbose=0)):
        np.testing.assert_array_equal(predict({"x": rows}), predict(rows))
        for wrong in ("y", "z"):
            with pytest.raises(ValueError, match=rf"x has '{wrong}'; it must have 'x'"):
                predict({wrong: rows})
    model.fit({"x": rows}, {"y": target}, sample_weight={"y": np.ones(4)}, verbose=0)
    for y, weight, message in (
        ({"x": target}, None, "y has 'x'; it must have 'y'"),
        (target, {"x": np.ones(4)}, "sample_weight has 'x'; it must have 'y'"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(rows, y, sample_weight=weight, verbose=0)


def test_the_input_is_named_that_does_not_fit():
    x, y = Input((2,)), Input((2,))
    model = Model([x, y], layers.Add()([x, y]), name="sum")
    rows = np.ones((4, 2))
    with pytest.raises(ValueError, match=r"x\[0\] has 4 rows and x\[1\] has 3"):
        model.predict([rows, rows[:3]], verbose=0)
    with pytest.raises(ValueError, match=r"x\[1\] has shape \(0, 2\)"):
        model.predict([rows, rows[:0]], verbose=0)
    with pytest.raises(ValueError, match=r"'sum': inputs are 1; there must be 2"):
        model.compute_output_shape((None, 2))


def test_feature_maps_of_a_model_that_learns():
    model = classifier()
    features = Model(model.input, [model.get_layer(n).output for n in ("convolution", "pool")])
    model.compile("sgd", "mse")
    for _ in range(2):
        convolved, pooled = features.predict(IMAGES, verbose=0)
        head = model.get_layer("head")
        logits = pooled.reshape(4, -1) @ head.kernel.value + head.bias.value
        np.testing.assert_allclose(model(IMAGES), logits, atol=1e-5)
        assert convolved.shape == (4, 6, 6, 4)
        model.train_on_batch(IMAGES, np.ones((4, 2)))


def test_a_model_that_begins_within_another_has_an_input_of_its_own(tmp_path):
    model = classifier()
    first = Model(model.input, model.get_layer("convolution").output)
    rest = Model(model.get_layer("convolution").output, model.output)
    np.testing.assert_array_equal(rest(first(IMAGES)), model(IMAGES))
    # The layers before are no part of it: their weights are not counted, decayed or saved.
    assert [layer.name for layer in rest.layers] == ["convolution_output", "pool", "flat", "head"]
    assert len(rest.weights) == 2
    for other in ways(rest, tmp_path / "rest.npz"):
        assert same(rest, other, first(IMAGES))


def test_models_within_models(tmp_path):
    inner = classifier("inner")
    stack = Sequential([Input((8, 8, 3)), inner, layers.Activation("tanh"), Dense(3)])
    x = Input((8, 8, 3))
    deep = Model(x, layers.Add()([Dense(3)(inner(x)), stack(x)]))
    assert len(deep.weights) == 8  # the inner model's once
    deep.compile("adam", "mse")
    for _ in range(2):
        deep.train_on_batch(IMAGES, np.ones((4, 3)))
        for other in ways(deep, tmp_path / "deep.npz"):
            assert same(deep, other, IMAGES) and len(other.weights) == 8


def shared_inside_and_outside():
    x, y = Input((3,)), Input((3,))
    shared = Dense(3, name="shared")
    inner = Model(x, layers.Activation("tanh")(shared(x)), name="inner")
    return Model(y, layers.Add()([shared(y), inner(y)]), name="outer")


def test_a_layer_of_two_models_is_still_one_in_every_copy(tmp_path):
    model = shared_inside_and_outside()
    model.compile("sgd", "mse")
    x, y = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    others = ways(model, tmp_path / "outer.npz")
    cloned = models.clone_model(model)
    cloned.set_weights(model.get_weights())
    model.train_on_batch(x, y)
    for other in (*others, cloned):
        other.compile("sgd", "mse")
        other.train_on_batch(x, y)
        assert len(other.weights) == 2 and same(model, other, x)


def test_trainable_of_a_model_within():
    inner = classifier("inner")
    x = Input((8, 8, 3))
    model = Model(x, Dense(2, name="last")(inner(x)))
    inner.trainable = False
    assert [layer.trainable for layer in inner.layers] == [False] * 5
    assert len(model.trainable_weights) == 2 and len(model.non_trainable_weights) == 4
    model.compile(fastconv.optimizers.SGD(0.1, weight_decay=0.1), "mse")
    before = inner.get_weights()
    model.train_on_batch(IMAGES, np.ones((4, 2)))
    assert all(map(np.array_equal, before, inner.get_weights()))
    inner.get_layer("head").trainable = True  # within a frozen model it does not count
    assert len(model.trainable_weights) == 2
    inner.trainable = True
    model.train_on_batch(IMAGES, np.ones((4, 2)))
    assert not any(map(np.array_equal, before, inner.get_weights()))


class Net(Model):
    """Makes its layers itself."""

    def __init__(self, units=3, **options):
        super().__init__(**options)
        self.units = units
        self.convolution = Conv2D(4, 3, activation="relu")
        self.normalization = layers.BatchNormalization()
        self.pool, self.drop = layers.GlobalAveragePooling2D(), layers.Dropout(0.5)
        self.heads = [Dense(units), Dense(units)]

    def call(self, x, training=False):
        y = self.normalization(self.convolution(x), training=training)
        y = self.drop(self.pool(y), training=training)
        return layers.add([head(y) for head in self.heads])

    def get_config(self):
        return {"name": self.name, "units": self.units}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


def test_a_class_of_ones_own_is_traced_trained_and_saved(tmp_path):
    net = Net(2)
    net.compile("adam", "mse")
    net.fit(IMAGES, np.ones((4, 2)), epochs=2, verbose=0)
    assert [weight.name for weight in net.weights].count("kernel") == 3
    assert len(net.trainable_weights) == 8 and len(net.weights) == 10
    net.save(tmp_path / "net.npz")
    loaded = load_model(tmp_path / "net.npz", custom_objects={"Net": Net})
    assert type(loaded) is Net and same(net, loaded, IMAGES)
    assert same(net, copy.deepcopy(net), IMAGES)
    x = Input((8, 8, 3))
    outer = Model(x, Dense(1)(net(x)))
    outer.save(tmp_path / "outer.npz")
    loaded = load_model(tmp_path / "outer.npz", custom_objects={"Net": Net})
    assert same(outer, loaded, IMAGES) and type(loaded.layers[1]) is Net


class Block(layers.Layer):
    """A layer made of layers: attributes, and a list of them."""

    def __init__(self, filters, **options):
        super().__init__(**options)
        self.filters = filters
        self.first = Conv2D(filters, 3, padding="same", activation="relu")
        self.second = Conv2D(filters, 3, padding="same")
        self.normalization = layers.BatchNormalization()
        self.short = [Dense(filters)]

    def call(self, x, training=False):
        y = self.normalization(self.second(self.first(x)), training=training)
        return layers.add([self.short[0](x), y])

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


def test_a_layer_made_of_layers_is_traced_trained_and_saved(tmp_path):
    x = Input((8, 8, 3))
    block = Block(4, name="opening")
    model = Model(x, layers.GlobalAveragePooling2D()(Block(4)(block(x))))
    assert len(model.weights) == 20 and len(model.trainable_weights) == 16
    before = model.get_weights()
    model.compile("adam", "mse")
    model.train_on_batch(IMAGES, np.ones((4, 4)))
    assert not any(map(np.array_equal, before, model.get_weights()))
    np.testing.assert_allclose(block(IMAGES), Model(x, block.output)(IMAGES), atol=1e-6)
    for other in ways(model, tmp_path / "blocks.npz", Block=Block):
        assert same(model, other, IMAGES)
    block.trainable = False
    assert len(model.trainable_weights) == 8
    assert all(map(np.array_equal, block.get_weights(), model.get_weights()[:10]))


def test_inputs_and_outputs_by_name(tmp_path):
    first, second = Input((3,), name="first"), Input((3,), name="second")
    outputs = {"sum": layers.Add()([first, second]), "product": layers.Multiply()([first, second])}
    model = Model({"a": first, "b": second}, outputs)
    model.compile("sgd", {"sum": "mse", "product": "mae"})
    x = {"b": np.full((2, 3), 2, np.float32), "a": np.full((2, 3), 3, np.float32)}
    for other in (model, *ways(model, tmp_path / "named.npz")):
        found = other.predict(x, verbose=0)
        assert found["sum"][0, 0] == 5 and found["product"][0, 0] == 6
    logs = model.evaluate(x, found, verbose=0, return_dict=True)
    assert logs == {"loss": 0, "sum_loss": 0, "product_loss": 0}


def test_graphs_of_nothing_but_ends():
    x = Input((3,))
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(Model(x, x).predict(rows, verbose=0), rows)
    y = Dense(3)(x)
    model = Model(x, [x, y, y])
    model.compile("sgd", "mse")
    passed, first, second = model.predict(rows, verbose=0)
    assert np.array_equal(passed, rows) and np.array_equal(first, second)
    kernel = model.layers[1].kernel.value.copy()
    model.train_on_batch(rows, [rows, first + 1, first - 1])  # of which the sum is no gradient
    np.testing.assert_allclose(model.layers[1].kernel.value, kernel, atol=1e-6)
