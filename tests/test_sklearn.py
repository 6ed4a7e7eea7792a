"""`ConvClassifier` among scikit-learn's own tools."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the other side of this door", minversion="1.6")
joblib = pytest.importorskip("joblib", reason="scikit-learn's own files")
from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import MinMaxScaler  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

from fastconv import layers, models, utils  # noqa: E402
from fastconv.sklearn import ConvClassifier  # noqa: E402


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)


def quick(**options):
    return ConvClassifier((8, 8), **{"epochs": 6, "random_state": 0, **options})


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_it_passes_scikit_learns_own_checks():
    # None is expected to fail; the array API's check skips itself where SciPy is not set up for it.
    check_estimator(ConvClassifier())


def test_digits_are_learnt_from_rows_with_an_image_shape(digits):
    x, held_back, y, answers = digits
    classifier = quick().fit(x, y)
    assert classifier.score(held_back, answers) > 0.95
    assert classifier.image_shape_ == (8, 8, 1) and classifier.n_features_in_ == 64
    probabilities = classifier.predict_proba(held_back)
    assert probabilities.shape == (len(answers), 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert classifier.n_iter_ == 6 == len(classifier.history_["loss"])


def test_images_are_the_same_as_rows(digits):
    x, held_back, y, _ = digits
    rows = quick(epochs=2).fit(x, y).predict_proba(held_back)
    images = ConvClassifier(epochs=2, random_state=0).fit(x.reshape(-1, 8, 8, 1), y)
    np.testing.assert_array_equal(images.predict_proba(held_back.reshape(-1, 8, 8, 1)), rows)
    np.testing.assert_array_equal(images.predict_proba(held_back.reshape(-1, 8, 8)), rows)


def test_labels_may_be_words_of_two_classes(digits):
    x, held_back, y, answers = digits
    classifier = quick(epochs=3).fit(x, np.where(y % 2, "odd", "even"))
    assert list(classifier.classes_) == ["even", "odd"]
    assert classifier.model_.output_shape == (None, 1)
    found = classifier.predict(held_back)
    assert set(found) == {"even", "odd"}
    assert np.mean(found == np.where(answers % 2, "odd", "even")) > 0.85
    shares = classifier.predict_proba(held_back)
    np.testing.assert_array_equal(found == "odd", shares[:, 1] > shares[:, 0])


def test_searches_pipelines_and_cross_validation(digits):
    x, held_back, y, answers = digits
    pipeline = make_pipeline(MinMaxScaler(), quick(epochs=2))
    grid = {"convclassifier__learning_rate": [1e-5, 1e-2]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(x, y)
    assert search.best_params_ == {"convclassifier__learning_rate": 1e-2}
    assert search.score(held_back, answers) > 0.8
    scores = cross_val_score(quick(epochs=2), x, y, cv=3)
    assert len(scores) == 3 and scores.min() > 0.7


def test_copies_are_unfitted_and_files_are_not(digits, tmp_path):
    x, held_back, y, _ = digits
    classifier = quick(epochs=1, optimizer="sgd").fit(x, y)
    copied = clone(classifier)
    assert copied.get_params() == classifier.get_params() and not hasattr(copied, "model_")
    expected = classifier.predict_proba(held_back)
    joblib.dump(classifier, tmp_path / "classifier.joblib")
    again = (joblib.load(tmp_path / "classifier.joblib"), pickle.loads(pickle.dumps(classifier)))
    for one in again:
        np.testing.assert_array_equal(one.predict_proba(held_back), expected)


def test_a_seed_gives_the_same_bits_and_leaves_fastconvs_stream_alone(digits):
    x, held_back, y, _ = digits
    first = quick(epochs=1).fit(x, y).predict_proba(held_back)
    utils.set_random_seed(3)
    fresh_weights()
    expected = fresh_weights()
    utils.set_random_seed(3)
    fresh_weights()
    np.testing.assert_array_equal(quick(epochs=1).fit(x, y).predict_proba(held_back), first)
    np.testing.assert_array_equal(fresh_weights(), expected)
    other = quick(epochs=1, random_state=1).fit(x, y).predict_proba(held_back)
    assert (other != first).any()


def test_fits_in_threads_do_not_draw_from_each_others_numbers(digits):
    x, held_back, y, _ = digits

    def fitted(seed):
        return quick(epochs=2, random_state=seed).fit(x[:200], y[:200]).predict_proba(held_back)

    alone = [fitted(seed) for seed in range(4)]
    utils.set_random_seed(3)
    expected = fresh_weights()
    utils.set_random_seed(3)
    jobs = joblib.Parallel(n_jobs=2, backend="threading")
    for one, other in zip(jobs(joblib.delayed(fitted)(n) for n in range(4)), alone, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(fresh_weights(), expected)


def fresh_weights():
    dense = layers.Dense(4)
    dense.build((None, 5))
    return dense.get_weights()[0]


def test_early_stopping_takes_the_best_epochs_weights(digits):
    x, held_back, y, answers = digits
    classifier = quick(epochs=60, early_stopping=True, n_iter_no_change=2, learning_rate=0.01)
    classifier.fit(x, y)
    losses = classifier.history_["val_loss"]
    assert classifier.n_iter_ < 60
    assert classifier.n_iter_ == int(np.argmin(losses)) + 3
    assert classifier.score(held_back, answers) > 0.9


def test_the_model_may_be_a_name_a_function_or_a_model(digits):
    x, _, y, _ = digits
    images = np.repeat(x[:64].reshape(-1, 8, 8, 1), 2, axis=1).repeat(2, axis=2)

    def small(image_shape, classes):
        return models.Sequential(
            [
                layers.Input(image_shape),
                layers.Conv2D(4, 3, activation="relu"),
                layers.Flatten(),
                layers.Dense(classes, activation="softmax"),
            ]
        )

    given = small((16, 16, 1), 10)
    before = [weight.copy() for weight in given.get_weights()]
    for model in ("model1", small, given):
        fitted = ConvClassifier(model=model, epochs=1).fit(images, y[:64])
        assert fitted.model_.output_shape == (None, len(fitted.classes_))
    for old, new in zip(before, given.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_class_weights_shift_the_answers(digits):
    x, held_back, y, _ = digits
    odd = y % 2
    weighted = quick(epochs=2, class_weight={0: 1.0, 1: 50.0}).fit(x, odd).predict(held_back)
    assert weighted.mean() > quick(epochs=2).fit(x, odd).predict(held_back).mean()
    quick(epochs=1, class_weight="balanced").fit(x, odd)


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({"image_shape": (8, 9)}, (20, 64), "its rows must have 72 numbers"),
        ({"image_shape": (8, 8, 1, 1)}, (20, 64), "it must be \\(height, width\\)"),
        ({"model": "model9"}, (20, 16, 16, 3), "model9"),
        ({"model": lambda shape, classes: models.Sequential([layers.Flatten(), layers.Dense(7)])},
         (20, 8, 8, 1), "its last layer must have a unit for each"),
        ({}, (20, 2, 2, 2, 2), "it must be"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(options, shape, message):
    with pytest.raises((ValueError, TypeError), match=message):
        ConvClassifier(**options).fit(np.zeros(shape), np.arange(20) % 2)


def test_other_images_than_those_of_fit_are_refused(digits):
    x, _, y, _ = digits
    fitted = ConvClassifier(epochs=1).fit(x[:50].reshape(-1, 8, 8, 1), y[:50])
    with pytest.raises(ValueError):
        fitted.predict(np.zeros((2, 8, 9, 1)))


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "fastconv.sklearn")
    with pytest.raises(ImportError, match=r"pip install 'fastconv\[sklearn\]'"):
        import fastconv.sklearn  # noqa: F401
