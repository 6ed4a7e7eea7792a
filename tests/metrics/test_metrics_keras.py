"""Every metric beside Keras 3, over two batches: weights, outputs of any rank, edge cases."""

import json
import warnings

import numpy as np
import pytest
from keras_reference import import_keras, keras_test

from fastconv import losses, metrics

PAIRS, MASKS, ROWS = (40, 5), (6, 4, 5, 1), (12, 4, 5)
ANY = (PAIRS, (40, 1), ROWS, MASKS)
CLASSES = (PAIRS, ROWS)
FLAT = (PAIRS, (40, 1))


def cases():
    """Yield class, configuration, kinds of targets and of predictions, shapes."""
    for name in ("Precision", "Recall"):
        for config in ({"top_k": 2}, {"class_id": 3}, {"class_id": 1, "top_k": 2}):
            yield name, config, "bit", "probability", (PAIRS,)
    counts = ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")
    for name in ("Precision", "Recall", *counts):
        for config in ({}, {"thresholds": 0.3}, {"thresholds": [0.7, 0.1, 0.4]}):
            yield name, config, "bit", "probability", ANY
    for curve in ("ROC", "PR", "PRGAIN"):
        for method in ("interpolation", "majoring", "minoring"):
            config = {"curve": curve, "summation_method": method}
            yield "AUC", {"num_thresholds": 37, **config}, "bit", "probability", ANY
            yield "AUC", {"multi_label": True, **config}, "bit", "probability", FLAT
    weights = [1.0, 2.0, 0.5, 0.0, 1.0]
    for config in ({}, {"thresholds": [0.1, 0.15, 0.6]}):
        yield "AUC", config, "bit", "probability", ANY
    yield "AUC", {"from_logits": True}, "bit", "number", ANY
    yield "AUC", {"label_weights": weights}, "bit", "probability", (PAIRS,)
    config = {"label_weights": weights, "multi_label": True, "num_labels": 5}
    yield "AUC", config, "bit", "probability", (PAIRS,)
    for average in (None, "micro", "macro", "weighted"):
        for threshold in (None, 0.4):
            config = {"average": average, "threshold": threshold}
            yield "F1Score", config, "bit", "probability", FLAT
            yield "FBetaScore", {"beta": 2.0, **config}, "bit", "probability", FLAT
    for aggregation in (None, "uniform_average", "variance_weighted_average"):
        for number in (0, 3):
            config = {"class_aggregation": aggregation, "num_regressors": number}
            yield "R2Score", config, "number", "number", FLAT
    yield from mean_cases()


def mean_cases():
    """Yield the same of means over samples, and of the trade-offs."""
    yield "Accuracy", {}, "bit", "bit", ANY
    for config in ({}, {"threshold": 0.3}):
        yield "BinaryAccuracy", config, "bit", "probability", ANY
    yield "CategoricalAccuracy", {}, "one-hot", "probability", CLASSES
    yield "SparseCategoricalAccuracy", {}, "class", "probability", CLASSES
    for k in (1, 2, 4):
        yield "TopKCategoricalAccuracy", {"k": k}, "one-hot", "probability", CLASSES
        yield "SparseTopKCategoricalAccuracy", {"k": k}, "class", "probability", CLASSES
    for name in (
        "MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "LogCoshError",
        "RootMeanSquaredError", "CosineSimilarity", "Hinge", "SquaredHinge",
    ):  # fmt: skip
        yield name, {}, "number", "number", ANY
    yield "MeanSquaredLogarithmicError", {}, "probability", "number", ANY
    yield "Poisson", {}, "probability", "probability", ANY
    yield "KLDivergence", {}, "probability", "probability", ANY
    yield "BinaryCrossentropy", {}, "bit", "probability", ANY
    config = {"from_logits": True, "label_smoothing": 0.1}
    yield "BinaryCrossentropy", config, "bit", "number", ANY
    yield "CategoricalCrossentropy", {}, "one-hot", "probability", CLASSES
    yield "CategoricalCrossentropy", config, "one-hot", "number", CLASSES
    yield "CategoricalHinge", {}, "one-hot", "number", CLASSES
    yield "SparseCategoricalCrossentropy", {}, "class", "probability", CLASSES
    for name, asked in (
        ("SensitivityAtSpecificity", "specificity"),
        ("SpecificityAtSensitivity", "sensitivity"),
        ("PrecisionAtRecall", "recall"),
        ("RecallAtPrecision", "precision"),
    ):
        yield name, {asked: 0.6}, "bit", "probability", ANY
        config = {asked: 0.6, "num_thresholds": 7, "class_id": 2}
        yield name, config, "bit", "probability", (PAIRS,)
        yield name, {asked: 0.4, "num_thresholds": 1}, "bit", "probability", FLAT


