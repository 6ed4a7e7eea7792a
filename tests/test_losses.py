import json

import numpy as np
import pytest
from finite_differences import numeric_gradient
from keras_reference import import_keras, keras_test

from fastconv import losses

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 4)) * 3
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
LABELS = np.array([0, 3, 2, 1, 1, 0])
ONE_HOT = np.eye(4)[LABELS]
BITS = (RNG.random((6, 4)) < 0.5).astype(np.float64)
WEIGHTS = np.array([1, 0.5, 2, 0, 3, 1])

CASES = {
    "binary": (losses.BinaryCrossentropy(), BITS, PROBABILITIES),
    "binary smoothed": (losses.BinaryCrossentropy(label_smoothing=0.2), BITS, PROBABILITIES),
    "binary logits": (losses.BinaryCrossentropy(from_logits=True), BITS, LOGITS),
    "categorical": (losses.CategoricalCrossentropy(), ONE_HOT, PROBABILITIES),
    "categorical, no sum of 1": (losses.CategoricalCrossentropy(), ONE_HOT, PROBABILITIES * 3),
    "categorical, soft targets": (losses.CategoricalCrossentropy(), BITS, PROBABILITIES),
    "categorical smoothed": (
        losses.CategoricalCrossentropy(label_smoothing=0.1),
        ONE_HOT,
        PROBABILITIES,
    ),
    "categorical logits": (losses.CategoricalCrossentropy(from_logits=True), ONE_HOT, LOGITS),
    "sparse": (losses.SparseCategoricalCrossentropy(), LABELS, PROBABILITIES),
    "sparse, column": (losses.SparseCategoricalCrossentropy(), LABELS[:, None], PROBABILITIES),
    "sparse logits": (losses.SparseCategoricalCrossentropy(from_logits=True), LABELS, LOGITS),
    "squared": (losses.MeanSquaredError(), BITS, LOGITS),
}


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("case", CASES)
def test_gradient(case, weights):
    """Predictions are float64 here, so differences over 2e-6 are good to about 1e-8."""
    loss, y_true, y_pred = CASES[case]
    y_pred = y_pred.copy()
    value, gradient = loss.value_and_gradient(y_true, y_pred, weights)
    assert isinstance(value, float)
    assert (gradient.dtype, gradient.shape) == (np.float32, y_pred.shape)
    expected = numeric_gradient(lambda: loss(y_true, y_pred, weights), y_pred, step=1e-6)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7)


