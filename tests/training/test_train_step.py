"""One batch at a time: compile's arguments, and checks that come before a step."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from keras_reference import import_keras, keras_test
from small_models import convnet, photos

import fastconv
from fastconv import layers, losses, metrics
from fastconv.models import Model, Sequential
from fastconv.training import labels as training_labels

X, Y = photos(12)


@pytest.mark.parametrize(
    "arguments",
    [
        {"run_eagerly": True, "jit_compile": False},
        {"steps_per_execution": 4, "auto_scale_loss": False},
        {"loss_weights": None, "weighted_metrics": None},
        {"loss_weights": 1, "weighted_metrics": []},
        {"loss_weights": [1.0]},
        {"loss_weights": {"dense": 1.0}},
    ],
)
def test_keras_arguments_that_change_nothing_are_taken(arguments):
    model = convnet()
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"], **arguments)
    assert model.compiled


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"loss_weights": [0.5, 1]}, ValueError, "compile: loss_weights has 2 entries; .* be one"),
        ({"loss_weights": [float("nan")]}, ValueError, "loss_weights is nan; .* finite number"),
        ({"loss_weights": ["acc"]}, TypeError, "loss_weights is 'acc'; .* given as metrics="),
        ({"metrics": [["acc"], ["auc"]]}, ValueError, "metrics is .*; it must be a list: the"),
        ({"metrics": 3}, TypeError, "3 is no metric"),
        ({"metrics": [metrics.AUC(name="loss")]}, ValueError, "a metric is named 'loss'"),
        ({"run_eager": True}, TypeError, r"Model\.compile\(\) got an unexpected .*'run_eager'"),
    ],
)
def test_what_would_change_something_is_refused(arguments, error, text):
    model = convnet()
    before = vars(model).copy(), vars(model._train_step).copy()
    with pytest.raises(error, match=text):
        model.compile("sgd", "binary_crossentropy", **arguments)
    assert (vars(model), vars(model._train_step)) == before


@pytest.mark.parametrize(
    "method",
    ["compile", "fit", "fit_generator", "evaluate", "predict", "train_on_batch", "test_on_batch",
     "predict_on_batch"],
)  # fmt: skip
def test_an_unknown_argument_names_the_call_that_was_made(method):
    for arguments in ({"x": X, "workerz": 2}, {}):
        if not arguments and method in ("compile", "fit", "evaluate"):
            continue
        with pytest.raises(TypeError, match=rf"^Model\.{method}\(\) (got|missing)"):
            getattr(convnet(), method)(**arguments)


def test_one_metric_needs_no_list():
    model = convnet()
    for metric in ("acc", metrics.AUC(name="acc"), metrics.AUC):
        model.compile("sgd", "binary_crossentropy", metrics=metric)
        assert model.metrics_names[1:] in (["acc"], ["auc"])


def test_metrics_of_one_name_are_numbered_as_in_keras():
    model = convnet(metrics=[metrics.AUC(), metrics.AUC(20), "auc"])
    assert model.metrics_names == ["loss", "auc", "auc_1", "auc_2"]
    assert len(model.evaluate(X, Y, verbose=0)) == 4


def test_losses_of_outputs_are_to_be_small():
    model = convnet(metrics=["auc"])
    assert model.larger_is_better("mask_loss") is None
    model.layers[-1].name = "mask"
    assert model.larger_is_better("mask_loss") is False
    assert model.larger_is_better("auc") is model.larger_is_better("acc") is True


# Metrics that do not fit


class Picky(metrics.MeanMetric):
    """Takes targets of the predictions' very shape."""

    def values(self, y_true, y_pred):
        if y_true.shape != y_pred.shape:
            raise ValueError(f"targets of shape {y_true.shape}")
        return y_true == y_pred


class Lists(metrics.MeanMetric):
    """Has a result that is no number."""

    def values(self, y_true, y_pred):
        return y_pred

    def result(self):
        return [1, 2]


