import json

import numpy as np
import pytest
from keras_reference import import_keras, keras_test

from fastconv import layers, metrics
from fastconv.models import Sequential

RNG = np.random.default_rng(1)
PROBABILITIES = RNG.random((40, 1)).astype(np.float32)
BITS = (RNG.random((40, 1)) < PROBABILITIES).astype(np.int64)
SCORES = RNG.random((40, 5)).astype(np.float32)
LABELS = RNG.integers(0, 5, 40)
ONE_HOT = np.eye(5)[LABELS]
WEIGHTS = RNG.random(40)


def value(metric, *batches):
    metric.reset()
    for batch in batches:
        metric.update(*batch)
    return metric.result()


@keras_test
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("name", "y_true", "y_pred"),
    [
        ("BinaryAccuracy", BITS, PROBABILITIES),
        ("BinaryAccuracy", BITS[:, 0], PROBABILITIES),
        ("BinaryAccuracy", SCORES > 0.6, SCORES),
        ("CategoricalAccuracy", ONE_HOT, SCORES),
        ("SparseCategoricalAccuracy", LABELS, SCORES),
        ("SparseCategoricalAccuracy", LABELS[:, None], SCORES),
        ("AUC", BITS, PROBABILITIES),
        ("AUC", BITS[:, 0], PROBABILITIES),
        ("AUC", ONE_HOT, SCORES),
    ],
)
def test_against_keras(name, y_true, y_pred, weights):
    keras = import_keras()
    theirs, ours = getattr(keras.metrics, name)(), metrics.get(name)
    for part in (slice(0, 25), slice(25, 40)):
        weight = None if weights is None else weights[part]
        theirs.update_state(np.array(y_true[part], np.float32), y_pred[part], sample_weight=weight)
        ours.update(y_true[part], y_pred[part], weight)
    assert ours.result() == pytest.approx(float(theirs.result()), abs=1e-6)


def test_accuracy_is_above_a_half_strictly():
    metric = metrics.get("binary_accuracy")
    assert value(metric, ([1, 0], [[0.5], [0.5]])) == 0.5
    assert value(metric, ([1, 0], [[0.500001], [0.4]])) == 1


def test_a_fraction_of_a_target_counts_as_the_nearer_class():
    metric = metrics.get("binary_accuracy")
    metric.update_state(np.array([0.3, 0.7, 0.5, 0.9]), np.array([0.2, 0.6, 0.4, 0.1]))
    assert metric.result() == 0.75


def test_mean_is_over_samples_not_batches():
    metric = metrics.get("accuracy")
    assert value(metric, ([1, 1, 1], [[1], [1], [1]]), ([1], [[0]])) == 0.75
    metric.reset()
    assert metric.result() == 0


@pytest.mark.parametrize(
    ("y_true", "y_pred", "expected"),
    [
        ([[1, 0], [0, 0]], [[0.9, 0.8], [0.1, 0.2]], 0.5),
        ([[1, 0], [0, 1]], [[0.9, 0.8], [0.3, 0.2]], 0.5),
        ([0, 1], [[0.9, 0.8], [0.3, 0.2]], 0.5),
        ([[0], [1]], [[0.9, 0.8], [0.3, 0.2]], 0.5),
        ([1, 0], [[0.9], [0.8]], 0.5),
    ],
)
@pytest.mark.parametrize("name", ["acc", "accuracy"])
def test_accuracy_follows_the_shapes(name, y_true, y_pred, expected):
    metric = metrics.get(name)
    assert metric.name == name
    assert metric.result() == 0
    assert value(metric, (np.array(y_true), np.array(y_pred))) == expected


SHAPES = [
    ((6,), (6, 1)),
    ((6, 1), (6, 1)),
    ((6,), (6, 3)),
    ((6, 1), (6, 3)),
    ((6, 3), (6, 3)),
    ((6, 2), (6, 2)),
    ((6, 4), (6, 4, 1)),
    ((6, 4, 1), (6, 4, 1)),
    ((6, 4), (6, 4, 3)),
    ((6, 4, 1), (6, 4, 3)),
    ((6, 4, 3), (6, 4, 3)),
    ((6, 2, 4, 1), (6, 2, 4, 1)),
    ((6, 2, 4), (6, 2, 4, 5)),
    ((6, 2, 4, 5), (6, 2, 4, 5)),
]


@keras_test
@pytest.mark.parametrize("name", ["accuracy", "acc"])
@pytest.mark.parametrize(("target", "prediction"), SHAPES)
def test_accuracy_of_every_shape_is_that_of_keras(name, target, prediction):
    import_keras()
    from keras.src.trainers import compile_utils

    rng = np.random.default_rng(len(target) * 10 + prediction[-1])
    classes = max(2, prediction[-1] if target[-1] != prediction[-1] else 2)
    y_true = rng.integers(0, classes, target).astype(np.float32)
    y_pred = rng.random(prediction, np.float32)
    theirs = compile_utils.get_metric(name, y_true, y_pred)
    theirs.update_state(y_true, y_pred)
    assert value(metrics.get(name), (y_true, y_pred)) == pytest.approx(float(theirs.result()))


