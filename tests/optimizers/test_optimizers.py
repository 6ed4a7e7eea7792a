import json

import numpy as np
import pytest
from keras_reference import import_keras, keras_test
from optimizer_runs import gradients, new_parameters, run

from fastconv import optimizers
from fastconv.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Nadam,
    RMSprop,
    schedules,
)

COMMON = [
    {},
    {"weight_decay": 0.1},
    {"clipnorm": 0.5},
    {"clipvalue": 0.2, "weight_decay": 0.01},
    {"global_clipnorm": 0.5, "use_ema": True},
    {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3, "weight_decay": 0.1},
]
OTHERS = (AdamW, Nadam, Adagrad, Lion, Adadelta, Adamax)
CASES = [
    *((SGD, options | common) for options in ({}, {"momentum": 0.9}) for common in COMMON),
    (SGD, {"momentum": 0.9, "nesterov": True, "learning_rate": 0.1}),
    (SGD, {"nesterov": True}),
    *((Adam, common) for common in COMMON),
    (Adam, {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}),
    (Adam, {"amsgrad": True, "learning_rate": 0.1, "beta_2": 0.5}),
    *((kind, common) for kind in OTHERS for common in COMMON),
    (AdamW, {"learning_rate": 0.1, "amsgrad": True, "beta_2": 0.5}),
    (Nadam, {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}),
    (Adagrad, {"learning_rate": 0.1, "initial_accumulator_value": 0.0, "epsilon": 1e-3}),
    (Lion, {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9}),
    (Adadelta, {"learning_rate": 1.0, "rho": 0.5, "epsilon": 1e-3}),
    (Adamax, {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}),
    *((RMSprop, common) for common in COMMON),
    (RMSprop, {"momentum": 0.5}),
    (RMSprop, {"centered": True, "epsilon": 1e-4}),
    (RMSprop, {"centered": True, "momentum": 0.9, "rho": 0.5, "learning_rate": 0.01}),
]


@keras_test
@pytest.mark.parametrize(("optimizer_class", "options"), CASES, ids=str)
def test_ten_steps_against_keras(optimizer_class, options):
    """Rounding of float32 (6e-8) at each of ten steps, with a factor for cancellation."""
    keras = import_keras()
    parameters = new_parameters()
    variables = [keras.Variable(p.value) for p in parameters]
    theirs = getattr(keras.optimizers, optimizer_class.__name__)(**options)
    ours = optimizer_class(**options)
    for step in range(10):
        theirs.apply([keras.ops.convert_to_tensor(g) for g in gradients(step)], variables)
        run(ours, parameters, [step])
    assert ours.iterations == int(theirs.iterations.numpy()) == 10
    for parameter, variable in zip(parameters, variables, strict=True):
        np.testing.assert_allclose(parameter.value, variable.numpy(), rtol=2e-6, atol=2e-6)
    if ours.use_ema:
        state = ours.get_state()
        for position, average in enumerate(theirs._model_variables_moving_average):
            mine = state[f"{position}/average"]
            np.testing.assert_allclose(mine, average.numpy(), rtol=2e-6, atol=2e-6)


@keras_test
@pytest.mark.parametrize("optimizer_class", [*OTHERS, RMSprop])
def test_steps_by_a_schedule_against_keras(optimizer_class):
    """A rate that falls, by steps of a size at which an error of the update would show."""
    keras = import_keras()
    parameters = new_parameters()
    variables = [keras.Variable(p.value) for p in parameters]
    config = {"initial_learning_rate": 0.05, "decay_steps": 4, "alpha": 0.1}
    theirs = getattr(keras.optimizers, optimizer_class.__name__)(
        keras.optimizers.schedules.CosineDecay(**config)
    )
    ours = optimizer_class(schedules.CosineDecay(**config))
    for step in range(10):
        theirs.apply([keras.ops.convert_to_tensor(g) for g in gradients(step)], variables)
        run(ours, parameters, [step])
        for parameter, variable in zip(parameters, variables, strict=True):
            np.testing.assert_allclose(parameter.value, variable.numpy(), rtol=2e-6, atol=2e-6)


