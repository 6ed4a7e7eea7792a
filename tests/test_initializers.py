import json
import math

import numpy as np
import pytest

from fastconv import initializers
from fastconv.utils import set_random_seed

SHAPE = (3, 3, 40, 60)
FAN_IN, FAN_OUT = 9 * 40, 9 * 60
GLOROT = 2 / (FAN_IN + FAN_OUT)

UNIFORM = {
    "random_uniform": 0.05,
    "glorot_uniform": math.sqrt(3 * GLOROT),
    "he_uniform": math.sqrt(6 / FAN_IN),
    "lecun_uniform": math.sqrt(3 / FAN_IN),
}
TRUNCATED = {
    "glorot_normal": math.sqrt(GLOROT),
    "he_normal": math.sqrt(2 / FAN_IN),
    "lecun_normal": math.sqrt(1 / FAN_IN),
    "variance_scaling": math.sqrt(1 / FAN_IN),
    "truncated_normal": 0.05 * 0.87962566,
}
NAMES = ["zeros", "ones", "constant", "random_normal", *UNIFORM, *TRUNCATED]


@pytest.mark.parametrize("name", NAMES)
def test_shape_and_dtype(name):
    for shape in (SHAPE, (7,), ()):
        values = initializers.get(name)(shape)
        assert (values.shape, values.dtype) == (shape, np.float32)
        assert values.flags.c_contiguous


@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_limits(name):
    set_random_seed(0)
    values, limit = initializers.get(name)(SHAPE), np.float32(UNIFORM[name])
    # 21,600 draws: the extremes come within a thousandth of the limits.
    assert 0.995 * limit < values.max() <= limit
    assert -limit <= values.min() < -0.995 * limit
    assert abs(values.mean()) < 0.02 * limit


@pytest.mark.parametrize("name", TRUNCATED)
def test_truncated_normal_has_the_deviation_it_should(name):
    set_random_seed(0)
    values, stddev = initializers.get(name)(SHAPE), TRUNCATED[name]
    assert values.std() == pytest.approx(stddev, rel=0.02)
    assert np.abs(values).max() <= 2 / 0.8796 * stddev


def test_plain_ones():
    assert not initializers.get("zeros")((3,)).any()
    assert (initializers.get("ones")((3,)) == 1).all()
    np.testing.assert_array_equal(initializers.Constant([1, 2])((3, 2)), [[1, 2]] * 3)
    with pytest.raises(ValueError, match=r"shape \(2,\) does not broadcast to.*\(3,\)"):
        initializers.Constant([1, 2])((3,))
    set_random_seed(0)
    values = initializers.RandomNormal(1, 0.1)(SHAPE)
    assert values.mean() == pytest.approx(1, abs=0.003)
    assert values.std() == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("name", ["random_normal", *UNIFORM, *TRUNCATED])
def test_seeds(name):
    made = initializers.get({"class_name": name, "config": {"seed": 4}})
    np.testing.assert_array_equal(made((5, 5)), made((5, 5)))
    unseeded = initializers.get(name)
    assert (unseeded((5, 5)) != unseeded((5, 5))).any()
    set_random_seed(1)
    first = unseeded((5, 5))
    set_random_seed(1)
    np.testing.assert_array_equal(unseeded((5, 5)), first)


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (3, 3, 4, 8), (2, 2, 2, 20)])
def test_orthogonal(shape):
    values = initializers.Orthogonal(gain=2.0, seed=1)(shape)
    matrix = values.reshape(-1, shape[-1]).astype(np.float64)
    product = matrix.T @ matrix if matrix.shape[0] >= shape[-1] else matrix @ matrix.T
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)
    assert (values.shape, values.dtype) == (shape, np.float32)
    np.testing.assert_array_equal(values, initializers.Orthogonal(2.0, seed=1)(shape))


def test_identity():
    np.testing.assert_array_equal(initializers.Identity(3)((2, 3)), [[3, 0, 0], [0, 3, 0]])
    for initializer, shape in (
        (initializers.Identity(), (2, 2, 2)),
        (initializers.Orthogonal(), 3),
    ):
        with pytest.raises(ValueError, match="the weight's shape is"):
            initializer(shape if isinstance(shape, tuple) else (shape,))


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", ["normal", "untruncated_normal", "uniform"])
def test_variance_scaling(mode, distribution):
    made = initializers.VarianceScaling(3.0, mode, distribution, seed=0)
    count = {"fan_in": FAN_IN, "fan_out": FAN_OUT, "fan_avg": (FAN_IN + FAN_OUT) / 2}[mode]
    assert made(SHAPE).std() == pytest.approx(math.sqrt(3 / count), rel=0.02)
    with pytest.raises(ValueError, match="VarianceScaling: mode is 'fan'"):
        initializers.VarianceScaling(mode="fan")
    with pytest.raises(ValueError, match="scale is 0"):
        initializers.VarianceScaling(0)


def test_lower_case_names_and_kerass_aliases():
    for name in (*NAMES, "orthogonal", "identity"):
        assert getattr(initializers, name) is type(initializers.get(name))
    for name, kind in {
        "zero": "Zeros",
        "normal": "RandomNormal",
        "uniform": "RandomUniform",
    }.items():
        assert type(initializers.get(name)).__name__ == kind
    config = {"seed": 3, "input_axes": None, "output_axes": None}
    made = initializers.deserialize({"class_name": "HeNormal", "config": config})
    assert made.get_config() == {"seed": 3}


@pytest.mark.parametrize("name", [*NAMES, "orthogonal", "identity"])
def test_config_fits_json(name):
    initializer = initializers.get(name)
    description = json.loads(json.dumps(initializers.serialize(initializer)))
    made = initializers.get(description)
    assert type(made) is type(initializer)
    assert json.loads(json.dumps(initializers.serialize(made))) == description


def test_spellings_and_mistakes():
    assert isinstance(initializers.get("GlorotUniform"), initializers.GlorotUniform)
    assert isinstance(initializers.get(initializers.Ones), initializers.Ones)
    with pytest.raises(ValueError, match="here: unknown initializer 'diagonal'; known are"):
        initializers.get("diagonal", owner="here")
    with pytest.raises(TypeError, match="is no initializer"):
        initializers.get(None)


def test_fans():
    assert initializers.fans((3, 3, 4, 8)) == (36, 72)
    assert initializers.fans((5, 7)) == (5, 7)
    assert initializers.fans((6,)) == (6, 6)
    assert initializers.fans(()) == (1, 1)


def test_reprs_say_what_an_initializer_is():
    assert repr(initializers.GlorotUniform()) == "GlorotUniform()"
    assert repr(initializers.RandomNormal(stddev=0.1, seed=3)) == "RandomNormal(stddev=0.1, seed=3)"