class Changing:
    """Batches of which the second has targets of another shape, which the loss accepts."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return X, (Y if index else Y[:, None])


@pytest.mark.parametrize("metric", [Picky(), Lists(), metrics.CategoricalAccuracy()])
@pytest.mark.parametrize("method", ["fit", "train_on_batch", "evaluate", "test_on_batch"])
def test_a_metric_that_does_not_fit_is_found_before_a_step(metric, method):
    model = convnet(metrics=[metric])
    weights = model.get_weights()
    with pytest.raises((ValueError, TypeError), match=rf"Sequential '.*': {method}: "):
        getattr(model, method)(X, Y)
    assert all(map(np.array_equal, weights, model.get_weights()))
    assert model.optimizer.iterations == 0


def test_a_metric_that_does_not_fit_the_validation_is_found_before_a_step():
    model = convnet(metrics=[Picky()])
    with pytest.raises(ValueError, match="fit: validation_data: targets of shape"):
        model.fit(X, Y[:, None], validation_data=(X, Y), verbose=0)
    assert model.optimizer.iterations == 0


def test_a_later_batch_that_does_not_fit_a_metric_changes_nothing():
    model = convnet(metrics=[Picky()])
    after_the_first = []
    step = model.train_step
    model.train_step = lambda batch: (step(batch), after_the_first.append(model.get_weights()))[0]
    with pytest.raises(ValueError, match="the iterator's batch: targets of shape"):
        model.fit(Changing(), verbose=0)
    assert len(after_the_first) == 1
    assert all(map(np.array_equal, after_the_first[0], model.get_weights()))


def test_trying_metrics_leaves_them_untouched():
    auc = metrics.AUC()
    model = convnet(metrics=[auc])
    model.train_on_batch(X, Y)
    assert auc._counts is None


# Labels


def test_the_check_of_labels_takes_little_memory():
    model = Sequential([layers.Conv2D(1, 1, activation="sigmoid", input_shape=(64, 64, 1))])
    model.compile("sgd", "binary_crossentropy")
    y = np.zeros((500, 64, 64, 1), np.float32)
    tracemalloc.start()
    try:
        model._train_step.check_labels(y, None, "fit")
        model._train_step.check_labels(y, np.ones(500), "fit")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A few float64 copies of the 65,536 values that are checked at a time; y itself has 8 MB.
    assert peak < y.nbytes / 2


def test_rows_larger_than_the_bound_are_checked_one_by_one(monkeypatch):
    monkeypatch.setattr(training_labels, "_VALUES_CHECKED", 10)
    model = Sequential([layers.Conv2D(1, 1, activation="sigmoid", input_shape=(4, 4, 1))])
    model.compile("sgd", "binary_crossentropy")
    y = np.zeros((5, 4, 4, 1))
    y[4, 3, 3] = 2
    with pytest.raises(ValueError, match="the targets run from 0 to 2"):
        model._train_step.check_labels(y, None, "fit")
    y[4, 3, 3] = np.nan
    with pytest.raises(ValueError, match="y is no number in row 4"):
        model._train_step.check_labels(y, None, "fit")


def test_reprs_say_what_a_loss_is():
    assert repr(losses.BinaryCrossentropy()) == "BinaryCrossentropy()"
    assert repr(losses.BinaryCrossentropy(label_smoothing=0.1)) == (
        "BinaryCrossentropy(label_smoothing=0.1)"
    )


@pytest.mark.parametrize(
    ("loss", "metric"),
    [
        ("mse", "mae"),
        ("sparse_categorical_crossentropy", "accuracy"),
        ("categorical_crossentropy", "accuracy"),
    ],
)
def test_images_of_any_size_are_trained_on(loss, metric):
    """Sizes that the data tell: those of the output are taken from the targets beforehand."""
    x = layers.Input((None, None, 2))
    y = layers.MaxPooling2D(2)(layers.Conv2D(4, 3, padding="same", activation="relu")(x))
    y = layers.UpSampling2D()(layers.BatchNormalization()(layers.Conv2D(4, 1)(y)))
    y = layers.Dense(3, activation=None if loss == "mse" else "softmax")(y)
    model = Model(x, y)
    model.compile("sgd", loss, metrics=[metric])
    rng = np.random.default_rng(0)
    for size in (6, 10):
        images = rng.normal(size=(4, size, size + 2, 2))
        classes = rng.integers(0, 3, (4, size, size + 2))
        targets = classes if loss.startswith("sparse") else np.eye(3)[classes]
        first, *_ = model.train_on_batch(images, targets)
        model.fit(images, targets, batch_size=2, epochs=3, verbose=0)
        assert model.evaluate(images, targets, verbose=0)[0] < first
    with pytest.raises(ValueError, match="shape"):
        model.train_on_batch(images, targets[:, 1:])


@keras_test
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize(
    ("loss", "chosen", "weighted"),
    [
        ("mse", None, None),
        (["mse", "mae"], [["mae"], ["mse"]], [["mse"], ["mae"]]),
        ({"p2": "mse", "p1": "mae"}, {"p1": ["mae", "mse"]}, None),
        (["mse", None], [["mae"], ["mae"]], None),
        (["mse", "mae"], [None, ["mae"]], {"p2": "mae"}),
        (["mse", "mae"], [["mae", "mae"], []], [["mae"], ["mae"]]),
    ],
)
def test_logs_of_several_outputs_are_those_of_keras(loss, chosen, weighted):
    keras = import_keras()
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(4, 5)).astype(np.float32), rng.uniform(0.5, 2, 4)
    y = [rng.normal(size=(4, 2)).astype(np.float32), rng.normal(size=(4, 1)).astype(np.float32)]
    found = []
    for kind, model in ((keras.layers, keras.Model), (layers, Model)):
        given = kind.Input((5,))
        first, second = (kind.Dense(n, name=f"p{n}", kernel_initializer="ones") for n in (2, 1))
        made = model(given, [first(given), second(given)])
        made.compile("sgd", loss, metrics=chosen, weighted_metrics=weighted)
        data = (x, y, [weight, weight])
        made.fit(*data[:2], sample_weight=data[2], validation_data=data, verbose=0)
        found.append({name: values[0] for name, values in made.history.history.items()})
    assert found[1] == pytest.approx(found[0], rel=1e-5)


@keras_test
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("regularizer", [None, "l2"])
def test_weights_that_no_loss_depends_on_are_left_alone_as_in_keras(regularizer):
    keras = import_keras()
    x, y = np.ones((4, 5), np.float32), np.zeros((4, 2), np.float32)
    found = []
    for kind, model, optimizers in (
        (keras.layers, keras.Model, keras.optimizers),
        (layers, Model, fastconv.optimizers),
    ):
        given = kind.Input((5,))
        options = {"kernel_initializer": "ones", "kernel_regularizer": regularizer}
        made = model(given, [kind.Dense(2, **options)(given), kind.Dense(2, **options)(given)])
        made.compile(optimizers.SGD(0.1, momentum=0.9, weight_decay=0.1), ["mse", None])
        for _ in range(3):
            made.train_on_batch(x, [y, y])
        found.append(made.get_weights())
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert (found[1][2] == 1).all() == (regularizer is None)


class Watching(Sequential):
    """A user's model that measures part of the batch before it learns from it."""

    def train_step(self, batch):
        self.before = self.test_on_batch(batch.x[:2], batch.y[:2])
        return super().train_step(batch)


def test_a_step_that_measures_another_batch_has_averages_of_its_own():
    logs = []
    for kind in (Sequential, Watching):
        fastconv.utils.set_random_seed(4)
        model = kind([layers.Dense(1, activation="sigmoid", input_shape=(3,))])
        model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
        x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
        logs.append([model.train_on_batch(x[n:], np.arange(8 - n) % 2) for n in range(3)])
    assert logs[0] == logs[1]
