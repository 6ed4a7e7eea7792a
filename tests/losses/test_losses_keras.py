"""Every loss beside Keras 3: values, gradients by PyTorch, weights, outputs of any rank."""

import json

import numpy as np
import pytest
from finite_differences import numeric_gradient
from keras_reference import import_keras, keras_test

from fastconv import losses

SHAPES = ((6, 4), (3, 5, 4), (2, 4, 5, 1), (2, 3, 4, 3))
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none")

#: Class, configuration, kind of targets and of predictions.
CASES = [
    ("MeanSquaredError", {}, "number", "number"),
    ("MeanAbsoluteError", {}, "number", "number"),
    ("MeanAbsolutePercentageError", {}, "number", "number"),
    ("MeanSquaredLogarithmicError", {}, "soft", "number"),
    ("Huber", {}, "number", "number"),
    ("Huber", {"delta": 0.4}, "number", "number"),
    ("LogCosh", {}, "number", "number"),
    ("Poisson", {}, "soft", "probability"),
    ("CosineSimilarity", {}, "number", "number"),
    ("Hinge", {}, "bit", "number"),
    ("Hinge", {}, "sign", "number"),
    ("SquaredHinge", {}, "bit", "number"),
    ("CategoricalHinge", {}, "one-hot", "number"),
    ("KLDivergence", {}, "soft", "probability"),
    ("Dice", {"axis": -1}, "bit", "probability"),
    ("Tversky", {"axis": -1, "alpha": 0.3, "beta": 0.8}, "bit", "probability"),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, "bit", "probability"),
    ("BinaryCrossentropy", {"from_logits": True}, "bit", "number"),
    ("BinaryFocalCrossentropy", {}, "bit", "probability"),
    ("BinaryFocalCrossentropy", {"gamma": 0.5, "label_smoothing": 0.1}, "bit", "probability"),
    ("BinaryFocalCrossentropy", {"gamma": 0.0, "from_logits": True}, "bit", "number"),
    (
        "BinaryFocalCrossentropy",
        {"apply_class_balancing": True, "alpha": 0.4, "from_logits": True},
        "bit",
        "number",
    ),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "one-hot", "probability"),
    ("CategoricalCrossentropy", {"from_logits": True}, "one-hot", "number"),
    ("CategoricalFocalCrossentropy", {}, "one-hot", "probability"),
    ("CategoricalFocalCrossentropy", {"gamma": 0.5, "alpha": 0.6}, "one-hot", "probability"),
    ("CategoricalFocalCrossentropy", {"gamma": 1.5, "from_logits": True}, "one-hot", "number"),
    ("SparseCategoricalCrossentropy", {}, "class", "probability"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "class", "number"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 0}, "class", "probability"),
    (
        "SparseCategoricalCrossentropy",
        {"ignore_class": -1, "from_logits": True},
        "class or -1",
        "number",
    ),
]
IDS = [f"{name} {config}" for name, config, *_ in CASES]


def drawn(kind, shape, seed=0):
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, shape[-1], shape[:-1])
    return {
        "number": lambda: rng.normal(size=shape),
        "probability": lambda: rng.uniform(0.05, 0.95, shape),
        "soft": lambda: rng.uniform(0, 1, shape),
        "bit": lambda: (rng.random(shape) < 0.5).astype(float),
        "sign": lambda: np.where(rng.random(shape) < 0.5, -1.0, 1.0),
        "one-hot": lambda: np.eye(shape[-1])[classes],
        "class": lambda: classes,
        "class or -1": lambda: np.where(rng.random(shape[:-1]) < 0.3, -1, classes),
    }[kind]()


def weights_of(shape):
    rng = np.random.default_rng(7)
    yield None
    yield rng.random(shape[:-1])
    yield rng.random((*shape[:-1], 1))
    yield np.zeros(shape[:-1])


