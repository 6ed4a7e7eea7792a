"""Metrics of one's own: classes, their variables, functions; how results reach the logs."""

import copy
import json
import pickle

import numpy as np
import pytest

from fastconv import layers, losses, metrics, utils
from fastconv.models import Sequential, load_model

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(10, 3)).astype(np.float32), (np.arange(10) % 2)[:, None]


class Positives(metrics.Metric):
    """As Keras's guide has it."""

    def __init__(self, name="positives", **kwargs):
        super().__init__(name=name, **kwargs)
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")
        self.seen = self.add_weight(name="seen", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = (np.asarray(y_pred) > 0.5).astype(np.float32)
        if sample_weight is not None:
            values = values * np.reshape(sample_weight, (-1, 1))
        self.count.assign(self.count + values.sum())
        self.seen.assign_add(len(values))

    def result(self):
        return self.count / self.seen if self.seen else 0.0


def model_with(chosen, outputs=1, loss="binary_crossentropy"):
    model = Sequential([layers.Dense(outputs, activation="sigmoid", input_shape=(3,))])
    model.compile("sgd", loss, metrics=chosen)
    return model


def test_variables_are_arrays_of_float64():
    holder = Positives()
    both = holder.add_variable((2,), "ones", dtype="int32")
    assert (both.shape, both.dtype, len(both), both[1]) == ((2,), np.float64, 2, 1)
    np.testing.assert_array_equal(both.assign([1, 2]) + 1, [2, 3])
    np.testing.assert_array_equal(np.sqrt(both * both), [1, 2])
    both += 1
    assert isinstance(both, metrics.Variable)
    both.assign_sub([0, 1])
    np.testing.assert_array_equal(np.asarray(both), [2, 2])
    np.testing.assert_array_equal(both.numpy(), both.value)
    given = np.zeros(2)
    both.assign(given)
    given[0] = 7
    assert both[0] == 0
    with pytest.raises(ValueError, match=r"the value has shape \(3,\); it must be \(2,\)"):
        both.assign(np.zeros(3))
    assert holder.variables == [holder.count, holder.seen, both] or len(holder.variables) == 3
    holder.count.assign(3)
    assert float(holder.count) == 3 and repr(holder.count).startswith("Variable(name='count'")
    holder.reset_state()
    assert not holder.count


def test_a_class_of_ones_own():
    metric = Positives()
    assert metric([0, 1], np.array([[0.2], [0.7]])) == 0.5
    metric.update_state([0, 1], np.array([[0.9], [0.7]]), [1, 0.5])
    assert metric.result() == pytest.approx(2.5 / 4)
    for made in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        made.reset_state()
        assert made.result() == 0 and metric.result() > 0
    model = model_with([Positives()])
    logs = model.evaluate(X, Y, batch_size=3, verbose=0, return_dict=True)
    assert logs["positives"] == pytest.approx((model.predict(X, verbose=0) > 0.5).mean())


def test_a_class_that_keeps_numbers_of_its_own():
    class Largest(metrics.Metric):
        larger_is_better = True

        def __init__(self):
            super().__init__()
            self.reset_state()

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.largest = max(self.largest, float(np.max(y_pred)))

        def result(self):
            return self.largest

        def reset_state(self):
            self.largest = 0.0

    model = model_with([Largest()])
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert logs["largest"] == pytest.approx(model.predict(X, verbose=0).max())


def test_what_a_class_leaves_out_is_said():
    class Empty(metrics.Metric):
        pass

    class Early(metrics.Metric):
        def __init__(self):
            self.count = self.add_weight()

    for method in ("update_state", "result", "reset_state"):
        with pytest.raises(NotImplementedError, match=f"Empty does not define {method}"):
            getattr(Empty(), method)()
    with pytest.raises(RuntimeError, match=r"before super\(\).__init__\(\)"):
        Early()


def test_metrics_within_a_metric_are_reset_with_it():
    class Both(metrics.Metric):
        def __init__(self):
            super().__init__()
            self.parts = [metrics.Precision(), metrics.Recall()]

        def update_state(self, y_true, y_pred, sample_weight=None):
            for part in self.parts:
                part.update_state(y_true, y_pred, sample_weight)

        def result(self):
            return {part.name: part.result() for part in self.parts}

    metric = Both()
    assert metric([1, 0], [0.9, 0.8]) == {"precision": 0.5, "recall": 1}
    metric.reset_state()
    assert metric.result() == {"precision": 0, "recall": 0}
    logs = model_with([metric]).evaluate(X, Y, verbose=0, return_dict=True)
    assert set(logs) == {"loss", "precision", "recall"}


def squares(y_true, y_pred):
    return ((y_true - y_pred) ** 2).mean(axis=-1)


def test_a_function_is_a_mean():
    metric = metrics.get(squares)
    assert (metric.name, metric.larger_is_better) == ("squares", None)
    metric.update_state([1.0, 0.0], np.array([[0.5], [0.0]]))
    metric.update_state([[1.0]], np.array([[0.0]]), [2.0])
    assert metric.result() == pytest.approx((0.25 + 2) / 4)
    scaled = metrics.MeanMetricWrapper(lambda t, p, by: by * (p - t), name="by", by=2.0)
    assert scaled([[1.0]], [[2.0]]) == 2
    total = metrics.get(lambda t, p: (p - t).sum())
    assert total([[1.0]], [[2.0]]) == 1 and total([[1.0]], [[4.0]]) == 2
    with pytest.raises(ValueError, match="one number for the batch, and sample_weight has shape"):
        total([[1.0], [2.0]], [[2.0], [2.0]], [1, 2])
    with pytest.raises(TypeError, match="it must return numbers"):
        metrics.get(lambda t, p: None)([[1.0]], [[2.0]])


def test_functions_are_found_and_saved_by_name(tmp_path):
    model = model_with([squares, metrics.binary_accuracy, losses.huber, losses.Huber(0.2), "kld"])
    names = ["loss", "squares", "binary_accuracy", "huber", "huber_loss", "kld"]
    assert model.metrics_names == names
    model.save(tmp_path / "m.npz")
    again = load_model(tmp_path / "m.npz", custom_objects={"squares": squares})
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    with pytest.raises(ValueError, match="'squares' is not known; give custom_objects="):
        load_model(tmp_path / "m.npz")
    with utils.custom_object_scope({"squares": squares}):
        made = metrics.get("squares")
        assert made.fn is squares
        config = json.loads(json.dumps(metrics.serialize(made)))
        assert metrics.deserialize(config).get_config() == made.get_config()


def test_any_loss_is_a_metric_by_its_name():
    y_true, y_pred = Y.astype(np.float32), RNG.uniform(0.1, 0.9, (10, 1)).astype(np.float32)
    for name in ("binary_focal_crossentropy", "huber", "log_cosh", "mape", "kld", "msle"):
        metric = metrics.get(name)
        metric.update_state(y_true[:7], y_pred[:7])
        metric.update_state(y_true[7:], y_pred[7:])
        assert metric.name == name and metric.larger_is_better is False
        assert metric.result() == pytest.approx(losses.get(name)(y_true, y_pred), rel=1e-6)
    made = metrics.get(metrics.serialize(metrics.get(losses.Huber(0.3, name="near"))))
    assert made.name == "near" and made.loss.delta == 0.3


def test_means_and_sums_of_values():
    mean, total = metrics.Mean(), metrics.Sum()
    for values, weights in (([1, 3, 5, 7], [1, 1, 0, 0]), ([[2.0, 4.0]], [1])):
        mean.update_state(values, weights)
        total.update_state(values, weights)
    assert (mean.result(), total.result()) == ((1 + 3 + 3) / 3, 10)
    mean.reset_state()
    mean.update_state(5.0)
    assert mean(np.float32(7)) == 6
    assert metrics.Mean()([1.0, 2.0], [0, 0]) == 0


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (0.5, {"m": 0.5}),
        (np.float32(0.5), {"m": 0.5}),
        (np.array([0.25, 0.75]), {"m": 0.5}),
        ({"a": 1, "b": np.float64(2)}, {"a": 1.0, "b": 2.0}),
    ],
)
def test_what_the_logs_have_of_a_result(result, expected):
    logs = metrics.logged("m", result)
    assert logs == expected and all(type(value) is float for value in logs.values())