def iou_cases():
    yield "BinaryIoU", {}, "bit", "probability", ANY
    yield "BinaryIoU", {"target_class_ids": [1], "threshold": 0.3}, "bit", "probability", ANY
    yield "MeanIoU", {"num_classes": 5}, "class", "class", CLASSES
    config = {"num_classes": 5, "sparse_y_pred": False, "ignore_class": 2}
    yield "MeanIoU", config, "class", "probability", CLASSES
    yield "OneHotMeanIoU", {"num_classes": 5}, "one-hot", "probability", CLASSES
    config = {"num_classes": 5, "target_class_ids": [0, 3]}
    yield "OneHotIoU", config, "one-hot", "probability", CLASSES
    yield "IoU", {"num_classes": 4, "target_class_ids": [0, 2]}, "class", "class", CLASSES


CASES = [(*case[:4], shape) for case in cases() for shape in case[4]]
IOU_CASES = [(*case[:4], shape) for case in iou_cases() for shape in case[4]]
CONFIGURATIONS = [case[:4] for case in (*cases(), *iou_cases())]


def drawn(kind, shape, seed=0):
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, shape[-1], shape[:-1])
    return {
        "number": lambda: rng.normal(size=shape).astype(np.float32),
        "probability": lambda: rng.uniform(0.02, 1, shape).astype(np.float32),
        "bit": lambda: (rng.random(shape) < 0.5).astype(np.float32),
        "one-hot": lambda: np.eye(shape[-1], dtype=np.float32)[classes],
        "class": lambda: classes,
    }[kind]()


def sample_weights(name, shape):
    """Yield weights that Keras takes: of samples, of each value, and zeros."""
    rng, rows = np.random.default_rng(5), len(shape) == 2
    full = rng.random(shape if shape[-1] == 1 or rows else shape[:-1]).astype(np.float32)
    flat = name.startswith(("Precision", "Recall", "True", "False", "AUC", "Sens", "Spec"))
    yield None
    if rows or not flat:
        yield rng.random(shape[0]).astype(np.float32)
        yield np.zeros(shape[0], np.float32)
    if not rows and not flat:
        yield full


@keras_test
@pytest.mark.parametrize(("name", "config", "targets", "predictions", "shape"), CASES, ids=str)
def test_over_two_batches_as_in_keras(name, config, targets, predictions, shape):
    import_keras()
    y_true, y_pred = drawn(targets, shape), drawn(predictions, shape, 1)
    for weights in sample_weights(name, shape):
        compare(name, config, y_true, y_pred, weights)


@keras_test
@pytest.mark.parametrize(("name", "config", "targets", "predictions", "shape"), IOU_CASES, ids=str)
def test_iou_over_two_batches_as_in_keras(name, config, targets, predictions, shape):
    """In float32: Keras's default, whole numbers, cuts the fractions off weights."""
    import_keras()
    y_true, y_pred = drawn(targets, shape), drawn(predictions, shape, 1)
    by_class = shape if name == "BinaryIoU" else shape[:-1]
    weights = np.random.default_rng(4).random(by_class).astype(np.float32)
    for given in (None, weights, weights * 0):
        compare(name, {**config, "dtype": "float32"}, y_true, y_pred, given)