@keras_test
@pytest.mark.parametrize(
    ("loss", "outputs", "y"),
    [
        ("binary_crossentropy", 3, np.eye(3)[np.arange(12) % 3]),
        ("binary_crossentropy", 3, np.random.default_rng(3).integers(0, 2, (12, 3))),
        ("binary_crossentropy", 1, np.arange(12) % 2),
        ("mean_squared_error", 3, np.eye(3)[np.arange(12) % 3]),
        ("sparse_categorical_crossentropy", 3, np.arange(12) % 3),
    ],
)
def test_a_models_accuracy_is_that_of_keras(loss, outputs, y):
    keras = import_keras()
    x = np.random.default_rng(2).random((12, 4), np.float32)
    activation = "softmax" if "categorical" in loss else "sigmoid"
    theirs = keras.Sequential([keras.Input((4,)), keras.layers.Dense(outputs, activation)])
    ours = Sequential([layers.Dense(outputs, activation=activation, input_shape=(4,))])
    ours.set_weights([np.asarray(w) for w in theirs.get_weights()])
    names = ["accuracy", "binary_accuracy"] if "binary" in loss else ["accuracy"]
    for model in (ours, theirs):
        model.compile("sgd", loss, metrics=names)
    expected = theirs.evaluate(x, y, verbose=0, return_dict=True)
    assert ours.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-5)


def test_accuracy_takes_its_kind_anew_after_a_reset():
    metric = metrics.get("accuracy")
    metric.update([1, 0], np.array([[0.9], [0.8]]))
    assert value(metric, ([1, 0], np.array([[0.1, 0.9], [0.8, 0.1]]))) == 1


@pytest.mark.parametrize(
    ("name", "larger"),
    [
        ("accuracy", True), ("acc", True), ("auc", True), ("binary_accuracy", True),
        ("sparse_categorical_accuracy", True), ("precision", True), ("recall", True),
        ("f1_score", True), ("loss", False), ("mse", False), ("mae", False),
        ("binary_crossentropy", False), ("iou", None), ("accumulated_loss", None),
        ("accuracy_gap", None), ("my_f1_loss", None), ("learning_rate", None),
    ],
)  # fmt: skip
def test_directions_are_known_of_whole_names_alone(name, larger):
    assert metrics.larger_is_better(name) is larger


def test_directions_of_metrics():
    assert metrics.get("accuracy").larger_is_better is metrics.AUC.larger_is_better is True
    assert metrics.Metric().larger_is_better is None


def test_reprs_say_what_a_metric_is():
    assert repr(metrics.AUC(50, name="area")) == "AUC(num_thresholds=50, name='area')"
    assert repr(metrics.BinaryAccuracy()) == "BinaryAccuracy()"


def test_auc():
    metric = metrics.get("auc")
    assert metric.result() == 0
    assert value(metric, ([0, 0, 1, 1], [[0.1], [0.2], [0.8], [0.9]])) == 1
    assert value(metric, ([0, 0, 1, 1], [[0], [0.5], [0.3], [0.9]])) == 0.75
    assert value(metric, ([1, 1], [[0.2], [0.3]])) == 0
    assert np.isnan(value(metric, ([1, 0], [[np.nan], [0.3]])))


class TestGet:
    @pytest.mark.parametrize(
        ("identifier", "expected", "name"),
        [
            ("binary_accuracy", metrics.BinaryAccuracy, "binary_accuracy"),
            ("CategoricalAccuracy", metrics.CategoricalAccuracy, "CategoricalAccuracy"),
            ("auc", metrics.AUC, "auc"),
            ("AUC", metrics.AUC, "AUC"),
            (metrics.AUC, metrics.AUC, "auc"),
        ],
    )
    def test_spellings(self, identifier, expected, name):
        metric = metrics.get(identifier)
        assert type(metric) is expected
        assert metric.name == name

    @pytest.mark.parametrize(
        "metric",
        [metrics.BinaryAccuracy(threshold=0.3), metrics.AUC(50, name="area"), metrics.get("acc")],
        ids=lambda metric: metric.name,
    )
    def test_config_fits_json(self, metric):
        made = metrics.get(json.loads(json.dumps(metrics.serialize(metric))))
        assert type(made) is type(metric)
        assert made.get_config() == metric.get_config()

    def test_mistakes(self):
        with pytest.raises(ValueError, match="unknown metric 'f1'; known are accuracy, binary"):
            metrics.get("f1")
        with pytest.raises(TypeError, match="3 is no metric"):
            metrics.get(3)


@pytest.mark.parametrize(
    "name", ["binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy", "auc"]
)
def test_shapes_that_do_not_fit(name):
    with pytest.raises(ValueError, match=rf"{name}: .*\(7, 2\).*\(40, 5\)"):
        metrics.get(name).update(np.zeros((7, 2)), SCORES)
    with pytest.raises(ValueError, match="num_thresholds is 1"):
        metrics.AUC(1)


def test_options_may_be_assigned_where_they_can_take_effect():
    accuracy = metrics.BinaryAccuracy()
    accuracy.threshold = 0.9
    accuracy.update(np.array([[1], [0]]), np.array([[0.8], [0.8]]))
    assert accuracy.result() == 0.5
    with pytest.raises(TypeError, match="BinaryAccuracy: threshold is 'high'"):
        accuracy.threshold = "high"
    with pytest.raises(AttributeError, match=r"num_thresholds cannot be set.*AUC\(num_thresholds="):
        metrics.AUC().num_thresholds = 10