@keras_test
@pytest.mark.parametrize(
    ("name", "config", "targets", "predictions", "shape"),
    [
        (*case, shape)
        for case in CASES
        for shape in SHAPES
        if shape[-1] > 1 or not case[0].startswith(("Categorical", "Sparse"))
    ],
    ids=str,
)
def test_values_and_gradients_are_those_of_keras(name, config, targets, predictions, shape):
    keras = import_keras()
    import torch

    y_true = drawn(targets, shape)
    y_pred = drawn(predictions, shape, 1).astype(np.float32)
    for weights in weights_of(shape):
        for reduction in REDUCTIONS:
            loss = getattr(losses, name)(reduction=reduction, **config)
            theirs = getattr(keras.losses, name)(reduction=reduction, **config)
            # Keras on PyTorch cannot go back through class numbers of an image as it lies.
            given = torch.tensor(y_pred, requires_grad=True)
            expected = theirs(torch.tensor(y_true), given, sample_weight=weights)
            found = np.ravel(loss(y_true, y_pred, weights))
            wanted = np.ravel(expected.detach().numpy())
            np.testing.assert_allclose(found, wanted, rtol=5e-6, atol=2e-6)
            if reduction == "none" or (name.startswith("Sparse") and len(shape) > 2):
                continue
            value, gradient = loss.value_and_gradient(y_true, y_pred, weights)
            assert (type(value), gradient.dtype, gradient.shape) == (float, np.float32, shape)
            expected.backward()
            # Keras in float32: a cosine of one number has a slope of its rounding.
            scale = (4 if name == "CosineSimilarity" else 1) * max(
                1.0, float(given.grad.abs().max())
            )
            np.testing.assert_allclose(gradient, given.grad.numpy(), atol=3e-6 * scale)


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 2, 3)], ids=str)
@pytest.mark.parametrize(("name", "config", "targets", "predictions"), CASES, ids=IDS)
def test_gradients_are_differences(name, config, targets, predictions, shape):
    loss = getattr(losses, name)(**config)
    y_true, y_pred = drawn(targets, shape), drawn(predictions, shape, 1)
    weights = np.random.default_rng(2).random(shape[:-1])
    _, gradient = loss.value_and_gradient(y_true, y_pred, weights)
    expected = numeric_gradient(lambda: loss(y_true, y_pred, weights), y_pred, step=1e-6)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "case", [one for one in CASES if "ross" in one[0] and "from_logits" not in one[1]], ids=str
)
def test_an_activation_is_taken_in(case):
    name, config, targets, _ = case
    shape = (4, 3)
    y_true, z = drawn(targets, shape), drawn("number", shape, 1)
    loss = getattr(losses, name)(**config)
    if loss.activation == "sigmoid":
        output = 1 / (1 + np.exp(-z))
    else:
        assert loss.activation == "softmax"
        output = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    value, gradient = loss.value_and_gradient(y_true, z, logits=True)
    assert value == pytest.approx(loss(y_true, output), rel=1e-6)
    expected = numeric_gradient(
        lambda: loss.value_and_gradient(y_true, z, logits=True)[0], z, step=1e-6
    )
    np.testing.assert_allclose(gradient, expected, atol=1e-7)


@keras_test
@pytest.mark.parametrize("axis", [None, 1, -1, (1, 2), (1, 2, 3)], ids=str)
@pytest.mark.parametrize("name", ["Dice", "Tversky"])
def test_masks_along_any_axes(name, axis):
    keras = import_keras()
    import torch

    shape = (3, 4, 5, 2)
    y_true = drawn("bit", shape)
    y_pred = drawn("probability", shape, 1).astype(np.float32)
    weights = [None, np.random.default_rng(0).random(3)] if axis in (None, (1, 2, 3)) else [None]
    for weight in weights:
        for reduction in REDUCTIONS:
            loss = getattr(losses, name)(axis=axis, reduction=reduction)
            given = torch.tensor(y_pred, requires_grad=True)
            theirs = getattr(keras.losses, name)(axis=axis, reduction=reduction)
            expected = theirs(y_true, given, sample_weight=weight)
            np.testing.assert_allclose(
                loss(y_true, y_pred, weight), expected.detach().numpy(), rtol=1e-5
            )
            if reduction != "none":
                expected.backward()
                _, gradient = loss.value_and_gradient(y_true, y_pred, weight)
                np.testing.assert_allclose(gradient, given.grad.numpy(), atol=1e-6)