def compare(name, config, y_true, y_pred, weights):
    keras = import_keras()
    theirs = getattr(keras.metrics, name)(**config)
    ours = getattr(metrics, name)(**config)
    cut = len(y_pred) * 2 // 3
    for part in (slice(0, cut), slice(cut, None)):
        weight = None if weights is None else weights[part]
        ours.update_state(y_true[part], y_pred[part], weight)
        theirs.update_state(y_true[part], y_pred[part], weight)
    expected = theirs.result()
    expected = expected.numpy() if hasattr(expected, "numpy") else np.asarray(expected)
    result = ours.result()
    assert np.shape(result) == np.shape(expected)
    np.testing.assert_allclose(result, expected, rtol=2e-4, atol=1e-5, equal_nan=True)
    assert set(ours.get_config()) == set(theirs.get_config())


@pytest.mark.parametrize(("name", "config", "targets", "predictions"), CONFIGURATIONS, ids=str)
def test_configurations_come_back_and_resets_forget(name, config, targets, predictions):
    metric = getattr(metrics, name)(name="mine", **config)
    made = metrics.deserialize(json.loads(json.dumps(metrics.serialize(metric))))
    assert type(made) is type(metric) and made.get_config() == metric.get_config()
    y_true, y_pred = drawn(targets, PAIRS), drawn(predictions, PAIRS, 1)
    first = metric(y_true, y_pred)
    metric.update_state(y_true[::-1], y_pred)
    metric.reset_state()
    np.testing.assert_array_equal(metric(y_true, y_pred), first)
    np.testing.assert_array_equal(made(y_true, y_pred), first)


