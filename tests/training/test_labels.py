"""Labels: values that are refused, weights of classes, and their names."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from image_folders import write_folder
from keras_reference import import_keras, keras_test
from small_models import convnet, photos, same_weights

from fastconv import layers
from fastconv.models import Sequential
from fastconv.preprocessing.image import ImageDataGenerator
from fastconv.training.batches import Batch
from fastconv.training.labels import (
    check_class_weight,
    check_same_classes,
    class_indices_of,
    rows_without_number,
    weigh_classes,
)

X = np.zeros((3, 1), np.float32)


@pytest.mark.parametrize("labels", [np.array([0, 1, 1]), np.array([[0.0], [1.0], [1.0]]),
                                    np.eye(2)[[0, 1, 1]]])  # fmt: skip
def test_classes_are_weighed(labels):
    batch = Batch(X, labels, np.array([1.0, 2.0, 3.0]))
    assert weigh_classes(batch, {1: 10.0}).sample_weight.tolist() == [1, 20, 30]


@keras_test
@pytest.mark.parametrize("labels", [np.array([0, 1, 2, 1]), np.array([[0.1], [0.9], [2.0], [0.5]]),
                                    np.eye(3)[[2, 1, 0, 1]] * 0.9 + 0.1 / 3])  # fmt: skip
def test_rows_are_of_the_classes_that_keras_finds(labels):
    import_keras()
    from keras.src.trainers.data_adapters import data_adapter_utils

    weights = {0: 2.0, 1: 3.0, 2: 5.0}
    theirs = data_adapter_utils.class_weight_to_sample_weights(labels, weights)
    ours = weigh_classes(Batch(np.zeros((4, 1)), labels, None), weights).sample_weight
    assert ours.tolist() == theirs.tolist()


def test_class_weight_mistakes():
    with pytest.raises(TypeError, match="give a dict"):
        check_class_weight([1, 2], "m")
    for wrong in (
        {"cat": 1}, {0: "heavy"}, {0: float("nan")}, {0: float("inf")}, {0.5: 9.0}, {-1: 1.0},
        {float("nan"): 1.0}, {None: 1.0}, {"0": 1.0}, {0: "2"}, {0: None},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"class indices .* finite numbers"):
            check_class_weight(wrong, "m")
    assert check_class_weight({1.0: 2, np.int64(0): np.float32(3)}, "m") == {1: 2.0, 0: 3.0}
    with pytest.raises(ValueError, match=r"shape \(3, 2\); .* \(3,\) is expected"):
        weigh_classes(Batch(X, np.zeros(3), np.ones((3, 2))), {1: 10.0})


@pytest.mark.parametrize(
    ("shape", "text"),
    [((3, 4, 4, 1), "many labels for a row"), ((3, 4), "not one-hot"), ((3, 4, 2), "many labels")],
)
def test_rows_of_many_labels_have_no_class_to_weigh(shape, text):
    with pytest.raises(ValueError, match=rf"{text}.*give sample_weight"):
        weigh_classes(Batch(X, np.zeros(shape), None), {0: 2.0})


def test_a_weight_of_image_targets_changes_nothing():
    x, _ = photos(6)
    model = Sequential([layers.Conv2D(1, 1, activation="sigmoid", input_shape=(12, 12, 3))])
    model.compile("sgd", "binary_crossentropy")
    weights = model.get_weights()
    for call in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match=r"class_weight weighs whole rows.*\(6, 12, 12, 1\)"):
            call(x, np.zeros((6, 12, 12, 1)), class_weight={0: 1.0, 1: 2.0})
    assert all(map(np.array_equal, weights, model.get_weights()))


def test_a_weight_of_a_class_that_is_not_there_is_refused():
    x, y = photos(8)
    with pytest.raises(ValueError, match=r"fit: class_weight has the class 2; .* classes are 0 to"):
        convnet().fit(x, y, class_weight={0: 1.0, 2: 9.0}, verbose=0)
    with pytest.raises(ValueError, match="train_on_batch: class_weight has the class 5"):
        convnet().train_on_batch(x, y, class_weight={5: 1.0})


def test_multi_hot_rows_in_a_later_row_are_found_first():
    model = Sequential([layers.Dense(3, activation="sigmoid", input_shape=(2,))])
    model.compile("sgd", "binary_crossentropy")
    y = np.eye(3)[np.zeros(100, int)]
    y[-1] = 1
    before = model.get_weights()
    with pytest.raises(ValueError, match="not one-hot"):
        model.fit(np.zeros((100, 2)), y, class_weight={0: 2.0}, shuffle=False, verbose=0)
    assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.parametrize("loss", ["binary_crossentropy", "mse"])
def test_labels_that_are_no_number_name_their_rows(loss):
    x, y = photos(20)
    y[3] = y[17] = np.nan
    with pytest.raises(ValueError, match=r"fit: .*y is no number in rows 3, 17$"):
        convnet(loss=loss).fit(x, y, verbose=0)
    with pytest.raises(ValueError, match=r"y is no number in rows 3, 17$"):
        convnet(loss=loss).fit(x, y, class_weight={0: 1.0} if loss != "mse" else None, verbose=0)


def test_rows_without_a_number():
    y = np.array([[0.0, 1], [np.nan, 0], [0, np.inf]])
    assert rows_without_number(y, 10) == "; y is no number in rows 11, 12"
    assert rows_without_number(y[:2]) == "; y is no number in row 1"
    assert rows_without_number(y[:1]) == rows_without_number(np.arange(3)) == ""
    assert rows_without_number(np.full(9, np.nan)).endswith("rows 0, 1, 2, 3, 4, ...")


# Names


@pytest.mark.parametrize(
    ("known", "given"),
    [
        ({"cat": 0, "dog": 1}, {"Dog": 0, "cat": 1}),
        ({"cat": 0, "dog": 1}, {"cat": 0, "fox": 1}),
        ({"cat": 0, "dog": 1}, {"dog": 0, "cat": 1}),
        ({"cat": 0, "dog": 1}, {"cat": 0, "dog": 1, "fox": 2}),
        ({"cat": 0, "dog": 1}, {"dog": 0}),
        ({"cat": 0, "dog": 1}, {"a": 0, "b": 1, "c": 2}),
        (["cat", "dog"], ["dog", "cat"]),
    ],
)
def test_other_classes_are_refused_by_name(known, given):
    with pytest.raises(ValueError, match=r"m: the classes are 0: .*must be the same.*classes="):
        check_same_classes(known, given, "m")


def test_the_same_classes_are_accepted_however_they_are_written():
    korean = {"고양이": 0, "개": 1}
    decomposed = {unicodedata.normalize("NFD", name): n for name, n in korean.items()}
    assert decomposed.keys() != korean.keys()
    check_same_classes(korean, decomposed, "m")
    check_same_classes(["cat", "dog"], {"cat": 0, "dog": 1}, "m")
    check_same_classes(None, {"cat": 0}, "m")
    check_same_classes({"cat": 0}, object(), "m")


def test_what_may_be_the_same_is_said():
    with pytest.warns(UserWarning, match=r"0: chat, 1: chien, the training's 0: cat, 1: dog; they"):
        check_same_classes(["cat", "dog"], ["chat", "chien"], "m")
    with pytest.warns(UserWarning, match="there is no data of fox"):
        check_same_classes(["cat", "dog", "fox"], ["cat", "dog"], "m")


class Pets:
    """One batch of photos whose classes have names."""

    def __init__(self, *names, **attributes):
        self.class_indices = {name: number for number, name in enumerate(names)}
        vars(self).update(attributes)

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return photos(4)


def test_fit_refuses_a_validation_of_other_classes():
    model = convnet()
    weights = model.get_weights()
    with pytest.raises(ValueError, match=r"fit: validation_data: the classes are 0: Dog, 1: cat"):
        model.fit(Pets("cat", "dog"), validation_data=Pets("Dog", "cat"), verbose=0)
    assert all(map(np.array_equal, weights, model.get_weights())) and model.class_names is None
    with pytest.warns(UserWarning, match="taken for the same classes") as caught:
        model.fit(Pets("cat", "dog"), validation_data=Pets("Cat", "Dog"), verbose=0)
        model.evaluate(Pets("Cat", "Dog"), verbose=0)
    assert [warning.filename for warning in caught] == [__file__] * 2


def test_evaluate_refuses_other_classes_than_the_trained_ones():
    model = convnet()
    model.fit(Pets("cat", "dog"), verbose=0)
    with pytest.raises(ValueError, match=r"evaluate: the classes are 0: Dog, 1: cat"):
        model.evaluate(Pets("Dog", "cat"), verbose=0)
    model.evaluate(Pets("cat", "dog"), verbose=0)


def test_folders_of_real_files(tmp_path):
    write_folder(tmp_path / "train", {"cat": 2, "dog": 2})
    write_folder(tmp_path / "validation", {"cat": 2, "Dog": 2})
    flow = {"target_size": (12, 12), "class_mode": "binary", "batch_size": 2}
    train, validation = (
        ImageDataGenerator().flow_from_directory(tmp_path / part, **flow)
        for part in ("train", "validation")
    )
    with pytest.raises(ValueError, match="0: Dog, 1: cat, the training's 0: cat, 1: dog"):
        convnet().fit(train, validation_data=validation, verbose=0)


def test_folders_whose_labels_are_not_their_names_are_not_compared():
    for mode in (None, "input", "raw"):
        assert class_indices_of(Pets("a", class_mode=mode)) is None
    assert class_indices_of(Pets("a", class_mode="binary")) == {"a": 0}


def test_weighing_classes_is_weighing_their_rows():
    x, y = photos(12)
    first, second = convnet(dropout=0.0), convnet(dropout=0.0)
    second.set_weights(first.get_weights())
    first.fit(x, y, class_weight={1.0: 4}, shuffle=False, verbose=0)
    second.fit(x, y, sample_weight=np.where(y == 1, 4.0, 1.0), shuffle=False, verbose=0)
    assert same_weights(first, second)
