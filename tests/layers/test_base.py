import json

import numpy as np
import pytest
from finite_differences import check_layer

from fastconv import layers
from fastconv._core.memory import ALIGNMENT
from fastconv.layers import Conv2D, Dense, Layer
from fastconv.layers.parameter import Parameter
from fastconv.utils import set_random_seed


class Scale(Layer):
    """A user's layer: each channel times a factor of its own, in plain NumPy."""

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="factor")

    def call(self, x, training=False):
        self.x = x
        return x * self.factor.value

    def backward(self, dy):
        self.factor.gradient = (dy * self.x).reshape(-1, dy.shape[-1]).sum(axis=0)
        return dy * self.factor.value


class Power(Layer):
    """A user's layer with an argument and no weights, inheriting everything it can."""

    def __init__(self, exponent, **options):
        super().__init__(**options)
        self.exponent = exponent

    def call(self, x, training=False):
        self.x = x
        return x**self.exponent

    def backward(self, dy):
        return dy * self.exponent * self.x ** (self.exponent - 1)

    def get_config(self):
        return {**super().get_config(), "exponent": self.exponent}


class TestCustomLayer:
    def test_numpy_layer_works_like_any_other(self):
        layer = Scale()
        x = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
        np.testing.assert_array_equal(layer(x), x)
        assert layer.built
        assert layer.input_shape == layer.output_shape == (None, 2, 2, 3)
        assert layer.count_params() == 3
        layer.set_weights([np.array([1, 2, 3])])
        np.testing.assert_array_equal(layer(x), x * [1, 2, 3])

    def test_gradients(self):
        rng = np.random.default_rng(0)
        check_layer(Scale(), rng.normal(size=(2, 3, 4)))
        check_layer(Power(2), rng.normal(size=(2, 3)))

    def test_output_shape_by_sample(self):
        assert Power(2).compute_output_shape((None, 7)) == (None, 7)
        with pytest.raises(ValueError, match="cannot be told"):
            Power(2).compute_output_shape((None, None, 7))

    def test_config_round_trip(self):
        made = layers.deserialize(
            json.loads(json.dumps(layers.serialize(Power(3, name="cube")))), {"Power": Power}
        )
        assert (made.exponent, made.name) == (3, "cube")

    def test_get_config_is_asked_for(self):
        class Forgetful(Layer):
            def __init__(self, size, **options):
                super().__init__(**options)

        with pytest.raises(NotImplementedError, match=r"takes size.*must define get_config"):
            Forgetful(3).get_config()

        class ForgetfulDense(Dense):
            def __init__(self, units, temperature=1.0, **options):
                super().__init__(units, **options)

        with pytest.raises(NotImplementedError, match="takes temperature"):
            ForgetfulDense(3).get_config()

    def test_unwritten_methods_say_so(self):
        class Empty(Layer):
            pass

        with pytest.raises(NotImplementedError, match="'empty' does not define call"):
            Empty(name="empty")(np.zeros((1, 2)))
        with pytest.raises(NotImplementedError, match="cannot be trained"):
            Empty().backward(np.zeros((1, 2)))

    def test_unknown_class_names_the_remedy(self):
        with pytest.raises(ValueError, match=r"unknown layer 'Scale'.*custom_objects"):
            layers.get("Scale")
        with pytest.raises(TypeError, match="no Layer class"):
            layers.get("Scale", {"Scale": dict})
        with pytest.raises(ValueError, match="does not describe a layer"):
            layers.deserialize({"name": "Scale"})


class TestBuilding:
    def test_failed_build_leaves_nothing(self):
        class Broken(Layer):
            def build(self, input_shape):
                self.add_weight(shape=(2,), initializer="zeros")
                raise OSError("no luck")

        layer = Broken()
        with pytest.raises(OSError, match="no luck"):
            layer.build((None, 2))
        assert not layer.built
        assert layer.parameters == []

    def test_parent_build_may_be_called(self):
        class Twice(Scale):
            def build(self, input_shape):
                super().build(input_shape)
                self.offset = self.add_weight(shape=(1,), initializer="zeros", name="offset")

        layer = Twice()
        layer.build((None, 4))
        layer.build((None, 4))
        assert [p.name for p in layer.parameters] == ["factor", "offset"]
        with pytest.raises(ValueError, match=r"already built for inputs of shape \(None, 4\)"):
            layer.build((None, 5))

    def test_weights_of_one_name_are_refused(self):
        layer = Scale()
        assert [layer.add_weight((1,)).name for _ in range(3)] == [
            "variable",
            "variable_1",
            "variable_2",
        ]
        with pytest.raises(ValueError, match="cannot be named 'variable'"):
            layer.add_weight((1,), name="variable")