@keras_test
@pytest.mark.parametrize(
    ("name", "targets", "predictions"),
    [
        ("CategoricalCrossentropy", "one-hot", "probability"),
        ("CategoricalFocalCrossentropy", "one-hot", "probability"),
        ("SparseCategoricalCrossentropy", "class", "probability"),
        ("BinaryCrossentropy", "bit", "probability"),
        ("CosineSimilarity", "number", "number"),
    ],
)
def test_another_axis_of_classes(name, targets, predictions):
    keras = import_keras()
    y_true, y_pred = drawn(targets, (2, 4, 3, 5)), drawn(predictions, (2, 4, 3, 5), 1)
    y_pred = np.moveaxis(y_pred, -1, 1).astype(np.float32)
    if targets != "class":
        y_true = np.moveaxis(y_true, -1, 1)
    loss = getattr(losses, name)(axis=1)
    expected = getattr(keras.losses, name)(axis=1)(y_true, y_pred)
    value, gradient = loss.value_and_gradient(y_true, y_pred)
    assert value == pytest.approx(float(expected), rel=1e-5)
    y_pred = y_pred.astype(np.float64)
    differences = numeric_gradient(lambda: loss(y_true, y_pred), y_pred, step=1e-6)
    np.testing.assert_allclose(gradient, differences, atol=1e-7)
    assert name == "BinaryCrossentropy" or loss.activation is None


FUNCTIONS = {
    "mean_squared_error": ("number", "number"),
    "mean_absolute_error": ("number", "number"),
    "mean_absolute_percentage_error": ("number", "number"),
    "mean_squared_logarithmic_error": ("soft", "number"),
    "huber": ("number", "number"),
    "log_cosh": ("number", "number"),
    "poisson": ("soft", "probability"),
    "cosine_similarity": ("number", "number"),
    "hinge": ("bit", "number"),
    "squared_hinge": ("bit", "number"),
    "categorical_hinge": ("one-hot", "number"),
    "kl_divergence": ("soft", "probability"),
    "dice": ("bit", "probability"),
    "tversky": ("bit", "probability"),
    "binary_crossentropy": ("bit", "probability"),
    "binary_focal_crossentropy": ("bit", "probability"),
    "categorical_crossentropy": ("one-hot", "probability"),
    "categorical_focal_crossentropy": ("one-hot", "probability"),
    "sparse_categorical_crossentropy": ("class", "probability"),
}


@keras_test
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_those_of_keras(name):
    keras = import_keras()
    targets, predictions = FUNCTIONS[name]
    y_true = drawn(targets, (3, 5, 4))
    y_pred = drawn(predictions, (3, 5, 4), 1).astype(np.float32)
    expected = getattr(keras.losses, name)(y_true, y_pred).numpy()
    found = getattr(losses, name)(y_true, y_pred)
    assert (found.dtype, found.shape) == (np.float32, expected.shape)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)
    by_function = losses.get(getattr(losses, name))
    assert type(by_function) is type(losses.get(name))
    assert type(by_function).__name__ == type(losses.get(type(by_function).__name__)).__name__


