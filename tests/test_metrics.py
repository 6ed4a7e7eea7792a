import json

import numpy as np
import pytest
from keras_reference import import_keras, keras_test

from fastconv import losses, metrics

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


def test_mean_is_over_samples_not_batches():
    metric = metrics.get("accuracy")
    assert value(metric, ([1, 1, 1], [[1], [1], [1]]), ([1], [[0]])) == 0.75
    metric.reset()
    assert metric.result() == 0


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred", "expected"),
    [
        ("binary_crossentropy", [[1, 0], [0, 0]], [[0.9, 0.8], [0.1, 0.2]], 0.75),
        ("categorical_crossentropy", [[1, 0], [0, 1]], [[0.9, 0.8], [0.3, 0.2]], 0.5),
        ("sparse_categorical_crossentropy", [0, 1], [[0.9, 0.8], [0.3, 0.2]], 0.5),
        ("mean_squared_error", [1, 0], [[0.9], [0.8]], 0.5),
        ("mean_squared_error", [0, 1], [[0.9, 0.8], [0.3, 0.2]], 0.5),
        ("mean_squared_error", [[1, 0], [0, 1]], [[0.9, 0.8], [0.3, 0.2]], 0.5),
    ],
)
@pytest.mark.parametrize("name", ["acc", "accuracy"])
def test_accuracy_follows_the_loss_then_the_shapes(name, loss, y_true, y_pred, expected):
    metric = metrics.get(name, losses.get(loss))
    assert metric.name == name
    assert metric.result() == 0
    assert value(metric, (np.array(y_true), np.array(y_pred))) == expected


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
