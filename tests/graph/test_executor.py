"""Operations: fused or not, frozen or not, the numbers are those of the layers one by one."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from small_models import convnet, photos, same_weights

import fastconv
from fastconv import layers
from fastconv.graph.executor import Executor
from fastconv.graph.graph import chain
from fastconv.models import Sequential


def _twins(**arguments):
    first, second = convnet(**arguments), convnet(**arguments)
    second.set_weights(first.get_weights())
    for mine, other in zip(first.layers, second.layers, strict=True):
        other.set_state(mine.get_state())
    return first, second


def test_fused_and_unfused_training_agree():
    fused, plain = _twins()
    plain._fuse = False
    x, y = photos(16)
    for _ in range(5):
        fused.train_on_batch(x, y)
        plain.train_on_batch(x, y)
    assert len(fused._executor().operations) < len(plain._executor().operations)
    for a, b in zip(fused.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_loss_from_logits_is_the_loss_of_the_output(activation):
    units = 1 if activation == "sigmoid" else 3
    loss = "binary_crossentropy" if units == 1 else "sparse_categorical_crossentropy"
    rng = np.random.default_rng(1)
    x = rng.standard_normal((8, 5), dtype=np.float32)
    y = rng.integers(0, max(units, 2), 8)
    fused = Sequential([layers.Dense(units, activation=activation, input_shape=(5,))])
    apart = Sequential([layers.Dense(units, input_shape=(5,)), layers.Activation(activation)])
    logits = Sequential([layers.Dense(units, input_shape=(5,))])
    apart.set_weights(fused.get_weights())
    logits.set_weights(fused.get_weights())
    from_logits = type(fastconv.losses.get(loss))(from_logits=True)
    losses = []
    for model, chosen in ((fused, loss), (apart, loss), (logits, from_logits)):
        model.compile("sgd", chosen)
        losses.append([model.train_on_batch(x, y) for _ in range(3)])
    assert losses[0] == losses[1] == losses[2]
    assert same_weights(fused, apart) and same_weights(fused, logits)
    assert np.array_equal(fused.predict(x, verbose=0), apart.predict(x, verbose=0))


def test_a_confident_wrong_model_still_learns():
    model = Sequential([layers.Dense(1, activation="sigmoid", input_shape=(1,))])
    model.compile(fastconv.optimizers.SGD(1.0), "binary_crossentropy")
    model.set_weights([np.array([[200.0]]), np.array([0.0])])
    loss = model.train_on_batch(np.ones((1, 1), np.float32), np.zeros(1))
    assert loss == pytest.approx(200) and model.get_weights()[0][0, 0] == pytest.approx(199)


def asked_for_input_gradients(model):
    flags = [flag for stage in model._executor().stages for flag in stage.flags]
    return [value for _, name, value in flags if name == "needs_input_gradient"]


def test_frozen_layers_stay_and_spare_their_gradients():
    model = convnet()
    model.layers[0].trainable = False
    frozen = model.layers[0].get_weights()
    x, y = photos(8)
    model.train_on_batch(x, y)
    assert all(map(np.array_equal, frozen, model.layers[0].get_weights()))
    assert asked_for_input_gradients(model) == [False] * 5
    model.layers[0].trainable = True
    model.compile("adam", "binary_crossentropy")
    model.train_on_batch(x, y)
    assert asked_for_input_gradients(model) == [False] + [True] * 4
    assert not all(map(np.array_equal, frozen, model.layers[0].get_weights()))


@pytest.mark.parametrize("fails", [False, True])
def test_a_layer_used_by_hand_after_training_gives_its_input_gradient(fails):
    relu = layers.Dense(6, activation="relu", input_shape=(4,))
    model = Sequential([relu, layers.Dense(6, activation="relu"), layers.Dense(1)])
    model.compile("sgd", "mean_squared_error")
    x = np.random.default_rng(0).standard_normal((8, 4), dtype=np.float32)
    seen = []

    def backward(dy, true=model.layers[1].backward):
        one = model.layers[1]
        seen.append((one.needs_input_gradient, one.needs_gradient_at_zeros))
        if fails:
            raise MemoryError
        return true(dy)

    model.layers[1].backward = backward
    with pytest.raises(MemoryError) if fails else contextlib.nullcontext():
        model.train_on_batch(x, np.ones((8, 1)))
    assert seen == [(True, False)]
    assert all(one.needs_input_gradient and one.needs_gradient_at_zeros for one in model.layers)
    dx = relu.backward(np.ones_like(relu.call(x, training=True)))
    active = relu.call(x) > 0
    np.testing.assert_allclose(dx, active @ relu.kernel.value.T, rtol=1e-5, atol=1e-6)


def test_a_layer_in_plain_numpy_is_trained():
    class Scale(layers.Layer):
        def build(self, input_shape):
            self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones")

        def call(self, x, training=False):
            self.x = x
            return x * self.factor.value

        def backward(self, dy):
            self.factor.gradient = (dy * self.x).sum(axis=0)
            return dy * self.factor.value

    fastconv.utils.set_random_seed(3)
    model = Sequential([layers.Dense(4, input_shape=(3,)), Scale(), layers.Dense(1)])
    model.compile(fastconv.optimizers.Adam(0.05), "mean_squared_error")
    x = np.random.default_rng(0).standard_normal((64, 3), dtype=np.float32)
    y = x @ np.array([[1.0], [-2.0], [0.5]])
    losses = model.fit(x, y, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.02 * losses[0]
    assert not np.array_equal(model.layers[1].factor.value, np.ones(4))


def test_model_without_weights_runs():
    executor = Executor(chain([layers.Flatten(input_shape=(2, 2))]))
    assert executor.trainable == [] and executor.final_activations == [None]
    assert executor.forward([np.ones((1, 2, 2), np.float32)])[0].shape == (1, 4)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_weights_do_not_depend_on_threads(threads):
    def trained(count):
        before = fastconv.get_num_threads()
        fastconv.set_num_threads(count)
        try:
            fastconv.utils.set_random_seed(5)
            model = convnet()
            x, y = photos(24)
            model.fit(x, y, epochs=2, batch_size=7, verbose=0)
        finally:
            fastconv.set_num_threads(before)
        return model

    assert same_weights(trained(1), trained(threads))


class _OwnDescent(fastconv.optimizers.Optimizer):
    """A user's optimizer, which reads the gradients as arrays."""

    def update(self, parameter, slots, learning_rate, **common):
        parameter.value[...] -= np.float32(learning_rate) * parameter.gradient