class TestCall:
    def test_returns_the_callers_own_array(self):
        layer = Dense(2)
        x = np.ones((1, 3))
        first = layer(x)
        kept = first.copy()
        layer(x * 5)
        np.testing.assert_array_equal(first, kept)

    def test_accepts_lists_and_any_number(self):
        layer = Dense(1, kernel_initializer="ones")
        assert layer([[1, 2], [3, 4]]).tolist() == [[3], [7]]
        assert layer(np.array([[True, False]])).dtype == np.float32

    def test_refuses_what_is_no_batch_of_numbers(self):
        with pytest.raises(TypeError, match="dtype <U1"):
            Dense(1)(np.array([["a"]]))
        with pytest.raises(ValueError, match="one number"):
            Dense(1)(3.0)

    def test_accepts_strided_input(self):
        x = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
        layer = Dense(2)
        np.testing.assert_array_equal(layer(x[::2, ::2]), layer(x[::2, ::2].copy()))

    def test_backward_needs_a_call_in_training(self):
        layer = Dense(2)
        layer(np.ones((1, 3)))
        with pytest.raises(RuntimeError, match=r"needs call\(x, training=True\)"):
            layer.backward(np.ones((1, 2), np.float32))

    @pytest.mark.parametrize(
        "layer",
        [
            Conv2D(2, 3),
            Dense(2),
            layers.MaxPooling2D(),
            layers.GlobalMaxPooling2D(),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Activation("relu"),
        ],
        ids=lambda layer: type(layer).__name__,
    )
    def test_backward_checks_the_gradients_shape(self, layer):
        y = layer(np.ones((2, 4, 4, 3)), training=True)
        with pytest.raises(ValueError, match="the output's gradient has shape"):
            layer.backward(np.ones((*y.shape[:-1], y.shape[-1] + 1), np.float32))


