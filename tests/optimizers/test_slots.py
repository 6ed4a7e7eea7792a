"""What an optimizer remembers belongs to parameters, and the optimizer to one model."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from keras_reference import import_keras, keras_test
from optimizer_runs import gradients, new_parameters, run
from small_models import convnet, photos, same_weights

from fastconv import layers
from fastconv.models import Sequential, load_model
from fastconv.optimizers import SGD, Adam, RMSprop, schedules


def trained(optimizer, model=None, steps=3):
    model = model or dense_model()
    model.compile(optimizer, "mean_squared_error")
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    for _ in range(steps):
        model.train_on_batch(x, np.ones((8, 1)))
    return model


def dense_model(name=None):
    rows = [layers.Dense(4, activation="tanh", input_shape=(4,)), layers.Dense(4), layers.Dense(1)]
    return Sequential(rows, name=name)


MAKERS = {
    "adam": lambda: Adam(0.01),
    "sgd": lambda: SGD(0.01, momentum=0.9),
    "rmsprop": lambda: RMSprop(0.01, momentum=0.5, centered=True),
}


@pytest.mark.parametrize("kind", MAKERS)
class TestOneModel:
    def test_a_second_model_is_refused_when_it_is_compiled(self, kind):
        optimizer = MAKERS[kind]()
        first = trained(optimizer, dense_model("fold_1"))
        second = dense_model("fold_2")
        message = r"trained Sequential 'fold_1' and is now given to .* 'fold_2'.*from_config"
        with pytest.raises(ValueError, match=message):
            second.compile(optimizer, "mean_squared_error")
        assert not second.compiled
        with pytest.raises(ValueError, match=message):
            second.optimizer = optimizer
        trained(optimizer, first)  # its own model goes on

    def test_a_second_model_is_refused_when_it_is_trained(self, kind):
        optimizer = MAKERS[kind]()
        first, second = dense_model("one"), dense_model("two")
        for model in (first, second):
            model.compile(optimizer, "mean_squared_error")
        x = np.ones((8, 4), np.float32)
        first.train_on_batch(x, np.ones((8, 1)))
        second.evaluate(x, np.ones((8, 1)), verbose=0)
        before = second.get_weights()
        for train in (second.train_on_batch, lambda *data: second.fit(*data, verbose=0)):
            with pytest.raises(ValueError, match="trained Sequential 'one' and is now given to Se"):
                train(x, np.ones((8, 1)))
        assert all(map(np.array_equal, before, second.get_weights()))
        first.train_on_batch(x, np.ones((8, 1)))

    def test_a_new_one_of_its_configuration_begins_anew(self, kind):
        optimizer = MAKERS[kind]()
        trained(optimizer)
        model, twin = dense_model(), dense_model()
        twin.set_weights(model.get_weights())
        trained(type(optimizer).from_config(optimizer.get_config()), model)
        trained(MAKERS[kind](), twin)
        assert same_weights(model, twin)

    def test_a_model_that_is_gone_counts_too(self, kind):
        optimizer = MAKERS[kind]()
        trained(optimizer, dense_model("gone"))
        with pytest.raises(ValueError, match="it has trained Sequential 'gone'"):
            dense_model().compile(optimizer, "mean_squared_error")

    def test_a_copy_does_not_carry_moments_to_another_model(self, kind):
        optimizer = MAKERS[kind]()
        trained(optimizer)
        with pytest.raises(ValueError, match="make a new optimizer"):
            trained(copy.deepcopy(optimizer), dense_model())

    def test_compiling_again_with_the_same_optimizer_goes_on(self, kind):
        model, twin = dense_model(), dense_model()
        twin.set_weights(model.get_weights())
        optimizer = MAKERS[kind]()
        trained(optimizer, model)
        trained(optimizer, model)
        trained(MAKERS[kind](), twin, steps=6)
        assert same_weights(model, twin)


def test_an_optimizer_that_remembers_nothing_may_go_on():
    optimizer = SGD(0.01)
    trained(optimizer)
    model, twin = dense_model(), dense_model()
    twin.set_weights(model.get_weights())
    trained(optimizer, model)
    trained(SGD(0.01), twin)
    assert same_weights(model, twin)
    scheduled = SGD(schedules.ExponentialDecay(0.1, 10, 0.5))
    trained(scheduled)
    with pytest.raises(ValueError, match="it has trained"):
        trained(scheduled, dense_model())


def steps_of_keras(optimizer, options, plan):
    """Return Keras's parameters after steps on some of them: `plan` lists their numbers."""
    keras = import_keras()
    variables = [keras.Variable(p.value) for p in new_parameters()]
    theirs = getattr(keras.optimizers, optimizer)(**options)
    theirs.build(variables)
    for step, chosen in enumerate(plan):
        all_gradients = [keras.ops.convert_to_tensor(g) for g in gradients(step)]
        theirs.apply([all_gradients[i] for i in chosen], [variables[i] for i in chosen])
    return [variable.numpy() for variable in variables]