@keras_test
@pytest.mark.parametrize(
    "schedule",
    [
        ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}),
        (
            "ExponentialDecay",
            {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5, "staircase": True},
        ),
        ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 6, "alpha": 0.1}),
        (
            "CosineDecay",
            {
                "initial_learning_rate": 0.01,
                "decay_steps": 4,
                "warmup_target": 0.2,
                "warmup_steps": 3,
            },
        ),
        ("PiecewiseConstantDecay", {"boundaries": [2, 5], "values": [0.1, 0.05, 0.01]}),
        (
            "CosineDecayRestarts",
            {"initial_learning_rate": 0.1, "first_decay_steps": 2, "m_mul": 0.7, "alpha": 0.1},
        ),
        (
            "CosineDecayRestarts",
            {"initial_learning_rate": 0.1, "first_decay_steps": 3, "t_mul": 1.0, "m_mul": 0.5},
        ),
        (
            "CosineDecayRestarts",
            {"initial_learning_rate": 0.1, "first_decay_steps": 3.5, "t_mul": 1.3},
        ),
        ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 6}),
        (
            "PolynomialDecay",
            {"initial_learning_rate": 0.1, "decay_steps": 3, "power": 2.0, "cycle": True},
        ),
        ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}),
        (
            "InverseTimeDecay",
            {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5, "staircase": True},
        ),
    ],
    ids=str,
)
def test_schedules_against_keras(schedule):
    keras = import_keras()
    name, config = schedule
    theirs = getattr(keras.optimizers.schedules, name)(**config)
    ours = getattr(schedules, name)(**config)
    for step in range(10):
        assert ours(step) == pytest.approx(float(theirs(step)), rel=1e-5, abs=1e-8)
    made = schedules.get(json.loads(json.dumps(ours.serialize())))
    assert [made(step) for step in range(10)] == [ours(step) for step in range(10)]
    parameters = new_parameters()
    variables = [keras.Variable(p.value) for p in parameters]
    their_optimizer, optimizer = keras.optimizers.SGD(theirs), SGD(ours)
    for step in range(10):
        their_optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients(step)], variables)
        run(optimizer, parameters, [step])
    for parameter, variable in zip(parameters, variables, strict=True):
        np.testing.assert_allclose(parameter.value, variable.numpy(), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(("optimizer_class", "options"), CASES, ids=str)
def test_stopped_and_continued_is_never_stopped(optimizer_class, options):
    whole, parts = new_parameters(), new_parameters()
    run(optimizer_class(**options), whole, range(6))
    first = optimizer_class(**options)
    run(first, parts, range(3))
    state = first.get_state()
    run(first, new_parameters(), range(1))
    second = optimizer_class(**options)
    second.set_state(state, parts)
    run(second, parts, range(3, 6))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one.value, other.value)


def test_values_are_changed_in_place():
    parameters = new_parameters()
    arrays = [p.value for p in parameters]
    run(Adam(), parameters, [0])
    assert all(p.value is array for p, array in zip(parameters, arrays, strict=True))


