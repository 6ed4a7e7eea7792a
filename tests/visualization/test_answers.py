"""Figures and pictures of a classifier's answers."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from fastconv.preprocessing.image import ImageDataGenerator
from fastconv.visualization import answers

pytest.importorskip("matplotlib", reason="draws the pictures")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def drawn(picture):
    with Image.open(io.BytesIO(picture.png())) as image:
        image.load()
        assert len(np.unique(np.asarray(image.convert("L").resize((64, 64))))) > 3
        return image.size


def texts(picture):
    from matplotlib.text import Text

    return {text.get_text() for text in picture.findobj(Text)}


def test_the_confusion_matrix_counts_class_by_answer():
    found = answers.confusion_matrix([0, 0, 1, 2, 2], np.eye(3)[[0, 1, 1, 2, 0]])
    np.testing.assert_array_equal(found, [[1, 1, 0], [0, 1, 0], [1, 0, 1]])
    two = answers.confusion_matrix([0, 1, 1], [[0.2], [0.9], [0.4]])
    np.testing.assert_array_equal(two, [[1, 0], [1, 1]])


def test_the_roc_is_scikit_learns(rng):
    metrics = pytest.importorskip("sklearn.metrics", reason="the figures to compare with")
    positive = rng.random(300) < 0.4
    scores = np.round(rng.random(300) + 0.3 * positive, 1)  # with many ties
    false, true, area = answers.roc_curve(positive, scores)
    expected = metrics.roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(false, expected[0])
    np.testing.assert_allclose(true, expected[1])
    assert area == pytest.approx(metrics.roc_auc_score(positive, scores))


def test_each_picture_is_drawn_with_the_classes_names(rng):
    labels = rng.integers(0, 2, 50)
    shares = np.clip(rng.random((50, 1)) * 0.7 + labels[:, np.newaxis] * 0.3, 0, 1)
    names = ["고양이", "$dog"]
    images = rng.random((50, 20, 20, 3))
    for picture in (
        answers.plot_confusion_matrix(labels, shares, names),
        answers.plot_roc(labels, shares, names),
        answers.plot_calibration(labels, shares),
        answers.plot_mistakes(images, labels, shares, names),
        answers.plot_batch((images, labels), names),
    ):
        assert min(drawn_quietly(picture)) > 200
    said = texts(answers.plot_mistakes(images, labels, shares, names))
    assert any("is 고양이" in text or "is $dog" in text for text in said)


def drawn_quietly(picture):
    """A machine without a Korean font warns, and draws boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "no font with Hangul")
        return drawn(picture)


def test_the_most_confident_mistake_is_the_first():
    images = np.zeros((4, 5, 5, 1))
    picture = answers.plot_mistakes(images, [0, 0, 1, 1], [0.9, 0.6, 0.99, 0.01], count=2)
    titles = [axes.get_title() for axes in picture.axes if axes.get_title()]
    assert titles == ["0 99%\nis 1", "1 90%\nis 0"]
    none = answers.plot_mistakes(images, [0, 0, 1, 1], [0.1, 0.1, 0.9, 0.9])
    assert "no mistakes" in texts(none)


def test_an_iterators_mixed_labels_are_shares(rng):
    generator = ImageDataGenerator(mixup=1.0, mix_probability=1.0)
    images = rng.integers(0, 256, (8, 12, 12, 3), dtype=np.uint8)
    batch = next(generator.flow(images, np.arange(8) % 2, batch_size=8, seed=0))
    titles = [axes.get_title() for axes in answers.plot_batch(batch, ["cat", "dog"]).axes]
    assert any("cat" in title and "dog" in title and "%" in title for title in titles)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: answers.confusion_matrix([0, 1], [[0.1], [0.2], [0.3]]), "labels has shape"),
        (lambda: answers.confusion_matrix([0, 2], [[0.1], [0.2]]), "from 0 to 1"),
        (lambda: answers.confusion_matrix([], []), "probabilities has shape"),
        (lambda: answers.plot_roc([0, 1], [0.1, 0.2], ["one"]), "class_names has 1 names"),
        (lambda: answers.plot_mistakes(np.zeros((3, 2, 2, 1)), [0, 1], [0.1, 0.2]), "3 images"),
        (lambda: answers.plot_batch(np.zeros((3, 2))), "the images have shape"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