@keras_test
@pytest.mark.parametrize("weights", [None, WEIGHTS, WEIGHTS[:, None]], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_value_against_keras(case, weights):
    keras = import_keras()
    loss, y_true, y_pred = CASES[case]
    config = {key: value for key, value in loss.get_config().items() if key != "name"}
    theirs = getattr(keras.losses, type(loss).__name__)(**config)
    y_pred = y_pred.astype(np.float32)
    expected = float(theirs(y_true, y_pred, sample_weight=weights))
    assert loss(y_true, y_pred, weights) == pytest.approx(expected, rel=2e-6)


@keras_test
@pytest.mark.parametrize("y_pred", [0.0, 1.0, 1e-8, 0.3])
@pytest.mark.parametrize("y_true", [0, 1])
def test_certain_predictions_against_keras(y_true, y_pred):
    keras = import_keras()
    shape = (1, 1)
    target, prediction = np.full(shape, y_true), np.full(shape, y_pred, np.float32)
    expected = float(keras.losses.BinaryCrossentropy()(target, prediction))
    actual, gradient = losses.BinaryCrossentropy().value_and_gradient(target, prediction)
    assert actual == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("loss", "y_true", "activate"),
    [
        (losses.BinaryCrossentropy(), BITS, lambda z: 1 / (1 + np.exp(-z))),
        (
            losses.CategoricalCrossentropy(),
            ONE_HOT,
            lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
        ),
        (
            losses.SparseCategoricalCrossentropy(),
            LABELS,
            lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_logits_are_the_activation_folded_in(loss, y_true, activate):
    value, gradient = loss.value_and_gradient(y_true, LOGITS, logits=True)
    assert value == pytest.approx(loss(y_true, activate(LOGITS)), rel=1e-6)
    z = LOGITS.copy()
    expected = numeric_gradient(lambda: loss(y_true, activate(z)), z, step=1e-6)
    np.testing.assert_allclose(gradient, expected, atol=1e-7)
    assert loss.activation == ("sigmoid" if "binary" in loss.name else "softmax")


def test_loss_on_logits_folds_nothing():
    assert losses.BinaryCrossentropy(from_logits=True).activation is None
    assert losses.MeanSquaredError().activation is None


def test_extreme_logits_stay_finite():
    z = np.array([[1e4], [-1e4]], np.float32)
    value, gradient = losses.BinaryCrossentropy().value_and_gradient([[0], [0]], z, logits=True)
    assert value == pytest.approx(5000)
    np.testing.assert_array_equal(gradient, [[0.5], [0]])
    z = np.array([[1e4, 0, -1e4]], np.float32)
    value, gradient = losses.CategoricalCrossentropy().value_and_gradient(
        [[0, 0, 1]], z, logits=True
    )
    assert value == pytest.approx(2e4)
    np.testing.assert_array_equal(gradient, [[1, 0, -1]])


def test_nan_is_not_hidden():
    for loss in (losses.BinaryCrossentropy(), losses.MeanSquaredError()):
        assert np.isnan(loss([[1.0]], np.array([[np.nan]], np.float32)))


def test_targets_are_matched_as_in_keras():
    loss = losses.BinaryCrossentropy()
    y_pred = PROBABILITIES[:, :1]
    flat = loss(BITS[:, 0], y_pred)
    assert flat == loss(BITS[:, :1], y_pred) == loss(BITS[:, :1], y_pred[:, 0])
    assert loss([True, False], [[0.9], [0.1]]) == pytest.approx(-np.log(0.9), rel=1e-6)


def test_gradient_goes_to_out():
    out = np.empty((6, 4), np.float32)
    _, gradient = losses.MeanSquaredError().value_and_gradient(BITS, LOGITS, out=out)
    assert gradient is out
    np.testing.assert_allclose(out, (LOGITS - BITS) * 2 / 24, rtol=1e-6)


def test_empty_batch():
    value, gradient = losses.BinaryCrossentropy().value_and_gradient(
        np.zeros((0, 1)), np.zeros((0, 1), np.float32)
    )
    assert value == 0
    assert gradient.shape == (0, 1)


@keras_test
def test_functions_give_a_loss_for_each_sample():
    keras = import_keras()
    for name, y_true, y_pred in [
        ("binary_crossentropy", BITS, PROBABILITIES),
        ("categorical_crossentropy", ONE_HOT, PROBABILITIES),
        ("sparse_categorical_crossentropy", LABELS, PROBABILITIES),
        ("mean_squared_error", BITS, LOGITS),
    ]:
        y_pred = y_pred.astype(np.float32)
        expected = getattr(keras.losses, name)(y_true, y_pred).numpy()
        actual = getattr(losses, name)(y_true, y_pred)
        assert actual.dtype == np.float32
        np.testing.assert_allclose(actual, expected, rtol=1e-5)


class TestGet:
    @pytest.mark.parametrize(
        ("identifier", "expected"),
        [
            ("binary_crossentropy", losses.BinaryCrossentropy),
            ("BinaryCrossentropy", losses.BinaryCrossentropy),
            ("mse", losses.MeanSquaredError),
            ("MSE", losses.MeanSquaredError),
            (losses.categorical_crossentropy, losses.CategoricalCrossentropy),
            (losses.SparseCategoricalCrossentropy, losses.SparseCategoricalCrossentropy),
        ],
    )
    def test_spellings(self, identifier, expected):
        assert type(losses.get(identifier)) is expected

    @pytest.mark.parametrize("case", CASES)
    def test_config_fits_json(self, case):
        loss = CASES[case][0]
        made = losses.get(json.loads(json.dumps(losses.serialize(loss))))
        assert type(made) is type(loss)
        assert made.get_config() == loss.get_config()

    def test_object_is_returned(self):
        loss = losses.MeanSquaredError()
        assert losses.get(loss) is loss

    def test_mistakes(self):
        with pytest.raises(ValueError, match="unknown loss 'hinges'; known are binary_cross"):
            losses.get("hinges")
        for identifier in (3, None, int, ["mse"]):
            with pytest.raises(TypeError, match="is no loss"):
                losses.get(identifier)


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred", "message"),
    [
        ("binary_crossentropy", BITS[:5], LOGITS, r"targets have shape \(5, 4\)"),
        ("binary_crossentropy", LABELS, LOGITS, r"targets have shape \(6,\)"),
        ("binary_crossentropy", BITS + 1, LOGITS, "run from 1 to 2; they must be from 0 to 1"),
        ("binary_crossentropy", BITS * np.nan, LOGITS, "run from nan to nan"),
        (
            "categorical_crossentropy",
            ONE_HOT * np.nan,
            LOGITS,
            "nan to nan; they must be finite",
        ),
        (
            "categorical_crossentropy",
            ONE_HOT - np.inf,
            LOGITS,
            "-inf; they must be finite",
        ),
        ("mean_squared_error", BITS * np.nan, LOGITS, "nan to nan; they must be finite"),
        ("categorical_crossentropy", LABELS, LOGITS, "use 'sparse_categorical_crossentropy'"),
        ("sparse_categorical_crossentropy", ONE_HOT, LOGITS, "use 'categorical_crossentropy'"),
        ("sparse_categorical_crossentropy", LABELS + 1, LOGITS, "run from 1 to 4.*from 0 to 3"),
        ("sparse_categorical_crossentropy", LABELS - 1, LOGITS, "run from -1 to 2"),
        ("sparse_categorical_crossentropy", LABELS + 0.5, LOGITS, "whole numbers"),
        ("sparse_categorical_crossentropy", LABELS * np.nan, LOGITS, "whole numbers"),
        ("sparse_categorical_crossentropy", LABELS, LOGITS[:, :1], "use 'binary_crossentropy'"),
        ("categorical_crossentropy", LABELS, LOGITS[:, :1], "use 'binary_crossentropy'"),
        ("mean_squared_error", 1.0, 1.0, "one number"),
    ],
)
def test_mistakes(loss, y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        losses.get(loss).value_and_gradient(y_true, y_pred)


def test_bad_weights():
    with pytest.raises(ValueError, match=r"sample_weight has shape \(5,\); it must be \(6,\)"):
        losses.get("mse")(BITS, LOGITS, np.ones(5))
    with pytest.raises(ValueError, match=r"\(5,\); it must be \(3,\) or \(3, 2\)"):
        losses.get("mse")(np.zeros((3, 2, 1)), np.zeros((3, 2, 1)), np.ones(5))
    with pytest.raises(TypeError, match="mean_squared_error: sample_weight has dtype <U1"):
        losses.get("mse")(BITS, LOGITS, ["a"] * 6)
    for weight in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"sample_weight runs from 1 to inf|from nan to nan"):
            losses.get("mse")(BITS, LOGITS, [1, 1, weight, 1, 1, 1])
    with pytest.raises(ValueError, match="label_smoothing is 2"):
        losses.BinaryCrossentropy(label_smoothing=2)


def test_a_loss_of_ones_own():
    class MeanAbsoluteError(losses.Loss):
        def losses_and_gradient(self, targets, predictions, logits):
            difference = predictions - targets
            return np.abs(difference).mean(axis=-1), np.sign(difference) / targets.shape[-1]

    value, gradient = losses.get(MeanAbsoluteError()).value_and_gradient(BITS, LOGITS)
    assert value == pytest.approx(np.abs(LOGITS - BITS).mean())
    np.testing.assert_allclose(gradient, np.sign(LOGITS - BITS) / 24, rtol=1e-6)


def test_a_loss_of_ones_own_of_the_wrong_shape():
    class Total(losses.Loss):
        def losses_and_gradient(self, targets, predictions, logits):
            return ((predictions - targets) ** 2).sum(), 2 * (predictions - targets)

    with pytest.raises(ValueError, match=r"total: .* shapes \(\) and \(6, 4\); \(6,\) and"):
        Total().value_and_gradient(BITS, LOGITS)


@pytest.mark.parametrize("name", ["binary_crossentropy", "sparse_categorical_crossentropy"])
@pytest.mark.parametrize(
    ("labels", "weights", "message"),
    [
        ([0, 1, 7], None, "from 0 to"),
        ([0, 1], None, "shape"),
        ([0, 1, 1], [1, 2], "sample_weight has shape"),
    ],
)
def test_check_raises_what_the_loss_would(name, labels, weights, message):
    loss = losses.get(name)
    shape = (3, 1) if name == "binary_crossentropy" else (3, 4)
    with pytest.raises(ValueError, match=message) as wanted:
        loss.value_and_gradient(labels, np.full(shape, 0.5, np.float32), weights)
    with pytest.raises(ValueError, match=message) as found:
        loss.check(labels, shape, weights)
    assert str(found.value) == str(wanted.value)
    loss.check([0, 1, 1], shape, [1, 2, 3])


def test_check_tries_a_loss_of_ones_own():
    class Picky(losses.BinaryCrossentropy):
        def losses_and_gradient(self, targets, predictions, logits):
            raise ValueError("only on Sundays")

    with pytest.raises(ValueError, match="only on Sundays"):
        Picky().check([0, 1], (2, 1))


def test_options_may_be_assigned():
    logits, targets = np.array([[2.0], [-1.0]]), np.array([[1.0], [1.0]])
    loss = losses.BinaryCrossentropy()
    assert loss.activation == "sigmoid"
    loss.from_logits, loss.label_smoothing = True, 0.2
    made = losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2)
    assert loss.activation is None and loss.get_config() == made.get_config()
    assert loss(targets, logits) == made(targets, logits)
    for name, value in (("label_smoothing", 2), ("label_smoothing", float("nan"))):
        with pytest.raises(ValueError, match=f"BinaryCrossentropy: {name} is"):
            setattr(loss, name, value)
    with pytest.raises(TypeError, match="from_logits is 'no'"):
        loss.from_logits = "no"
    with pytest.raises(ValueError, match=r"label_smoothing is 0\.1; it must be 0"):
        losses.SparseCategoricalCrossentropy().label_smoothing = 0.1


@pytest.mark.parametrize("dtype", ["float-32", 7, {"class_name": "DTypePolicy"}])
def test_what_is_no_dtype_is_named(dtype):
    with pytest.raises(TypeError, match=r"dtype is .*; it must be None or the name of a dtype"):
        losses.MeanSquaredError(dtype=dtype)