@pytest.mark.parametrize(("name", "config", "targets", "predictions"), CONFIGURATIONS, ids=str)
def test_no_rows_change_nothing(name, config, targets, predictions):
    metric = getattr(metrics, name)(**config)
    y_true, y_pred = drawn(targets, PAIRS), drawn(predictions, PAIRS, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # too few values to adjust a score
        before = metric.result()
        assert np.all(np.isfinite(before))
        first = metric(y_true, y_pred)
        metric.update_state(y_true[:0], y_pred[:0])
    np.testing.assert_array_equal(metric.result(), first)


@pytest.mark.parametrize("targets", [0, 1])
@pytest.mark.parametrize(
    ("name", "ones", "zeros"),
    [("AUC", 0, 0), ("Precision", 1, 0), ("Recall", 0.5, 0), ("BinaryAccuracy", 0.5, 0.5)],
)
def test_all_of_one_class(name, ones, zeros, targets):
    y_true, y_pred = np.full((4, 1), targets), np.array([[0.1], [0.2], [0.8], [0.9]])
    assert metrics.get(name)(y_true, y_pred) == (ones if targets else zeros)


@pytest.mark.parametrize(
    "name", ["AUC", "mse", "mae", "binary_crossentropy", "RootMeanSquaredError", "r2_score"]
)
def test_a_nan_is_not_hidden(name):
    metric = metrics.get(name)
    metric.update_state([[0], [1]], np.array([[0.1], [np.nan]], np.float32))
    metric.update_state([[0], [1]], np.array([[0.1], [0.8]], np.float32))
    assert np.isnan(metric.result())


def test_a_nan_is_above_no_threshold():
    metric = metrics.FalseNegatives(thresholds=[0.0, 0.5])
    metric.update_state([1, 1], np.array([np.nan, 0.7], np.float32))
    np.testing.assert_array_equal(metric.result(), [1, 1])


def test_top_k_counts_ties_and_takes_any_k():
    y_pred = np.array([[0.3, 0.3, 0.3, 0.1], [0.1, np.nan, 0.2, 0.3]])
    metric = metrics.SparseTopKCategoricalAccuracy(k=1)
    np.testing.assert_array_equal(metric.values(np.array([1, 3]), y_pred), [True, False])
    np.testing.assert_array_equal(metric.values(np.array([9, -1]), y_pred), [False, False])
    assert metrics.TopKCategoricalAccuracy(k=9)(np.eye(4)[[0, 2]], y_pred) == 1
    assert metrics.SparseTopKCategoricalAccuracy(2, from_sorted_ids=True)(
        [3, 1], [[1, 3, 0], [2, 0, 1]]
    ) == 0.5  # fmt: skip


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: metrics.Precision(thresholds=1.5), "thresholds is 1.5; it must be from 0 to 1"),
        (lambda: metrics.Precision(thresholds=[]), r"thresholds is \[\]; it must be a number"),
        (lambda: metrics.Recall(top_k=0), "top_k is 0"),
        (lambda: metrics.Recall(class_id=7)([[1, 0]], [[1, 0]]), "class_id is 7; the predictions"),
        (lambda: metrics.AUC(curve="roc curve"), "curve is 'roc curve'; it must be 'ROC'"),
        (lambda: metrics.AUC(num_labels=3), "num_labels is 3; it must be left out"),
        (
            lambda: metrics.AUC(multi_label=True, num_labels=3)([[1, 0]], [[1, 0]]),
            "num_labels is 3; the predictions have shape",
        ),
        (lambda: metrics.AUC(label_weights=[1])([[1, 0]], [[1, 0]]), "label_weights has 1"),
        (lambda: metrics.F1Score(average="mean"), "average is 'mean'; it must be 'micro'"),
        (lambda: metrics.F1Score(threshold=0.0), "threshold is 0.0; it must be above 0"),
        (lambda: metrics.F1Score()([1, 0], [1, 0]), r"they must be \(batch, ..., classes\)"),
        (lambda: metrics.IoU(2, [2]), r"target_class_ids is \[2\]; it must be below num_classes"),
        (lambda: metrics.MeanIoU(10**6), "num_classes is 1000000; it must be at most"),
        (lambda: metrics.MeanIoU(2)([1, 0], [0.3, 0.9]), "are not class numbers; give sparse_y_p"),
        (lambda: metrics.MeanIoU(2)([1, 0, 1], [0, 1]), r"targets have shape \(3,\)"),
        (lambda: metrics.R2Score(num_regressors=-1), "num_regressors is -1"),
        (lambda: metrics.get("mean_io_u"), r"'mean_io_u' cannot be made .*; give an object, Mean"),
        (lambda: metrics.BinaryAccuracy(dtype=3.5), "dtype is 3.5"),
    ],
)
def test_mistakes(make, text):
    with pytest.raises((ValueError, TypeError), match=text):
        make()


@keras_test
def test_what_is_ignored_does_not_count():
    y_true, y_pred = drawn("class", PAIRS), drawn("probability", PAIRS, 1)
    config = {"ignore_class": 1}
    for weights in (np.ones(40), np.random.default_rng(0).random(40)):
        compare("SparseCategoricalCrossentropy", config, y_true, y_pred, weights)
    metric = metrics.SparseCategoricalCrossentropy(**config)
    loss = losses.SparseCategoricalCrossentropy(**config)
    assert metric(y_true, y_pred) == pytest.approx(loss(y_true, y_pred))


@keras_test
def test_every_name_of_keras_is_known():
    import_keras()
    from keras.src.metrics import ALL_OBJECTS_DICT

    missing = {"Metric", "metric", "ConcordanceCorrelation", "concordance_correlation"}
    missing |= {"PearsonCorrelation", "pearson_correlation"}
    for name, theirs in ALL_OBJECTS_DICT.items():
        if name not in missing:
            ours = getattr(metrics, theirs.__name__)
            assert metrics._registry.find_class(name) is ours
            assert ours.larger_is_better == {"up": True, "down": False}.get(
                _direction(theirs), ours.larger_is_better
            )


def _direction(theirs):
    try:
        return getattr(theirs(), "_direction", None)
    except (TypeError, ValueError):
        return None