class TestMemory:
    def test_buffer_is_the_same_memory_and_grows(self):
        layer = Scale()
        large = layer.buffer("a", (4, 5))
        small = layer.buffer("a", (2, 5))
        assert np.shares_memory(large, small)
        assert small.flags.c_contiguous
        assert large.ctypes.data % ALIGNMENT == 0
        assert not np.shares_memory(large, layer.buffer("b", (4, 5)))
        assert not np.shares_memory(large, layer.buffer("a", (4, 5), np.uint8))
        assert layer.buffer("a", (9, 9)).shape == (9, 9)

    def test_training_steps_allocate_nothing_large(self):
        """After the first steps, no array of the size of an activation is made any more."""
        import tracemalloc

        rng = np.random.default_rng(0)
        x = rng.normal(size=(64, 32, 32, 8)).astype(np.float32)
        chain = [
            Conv2D(8, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.Activation("sigmoid"),
            layers.Dropout(0.5),
            layers.AveragePooling2D(),
            layers.L2Pooling2D(),
            layers.Flatten(),
            Dense(64, activation="tanh"),
        ]

        def step():
            y = x
            for layer in chain:
                y = layer.call(y, training=True)
            for layer in reversed(chain):
                y = layer.backward(y)

        for layer, shape in zip(chain, self._shapes(chain, x), strict=True):
            layer.build(shape)
        step()
        step()
        tracemalloc.start()
        step()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # NumPy's reductions convert to float64 through a fixed 64 KB.
        assert peak < 128 * 1024 < x.nbytes / 8

    @staticmethod
    def _shapes(chain, x):
        shape = (None, *x.shape[1:])
        for layer in chain:
            yield shape
            shape = layer.compute_output_shape(shape)


class TestWeights:
    def test_frozen_layer_has_nothing_trainable(self):
        layer = Dense(2)
        layer.build((None, 3))
        assert [p.name for p in layer.trainable_weights] == ["kernel", "bias"]
        layer.trainable = False
        assert layer.trainable_weights == []
        assert [p.name for p in layer.non_trainable_weights] == ["kernel", "bias"]

    def test_set_weights_changes_all_or_nothing(self):
        layer = Dense(2, name="d")
        layer.build((None, 3))
        before = layer.get_weights()
        with pytest.raises(ValueError, match=r"Dense 'd': weight 'bias' has shape \(2,\)"):
            layer.set_weights([np.ones((3, 2)), np.ones(5)])
        with pytest.raises(ValueError, match="weights has 1 arrays; it must have 2"):
            layer.set_weights([np.ones((3, 2))])
        for weight, old in zip(layer.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, old)

    def test_parameter_stays_where_it_is(self):
        parameter = Parameter("w", np.arange(6).reshape(2, 3))
        value, gradient = parameter.value, parameter.gradient
        parameter.value = np.ones((2, 3))
        parameter.gradient = np.full((2, 3), 2.0)
        assert parameter.value is value
        assert parameter.gradient is gradient
        assert value.sum() == 6
        assert gradient.sum() == 12
        assert value.flags.c_contiguous
        with pytest.raises(ValueError, match=r"weight 'w' has shape \(2, 3\); the gradient given"):
            parameter.gradient = np.ones(3)
        with pytest.raises(TypeError, match="float32 numbers"):
            parameter.assign(np.full((2, 3), "a"))

    def test_a_deferred_gradient_is_written_when_it_is_read(self):
        class Twos:
            written = 0

            def write(self, out):
                self.written += 1
                out.fill(2)

        parameter, twos = Parameter("w", np.ones((2, 3))), Twos()
        assert parameter.can_defer and parameter.deferred_gradient is None
        parameter.defer(twos)
        assert parameter.deferred_gradient is twos and twos.written == 0
        np.testing.assert_array_equal(parameter.gradient, np.full((2, 3), 2))
        assert parameter.gradient is parameter.gradient and twos.written == 1
        assert parameter.deferred_gradient is None and not parameter.can_defer
        with pytest.raises(RuntimeError, match="'w': the gradient has its array already"):
            parameter.defer(twos)

    def test_setting_a_gradient_ends_a_deferred_one(self):
        layer = Dense(40)
        layer(np.ones((2, 3)), training=True)
        layer.backward(np.ones((2, 40), np.float32))
        assert layer.kernel.deferred_gradient is not None
        layer.kernel.gradient = np.full((3, 40), 7.0)
        assert layer.kernel.deferred_gradient is None
        assert (layer.kernel.gradient == 7).all()

    def test_parameter_is_an_array_to_numpy(self):
        parameter = Parameter("w", np.arange(3))
        assert np.add(parameter, 1).tolist() == [1, 2, 3]
        copy = np.array(parameter, copy=True)
        copy[:] = 0
        assert parameter.value.tolist() == [0, 1, 2]
        assert np.asarray(parameter, np.float64).dtype == np.float64

    def test_same_seed_same_weights(self):
        weights = []
        for _ in range(2):
            set_random_seed(5)
            layer = Conv2D(3, 3)
            layer.build((None, 8, 8, 2))
            weights.append(layer.get_weights()[0])
        np.testing.assert_array_equal(*weights)


@pytest.mark.parametrize(
    "layer",
    [
        Conv2D(4, (3, 2), strides=2, padding=((1, 0), (2, 1)), dilation_rate=(1, 2), groups=2),
        Conv2D(4, 3, activation="leaky_relu", use_bias=False, kernel_initializer="he_normal"),
        Dense(3, activation="softmax", bias_initializer="ones", input_dim=4),
        layers.MaxPooling2D((2, 3), strides=1, padding="same"),
        layers.AveragePooling2D(3, 2, 1),
        layers.L2Pooling2D(),
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.GlobalMaxPooling2D(),
        layers.Flatten(name="flat"),
        layers.Dropout(0.25, noise_shape=(None, 1, 1, 4), seed=3),
        layers.Activation("tanh"),
        layers.ReLU(6, 0.1, 0.5),
        layers.BatchNormalization(momentum=0.9, center=False, trainable=False),
        layers.InputLayer((8, 8, 4)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_config_fits_json_and_makes_the_same_layer(layer):
    description = json.loads(json.dumps(layers.serialize(layer)))
    made = layers.deserialize(description)
    assert type(made) is type(layer)
    assert json.loads(json.dumps(layers.serialize(made))) == description
    made.build((None, 8, 8, 4))
    layer.build((None, 8, 8, 4))
    made.set_weights(layer.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 4))
    np.testing.assert_array_equal(made(x), layer(x))