@keras_test
def test_every_name_of_keras_is_known():
    import_keras()
    from keras.src.losses import ALL_OBJECTS_DICT

    missing = {"Circle", "circle", "CTC", "ctc", "Loss", "LossFunctionWrapper"}
    for name, theirs in ALL_OBJECTS_DICT.items():
        if name not in missing:
            loss = losses.get(name)
            assert isinstance(loss, losses.Loss)
            ours = getattr(losses, theirs.__name__)
            assert ours is type(loss) or losses.get(ours).get_config() == loss.get_config()


@pytest.mark.parametrize("reduction", ["none", None])
def test_a_model_is_not_trained_without_a_reduction(reduction):
    loss = losses.MeanSquaredError(reduction=reduction)
    targets = np.zeros((3, 2))
    np.testing.assert_array_equal(loss(targets, targets + 2, [1, 0, 2]), [4, 0, 8])
    for call in (
        lambda: loss.value_and_gradient(targets, targets),
        lambda: loss.check(targets, (3, 2)),
    ):
        with pytest.raises(ValueError, match=r"mean_squared_error: reduction is .*'sum'"):
            call()
    with pytest.raises(ValueError, match="reduction is 'total'; it must be 'sum_over_batch"):
        losses.Huber(reduction="total")


def test_weights_of_samples_and_of_pixels():
    loss = losses.BinaryCrossentropy()
    y_true, y_pred = drawn("bit", (2, 3, 4, 1)), drawn("probability", (2, 3, 4, 1), 1)
    sample, pixels = np.array([1.0, 3.0]), np.random.default_rng(0).random((2, 3, 4))
    by_hand = loss.call(y_true, y_pred)
    assert by_hand.shape == (2, 3, 4)
    assert loss(y_true, y_pred, sample) == pytest.approx((by_hand * sample[:, None, None]).mean())
    for given in (pixels, pixels[..., None]):
        assert loss(y_true, y_pred, given) == pytest.approx((by_hand * pixels).mean())
    assert loss(y_true[..., 0], y_pred, pixels) == loss(y_true, y_pred, pixels)


@pytest.mark.parametrize(("name", "config", "targets", "predictions"), CASES, ids=IDS)
def test_empty_batches_and_nan(name, config, targets, predictions):
    loss = getattr(losses, name)(**config)
    y_pred = drawn(predictions, (4, 3), 1)
    y_true = drawn(targets, (4, 3))
    value, gradient = loss.value_and_gradient(y_true[:0], y_pred[:0])
    assert (value, gradient.shape) == (0, (0, 3))
    counts = 0 if config.get("ignore_class") is None else np.argmax(y_true > 0)
    y_pred[counts] = np.nan
    assert np.isnan(loss(y_true, y_pred))


def test_what_is_ignored_is_nowhere():
    loss = losses.SparseCategoricalCrossentropy(ignore_class=255)
    y_true, y_pred = np.array([[1, 255], [255, 0]]), drawn("probability", (2, 2, 3), 1)
    y_pred[0, 1] = np.nan
    value, gradient = loss.value_and_gradient(y_true, y_pred)
    picked = losses.sparse_categorical_crossentropy([1, 0], [y_pred[0, 0], y_pred[1, 1]])
    assert value == pytest.approx(picked.mean(), rel=1e-6)
    assert not gradient[0, 1].any() and not gradient[1, 0].any()
    assert loss(np.full((2, 2), 255), y_pred) == 0
    with pytest.raises(ValueError, match="class numbers run from 0 to 7"):
        loss([[1, 255], [7, 0]], y_pred)


@pytest.mark.parametrize(("name", "config", "targets", "predictions"), CASES, ids=IDS)
def test_configurations_come_back(name, config, targets, predictions):
    loss = getattr(losses, name)(reduction="sum", name="mine", **config)
    made = losses.deserialize(json.loads(json.dumps(losses.serialize(loss))))
    assert type(made) is type(loss) and made.get_config() == loss.get_config()
    y_true, y_pred = drawn(targets, (4, 3)), drawn(predictions, (4, 3), 1)
    assert made(y_true, y_pred) == loss(y_true, y_pred)