class TestLearningRate:
    def test_old_spelling(self):
        assert RMSprop(lr=0.0001).learning_rate == 0.0001
        optimizer = SGD(lr=0.5, decay=0.25)
        assert [optimizer._learning_rate(step) for step in range(3)] == [0.5, 0.4, 0.5 / 1.5]
        assert SGD(0.1, decay=0.0).learning_rate == 0.1
        with pytest.raises(TypeError, match="learning_rate beside decay is ExponentialDecay"):
            SGD(schedules.ExponentialDecay(0.1, 1, 0.5), decay=0.1)
        assert [SGD().learning_rate, Adam().learning_rate, RMSprop().learning_rate] == [
            0.01,
            0.001,
            0.001,
        ]

    def test_can_be_set(self):
        optimizer = SGD()
        optimizer.learning_rate = 0
        before = [p.value.copy() for p in new_parameters()]
        parameters = new_parameters()
        run(optimizer, parameters, [0])
        for parameter, old in zip(parameters, before, strict=True):
            np.testing.assert_array_equal(parameter.value, old)
        optimizer.learning_rate = np.float32(0.5)
        assert optimizer.learning_rate == 0.5

    def test_schedule_cannot_be_set_to_a_number(self):
        optimizer = SGD(schedules.CosineDecay(0.5, 10))
        assert optimizer.learning_rate == 0.5
        with pytest.raises(TypeError, match="SGD: the learning rate comes from CosineDecay"):
            optimizer.learning_rate = 0.1
        optimizer.learning_rate = schedules.ExponentialDecay(0.25, 10, 0.9)
        assert optimizer.learning_rate == 0.25
        assert "learning_rate" not in optimizer.get_state()

    @pytest.mark.parametrize("rate", [-1, float("nan")])
    def test_bad_numbers(self, rate):
        with pytest.raises(ValueError, match="Adam: learning_rate is"):
            Adam(rate)
        with pytest.raises(TypeError, match="learning_rate is 'fast'"):
            Adam("fast")


class TestGet:
    @pytest.mark.parametrize(
        ("identifier", "expected"),
        [
            ("sgd", SGD),
            ("Adam", Adam),
            ("RMSprop", RMSprop),
            ("rmsprop", RMSprop),
            ("adamw", AdamW),
            ("AdamW", AdamW),
            ("nadam", Nadam),
            ("Adagrad", Adagrad),
            ("lion", Lion),
            ("adadelta", Adadelta),
            ("Adamax", Adamax),
        ],
    )
    def test_names(self, identifier, expected):
        assert type(optimizers.get(identifier)) is expected

    @pytest.mark.parametrize(("optimizer_class", "options"), CASES, ids=str)
    def test_config_fits_json(self, optimizer_class, options):
        optimizer = optimizer_class(**options)
        made = optimizers.get(json.loads(json.dumps(optimizers.serialize(optimizer))))
        assert type(made) is optimizer_class
        assert made.get_config() == optimizer.get_config()

    def test_config_of_a_schedule(self):
        optimizer = Adam(schedules.PiecewiseConstantDecay([1], [0.5, 0.1]))
        made = optimizers.get(json.loads(json.dumps(optimizers.serialize(optimizer))))
        assert made.learning_rate == 0.5

    def test_mistakes(self):
        with pytest.raises(ValueError, match="unknown optimizer 'lamb'; known are sgd, adam"):
            optimizers.get("lamb")
        with pytest.raises(TypeError, match="3 is no optimizer"):
            optimizers.get(3)


@keras_test
@pytest.mark.parametrize("kind", [SGD, Adam, *OTHERS, RMSprop])
def test_configurations_of_keras_are_read(kind):
    keras = import_keras()
    theirs = getattr(keras.optimizers, kind.__name__)(
        keras.optimizers.schedules.CosineDecayRestarts(0.1, 10), use_ema=True, global_clipnorm=1.0
    )
    saved = json.loads(json.dumps(keras.optimizers.serialize(theirs)))
    ours = optimizers.deserialize(saved)
    assert type(ours) is kind and type(ours._learning_rate) is schedules.CosineDecayRestarts
    config = ours.get_config()
    expected = theirs.get_config()
    assert config.keys() <= expected.keys()
    for name in config.keys() - {"learning_rate"}:
        assert config[name] == expected[name], name