OPTIMIZERS = [
    lambda: fastconv.optimizers.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    lambda: fastconv.optimizers.Adam(clipvalue=0.01),
    lambda: fastconv.optimizers.RMSprop(centered=True),
    lambda: fastconv.optimizers.Adam(clipnorm=0.5),
    lambda: fastconv.optimizers.Adam(amsgrad=True, global_clipnorm=0.5),
    lambda: fastconv.optimizers.AdamW(use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2),
    lambda: fastconv.optimizers.Nadam(),
    lambda: fastconv.optimizers.Adagrad(),
    lambda: fastconv.optimizers.Lion(),
    lambda: _OwnDescent(0.05),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("frozen", [False, True])
def test_reading_gradients_changes_no_bit_of_the_training(optimizer, frozen):
    """Deferred gradients are applied as they are made; read ones are written out first."""

    def trained(reading):
        fastconv.utils.set_random_seed(6)
        model = Sequential(
            [
                layers.Conv2D(8, 3, activation="relu", input_shape=(12, 12, 3)),
                layers.MaxPooling2D(2),
                layers.Flatten(),
                layers.Dropout(0.5),
                layers.Dense(70, activation="relu"),
                layers.Dense(33, activation="relu"),
                layers.Dense(1, activation="sigmoid"),
            ]
        )
        model.layers[4].trainable = not frozen
        model.compile(optimizer(), "binary_crossentropy")
        x, y = photos(40)
        for step in range(4):
            if reading and step != 1:
                assert all(p.gradient.shape == p.shape for p in model.layers[5].weights)
            model.train_on_batch(x[8 * step :][:8], y[8 * step :][:8])
        model.fit(x, y, batch_size=16, epochs=1, verbose=0)
        return model

    first, second = trained(False), trained(True)
    assert same_weights(first, second)
    for one, other in zip(first.optimizer._slots, second.optimizer._slots, strict=True):
        assert all(one[name].tobytes() == other[name].tobytes() for name in one)


class _Mistaken(layers.Layer):
    def call(self, x, training=False):
        return x

    def backward(self, dy):
        return None


class _NoOutput(layers.Layer):
    def call(self, x, training=False):
        pass


class _NoTraining(layers.Layer):
    def call(self, x):
        return np.abs(x)


class _NoParent(layers.Layer):
    def __init__(self):
        self.rate = 1


class _Odd(layers.Layer):
    """A user's layer whose arrays are views, or of another kind of number."""

    def __init__(self, way="view", **options):
        super().__init__(**options)
        self.change = {
            "view": lambda x: x[:, ::-1],
            "float64": lambda x: x[:, ::-1].astype(np.float64),
            "order": lambda x: np.asfortranarray(x[:, ::-1]),
            "ints": lambda x: np.round(x[:, ::-1] * 8).astype(np.int32),
        }[way]

    def call(self, x, training=False):
        return self.change(x)

    def backward(self, dy):
        assert dy.dtype == np.float32 and dy.flags.c_contiguous
        return self.change(dy)

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("way", ["view", "float64", "order", "ints"])
@pytest.mark.parametrize(
    "block",
    [
        lambda: [layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D()],
        lambda: [layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(3, 2)],
        lambda: [layers.Conv2D(4, 3), layers.ReLU()],
        lambda: [layers.BatchNormalization(), layers.ReLU()],
        lambda: [layers.MaxPooling2D(), layers.Dropout(0.0)],
        lambda: [layers.Flatten()],
        lambda: [],
    ],
    ids=["fused", "relu", "convolution", "normalization", "pooling", "flatten", "itself"],
)
def test_any_array_of_a_users_layer_is_taken(way, block):
    """Beside a model that does the same by hand, in front of every kind of operation and behind."""
    fastconv.utils.set_random_seed(1)
    convolution = layers.Conv2D(3, 1, input_shape=(9, 9, 3))
    odd, middle = _Odd(way), block()
    model = Sequential([convolution, odd, *middle, _Odd(way), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mean_squared_error")
    plain = Sequential([layers.Input((9, 9, 3)), *model.layers])
    plain._fuse = False
    x = np.random.default_rng(0).normal(size=(4, 9, 9, 3)).astype(np.float32)
    assert model.predict(x, verbose=0).dtype == np.float32
    np.testing.assert_allclose(
        model.predict(x, verbose=0), plain.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )
    assert np.isfinite(model.train_on_batch(x, np.ones((4, 1))))
    last = Sequential([layers.Input((9, 9, 3)), odd])
    expected = np.ascontiguousarray(odd.change(x), np.float32)
    result = last.predict(x, verbose=0)
    assert result.dtype == np.float32 and np.array_equal(result, expected)


@pytest.mark.parametrize("value", [None, [1.0], "a", np.array(["a"]), np.zeros(3, complex)])
def test_what_is_no_array_of_numbers_is_refused_by_name(value):
    class Wrong(layers.Layer):
        def call(self, x, training=False):
            return value

        def compute_output_shape(self, input_shape):
            return input_shape

    model = Sequential([layers.Input((3,)), Wrong(name="w"), layers.Dense(1)])
    with pytest.raises(TypeError, match=r"Wrong 'w': call\(x, training\) returned .*array of numb"):
        model.predict(np.ones((2, 3)), verbose=0)


def test_a_gradient_that_is_not_returned_is_missed():
    model = Sequential([layers.Input((3,)), layers.Dense(2), _Mistaken(), layers.Dense(1)])
    model.compile("sgd", "mean_squared_error")
    before = model.get_weights()
    with pytest.raises(TypeError, match=r"_Mistaken '.*': backward\(dy\) returned None"):
        model.train_on_batch(np.ones((2, 3), np.float32), np.ones((2, 1)))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    # With nothing to train before it, the layer owes no gradient.
    model = Sequential([layers.Input((3,)), _Mistaken(), layers.Dense(1)])
    model.compile("sgd", "mean_squared_error")
    model.train_on_batch(np.ones((2, 3), np.float32), np.ones((2, 1)))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (_NoOutput, r"_NoOutput '.*': call\(x, training\) returned None; it must be an array"),
        (_NoTraining, r"_NoTraining '.*': call\(x\) does not take 'training'; define it as"),
        (_NoParent, r"_NoParent.__init__ does not call super\(\).__init__\(\); call it first"),
    ],
)
def test_mistakes_in_a_layer_of_ones_own(layer, message):
    model = Sequential([layers.Input((3,))])
    with pytest.raises(TypeError, match=message):
        model.add(layer())
    assert model.layers == []
