"""What of an image an answer hangs on."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import layers, models, utils
from fastconv.visualization.explanations import grad_cam, occlusion, saliency


def bright_spot_model(units=1):
    """A network that looks at the upper left quarter of the picture alone."""
    utils.set_random_seed(0)
    inputs = layers.Input((16, 16, 3))
    maps = layers.Conv2D(2, 1, activation="relu", name="maps")(inputs)
    seen = layers.Flatten()(layers.Cropping2D(((0, 8), (0, 8)))(maps))
    last = layers.Dense(units, activation="sigmoid" if units == 1 else "softmax")
    model = models.Model(inputs, last(seen))
    model.get_layer("maps").set_weights([np.ones((1, 1, 3, 2)) / 3, np.zeros(2)])
    kernel = np.zeros(last.get_weights()[0].shape, np.float32)
    kernel[:, -1] = 0.02
    last.set_weights([kernel, np.full(units, -0.5 if units == 1 else 0.0)])
    return model


@pytest.fixture
def image():
    return np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)


def quarter_and_rest(shares):
    quarter = np.zeros((16, 16), bool)
    quarter[:8, :8] = True
    return shares[quarter], shares[~quarter]


@pytest.mark.parametrize("units", [1, 2, 3])
def test_saliency_is_where_the_network_looks(image, units):
    quarter, rest = quarter_and_rest(saliency(bright_spot_model(units), image, units - 1 or 1))
    assert quarter.max() == 1 and quarter.min() > 0
    assert not rest.any()


def test_occlusion_falls_where_the_network_looks(image):
    model = bright_spot_model()
    drops = occlusion(model, np.where(image > 0.5, 1, 0), 1, size=4, stride=4)
    assert drops.shape == (16, 16)
    quarter, rest = quarter_and_rest(drops)
    assert np.abs(quarter).max() > 0 and not rest.any()
    other = occlusion(model, np.where(image > 0.5, 1, 0), 0, size=4, stride=4)
    np.testing.assert_allclose(other, -drops, atol=1e-6)


def test_occlusion_hides_the_last_rows_too(image):
    assert occlusion(bright_spot_model(), image[:16], 1, size=5, stride=4).shape == (16, 16)


def test_grad_cam_weighs_maps_by_their_gradients(image):
    seen = grad_cam(bright_spot_model(), image, 1, "maps")
    # Two equal maps, both the image's grey, stretched to a size that they have already.
    grey = image.mean(axis=-1)
    np.testing.assert_allclose(seen, grey / grey.max(), rtol=1e-4)
    # Of the last layer's maps, the quarter that is left, stretched over the image.
    last = grad_cam(bright_spot_model(), image, 1)
    assert last.shape == (16, 16) and abs(last[0, 0] - seen[0, 0] / seen[:8, :8].max()) < 0.2
    assert not grad_cam(
        bright_spot_model(), image, 0, "maps"
    ).any()  # all speaks for the other class


def test_the_answer_is_explained_where_no_class_is_named(image):
    model = bright_spot_model(2)
    answer = int(model.predict(image[np.newaxis], verbose=0).argmax())
    np.testing.assert_array_equal(saliency(model, image), saliency(model, image, answer))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, x: saliency(m, x[np.newaxis]), "image has shape"),
        (lambda m, x: saliency(m, x[:8]), "image has shape"),
        (lambda m, x: saliency(m, x, 2), "class_index is 2; it must be from 0 to 1"),
        (lambda m, x: grad_cam(m, x, layer="nothing"), "it must be one of maps"),
        (lambda m, x: occlusion(m, x, size=17), "at most 16"),
        (lambda m, x: occlusion(m, x, stride=0), "at least 1"),
    ],
)
def test_what_cannot_be_explained_is_refused(image, change, message):
    with pytest.raises(ValueError, match=message):
        change(bright_spot_model(), image)