class TestMistakes:
    def test_unknown_argument(self):
        with pytest.raises(TypeError, match="SGD: unknown argument 'rate'; accepted are learning"):
            SGD(rate=1e-6)
        assert SGD(gradient_accumulation_steps=None, loss_scale_factor=None)
        with pytest.raises(TypeError, match="unknown argument 'gradient_accumulation_steps'"):
            Adam(gradient_accumulation_steps=2)

    def test_two_ways_to_clip(self):
        with pytest.raises(ValueError, match="clipnorm and clipvalue are both given"):
            Adam(clipnorm=1, clipvalue=1)
        with pytest.raises(ValueError, match="clipnorm and global_clipnorm are both given"):
            Adam(clipnorm=1, global_clipnorm=1)
        optimizer = Adam(clipvalue=1)
        with pytest.raises(ValueError, match="clipvalue and global_clipnorm are both given"):
            optimizer.global_clipnorm = 1
        assert optimizer.clipvalue == 1 and optimizer.global_clipnorm is None

    def test_numbers_out_of_range(self):
        with pytest.raises(ValueError, match="momentum is 2; it must be from 0 to 1"):
            SGD(momentum=2)
        with pytest.raises(ValueError, match="beta_1 is 1; it must be at least 0 and below 1"):
            Adam(beta_1=1)
        with pytest.raises(ValueError, match=r"ema_momentum is 1\.5; it must be from 0 to 1"):
            SGD(use_ema=True, ema_momentum=1.5)
        with pytest.raises(ValueError, match="ema_overwrite_frequency is 0"):
            SGD(use_ema=True, ema_overwrite_frequency=0)
        with pytest.raises(ValueError, match="Lion: beta_1 is 0; it must be above 0"):
            Lion(beta_1=0)
        with pytest.raises(TypeError, match="AdamW: weight_decay is None"):
            AdamW(weight_decay=None)
        with pytest.raises(ValueError, match=r"CosineDecayRestarts: t_mul is 0\.5"):
            schedules.CosineDecayRestarts(0.1, 10, t_mul=0.5)
        with pytest.raises(ValueError, match="one value more than boundaries"):
            schedules.PiecewiseConstantDecay([1, 2], [0.1])
        with pytest.raises(ValueError, match="they must increase"):
            schedules.PiecewiseConstantDecay([2, 1], [1, 2, 3])
        with pytest.raises(ValueError, match="decay_steps is 0"):
            schedules.CosineDecay(0.1, 0)
        with pytest.raises(ValueError, match="unknown learning-rate schedule 'StepDecay'"):
            schedules.get({"class_name": "StepDecay"})

    def test_other_parameters(self):
        optimizer = Adam()
        run(optimizer, new_parameters(), [0])
        with pytest.raises(ValueError, match="Adam: the optimizer has been used with 4 parameters"):
            optimizer.apply(new_parameters()[:2])

    def test_states_that_do_not_fit_change_nothing(self):
        optimizer, parameters = Adam(), new_parameters()
        run(optimizer, parameters, [0])
        before = optimizer.get_state()
        good = optimizer.get_state()
        for change, message in [
            ({"0/momentum": np.zeros(2)}, r"'0/momentum' is of shape \(2,\); weight 'w0'"),
            ({"9/momentum": np.zeros(2)}, r"\['9/momentum'\], which fit no parameter"),
            ({"iterations": -1}, "'iterations' is -1"),
        ]:
            with pytest.raises(ValueError, match=message):
                optimizer.set_state(good | change, parameters)
        del good["1/velocity"]
        with pytest.raises(ValueError, match="'1/velocity' is missing"):
            optimizer.set_state(good, parameters)
        after = optimizer.get_state()
        assert after.keys() == before.keys()
        for key, value in before.items():
            np.testing.assert_array_equal(after[key], value)


def test_reprs_say_what_an_optimizer_is():
    decay = schedules.ExponentialDecay(0.1, 10, 0.9)
    assert repr(optimizers.Adam()) == "Adam()"
    assert repr(optimizers.SGD(0.1, momentum=0.9, clipnorm=1.0)) == (
        "SGD(learning_rate=0.1, momentum=0.9, clipnorm=1.0)"
    )
    told = "ExponentialDecay(initial_learning_rate=0.1, decay_steps=10, decay_rate=0.9)"
    assert repr(optimizers.RMSprop(decay, weight_decay=0.1)) == (
        f"RMSprop(learning_rate={told}, weight_decay=0.1)"
    )


def test_the_repr_of_half_an_optimizer_is_no_error():
    class Half(optimizers.SGD):
        def __init__(self):
            pass

    assert repr(Half()) == "Half()"