def test_results_of_classes_are_logged_by_their_mean():
    y = np.eye(4)[np.arange(10) % 4]
    model = model_with(["f1_score", metrics.Precision([0.2, 0.6])], 4, "categorical_crossentropy")
    logs = model.evaluate(X, y, verbose=0, return_dict=True)
    scores = metrics.F1Score()(y, model.predict(X, verbose=0))
    assert scores.shape == (4,)
    assert logs["f1_score"] == pytest.approx(scores.mean())
    with pytest.raises(TypeError):
        metrics.logged("m", [1, 2])


def test_masks_are_measured_by_the_pixel():
    y_true, y_pred = RNG.integers(0, 2, (3, 4, 5, 1)), RNG.random((3, 4, 5, 1), np.float32)
    pixels = RNG.random((3, 4, 5))
    for given in (y_true, y_true[..., 0]):
        metric = metrics.Precision()
        metric.update_state(given, y_pred, pixels)
        chosen = y_pred[..., 0] > 0.5
        wanted = (pixels * chosen * y_true[..., 0]).sum() / (pixels * chosen).sum()
        assert metric.result() == pytest.approx(wanted)
        accuracy = metrics.get("accuracy")
        accuracy.update_state(given, y_pred, pixels)
        right = chosen == (y_true[..., 0] > 0)
        assert accuracy.result() == pytest.approx((pixels * right).sum() / pixels.sum())


def test_names_of_keras_and_their_old_spellings():
    metric = metrics.get("Precision")
    assert metric.name == "Precision" and metrics.Precision().name == "precision"
    assert metrics.MeanIoU(2).name == "mean_io_u" and metrics.LogCoshError().name == "logcosh"
    metric.update([1], [0.9])
    assert metric.result() == 1
    metric.reset()
    assert metric.result() == 0


@pytest.mark.parametrize("given", ["my_metric", "O,O", 3.5, "no"])
def test_a_name_in_the_place_of_a_dtype_is_refused(given):
    for make in (metrics.Metric, lambda dtype: losses.Huber(dtype=dtype)):
        with pytest.raises(TypeError, match=r"dtype is .*; it must be None or the name of a dtype"):
            make(given)
    for dtype in (None, "float32", "int", np.float64, "bfloat16", "mixed_float16"):
        kept = metrics.Mean(dtype=dtype).dtype
        assert kept == {None: "float32", np.float64: "float64"}.get(dtype, dtype)