@keras_test
@pytest.mark.parametrize(
    ("optimizer", "options"),
    [(Adam, {}), (SGD, {"momentum": 0.9}), (RMSprop, {"centered": True, "momentum": 0.5})],
    ids=str,
)
def test_frozen_parameters_find_their_slots_again_as_in_keras(optimizer, options):
    plan = [(0, 1, 2, 3), (0, 1, 2, 3), (1, 3), (3,), (3, 1, 0, 2), (0, 1, 2, 3)]
    ours, parameters = optimizer(**options), new_parameters()
    for step, chosen in enumerate(plan):
        for parameter, gradient in zip(parameters, gradients(step), strict=True):
            parameter.gradient = gradient
        ours.apply([parameters[i] for i in chosen])
    expected = steps_of_keras(optimizer.__name__, options, plan)
    for parameter, value in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(parameter.value, value, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_layer_of_equal_shape_in_the_place_of_another_begins_anew(kind):
    model = dense_model()
    trained(MAKERS[kind](), model, steps=4)
    optimizer = model.optimizer
    old = model.pop()
    model.add(layers.Dense(1))
    x = np.random.default_rng(1).normal(size=(8, 4)).astype(np.float32)
    new = model.layers[-1].kernel
    before = new.value.copy()
    model.train_on_batch(x, np.ones((8, 1)))
    # The first step of an optimizer that has seen nothing else.
    alone, twin = MAKERS[kind](), copy.deepcopy(new)
    twin.value = before
    twin.gradient = new.gradient
    alone.apply([twin])
    assert new.value.tobytes() == twin.value.tobytes()
    assert model.optimizer is optimizer and optimizer.iterations == 5
    # And the one that was taken off finds its own again.
    model.pop()
    model.add(old)
    model.train_on_batch(x, np.ones((8, 1)))


@pytest.mark.parametrize("kind", MAKERS)
def test_layers_unfrozen_later_begin_anew(kind):
    model = dense_model()
    model.layers[0].trainable = False
    trained(MAKERS[kind](), model, steps=3)
    model.layers[0].trainable = True
    kernel = model.layers[0].kernel
    twin = copy.deepcopy(kernel)
    x = np.random.default_rng(1).normal(size=(8, 4)).astype(np.float32)
    model.train_on_batch(x, np.ones((8, 1)))
    twin.gradient = kernel.gradient
    MAKERS[kind]().apply([twin])
    assert kernel.value.tobytes() == twin.value.tobytes()


@pytest.mark.parametrize("kind", MAKERS)
def test_freezing_unfreezing_and_saving(kind, tmp_path):
    """What is saved between two changes, and loaded, goes on with the same bits."""
    x, y = photos(16)
    model = convnet(optimizer=MAKERS[kind]())
    model.layers[0].trainable = False
    model.train_on_batch(x, y)
    model.layers[0].trainable = True
    model.train_on_batch(x, y)
    model.save(tmp_path / "m.npz")
    loaded = load_model(tmp_path / "m.npz")
    for one in (model, loaded):
        for _ in range(2):
            one.train_on_batch(x, y)
    assert same_weights(model, loaded)
    model.layers[-1].trainable = False
    model.save(tmp_path / "m.npz")  # frozen after the last step
    loaded = load_model(tmp_path / "m.npz")
    for one in (model, loaded):
        one.train_on_batch(x, y)
    assert same_weights(model, loaded)


def test_states_keep_their_form():
    """As files have it: position/name in the order of the parameters, and the numbers."""
    optimizer, parameters = Adam(), new_parameters()
    assert optimizer.get_state() == {"iterations": 0, "learning_rate": 0.001}
    run(optimizer, parameters, range(2))
    state = optimizer.get_state()
    assert list(state) == ["iterations", "learning_rate"] + [
        f"{position}/{name}" for position in range(4) for name in ("momentum", "velocity")
    ]
    model = dense_model()
    model.layers[0].trainable = False
    trained(Adam(), model, steps=2)
    model.layers[0].trainable = True
    state = model.optimizer.get_state()
    assert state["0/start"] == state["1/start"] == 2 and "2/start" not in state
    assert not state["0/momentum"].any()


class TestSetting:
    """Every number may be assigned, and counts from the next step on."""

    @pytest.mark.parametrize(
        ("optimizer", "name", "value"),
        [
            (SGD, "momentum", 0.9),
            (SGD, "learning_rate", 0.5),
            (SGD, "lr", 0.5),
            (SGD, "weight_decay", 0.1),
            (SGD, "clipnorm", 0.5),
            (SGD, "clipvalue", 0.1),
            (Adam, "beta_1", 0.5),
            (Adam, "beta_2", 0.5),
            (Adam, "epsilon", 0.1),
            (RMSprop, "rho", 0.5),
            (RMSprop, "momentum", 0.5),
            (RMSprop, "epsilon", 0.1),
            (RMSprop, "centered", True),
        ],
    )
    def test_before_the_first_step_and_between_steps(self, optimizer, name, value):
        made, set_early = optimizer(**{name: value}), optimizer()
        setattr(set_early, name, value)
        assert getattr(set_early, name) == value
        assert set_early.get_config() == made.get_config()
        pairs = [(one, new_parameters()) for one in (made, set_early)]
        for one, parameters in pairs:
            run(one, parameters, range(3))
        for a, b in zip(pairs[0][1], pairs[1][1], strict=True):
            np.testing.assert_array_equal(a.value, b.value)
        late, plain = optimizer(), optimizer()
        values = []
        for one in (late, plain):
            parameters = new_parameters()
            run(one, parameters, range(2))
            if one is late:
                setattr(one, name, value)
            run(one, parameters, range(2, 5))
            values.append(parameters[0].value)
        assert not np.array_equal(*values)

    def test_momentum_after_steps_is_kerass(self):
        """v begins at 0 where momentum begins."""
        optimizer, parameters = SGD(0.1), new_parameters()
        run(optimizer, parameters, range(2))
        twin, twins = SGD(0.1, momentum=0.9), copy.deepcopy(parameters)
        optimizer.momentum = 0.9
        run(optimizer, parameters, range(2, 5))
        run(twin, twins, range(2, 5))
        for one, other in zip(parameters, twins, strict=True):
            np.testing.assert_array_equal(one.value, other.value)

    def test_a_model_takes_a_new_rate_at_its_next_step(self):
        model = trained(SGD(0.01))
        model.optimizer.lr = 0.0
        before = model.get_weights()
        x = np.ones((8, 4), np.float32)
        model.train_on_batch(x, np.ones((8, 1)))
        assert all(map(np.array_equal, before, model.get_weights()))

    @pytest.mark.parametrize(
        ("optimizer", "name", "value", "message"),
        [
            (SGD(), "momentum", 1.5, "SGD: momentum is 1.5; it must be from 0 to 1"),
            (SGD(), "lr", -1, "SGD: learning_rate is -1"),
            (SGD(), "clipnorm", -1, "SGD: clipnorm is -1"),
            (SGD(clipvalue=1), "clipnorm", 1, "clipnorm and clipvalue are both given"),
            (SGD(), "iterations", -1, "iterations is -1"),
            (Adam(), "beta_1", 1, "Adam: beta_1 is 1; it must be at least 0 and below 1"),
            (Adam(), "epsilon", float("nan"), "Adam: epsilon is nan"),
            (RMSprop(), "rho", 2, "RMSprop: rho is 2"),
        ],
    )
    def test_bad_values_change_nothing(self, optimizer, name, value, message):
        before = optimizer.get_config()
        with pytest.raises(ValueError, match=message):
            setattr(optimizer, name, value)
        assert optimizer.get_config() == before

    @pytest.mark.parametrize("name", ["decay", "beta1", "global_clipnrm", "learnig_rate"])
    def test_names_that_mean_nothing_are_refused(self, name):
        with pytest.raises(AttributeError, match=f"Adam: there is no attribute '{name}'"):
            setattr(Adam(), name, 0.1)

    def test_numbers_of_numpy_are_pythons(self):
        optimizer = Adam(np.float32(0.5), beta_1=np.float64(0.5), weight_decay=np.float32(0.25))
        optimizer.iterations = np.int64(3)
        config = optimizer.get_config()
        assert {type(config[name]) for name in ("learning_rate", "beta_1", "weight_decay")} == {
            float
        }
        assert type(optimizer.iterations) is int
