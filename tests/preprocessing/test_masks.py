"""Images and masks through two generators of one seed, as for a U-Net."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image, ImageDraw

import fastconv
from fastconv import layers, models
from fastconv.preprocessing.image import ImageDataGenerator

CHANGES = {
    "rotation_range": 40, "width_shift_range": 0.1, "height_shift_range": 0.1,
    "shear_range": 0.1, "zoom_range": 0.3, "horizontal_flip": True, "vertical_flip": True,
    "fill_mode": "constant", "rescale": 1 / 255,
}  # fmt: skip
SIZE = (32, 40)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Folders of pictures of white blobs on black, of their masks, and both as arrays."""
    root, pictures, masks = tmp_path_factory.mktemp("set"), [], []
    for kind in ("images", "masks"):
        (root / kind / "all").mkdir(parents=True)
    for number in range(10):
        box = (4 + number, 6, 20 + number, 15 + number)
        picture, mask = Image.new("RGB", SIZE[::-1]), Image.new("L", SIZE[::-1])
        ImageDraw.Draw(picture).pieslice(box, 20, 300, fill=(255, 255, 255))
        ImageDraw.Draw(mask).pieslice(box, 20, 300, fill=255)
        picture.save(root / f"images/all/{number:02d}.png")
        mask.save(root / f"masks/all/{number:02d}.png")
        pictures.append(np.asarray(picture))
        masks.append(np.asarray(mask)[:, :, np.newaxis])
    return root, np.stack(pictures), np.stack(masks)


def pairs(drawn, kind, image_options=None, mask_options=None, **options):
    """Iterators of images and masks, of files or of arrays."""
    root, pictures, masks = drawn
    one = ImageDataGenerator(**CHANGES, **(image_options or {}))
    other = ImageDataGenerator(**CHANGES, **(mask_options or {}))
    options = {"batch_size": 4, "seed": 7, **options}
    if kind == "arrays":
        return one.flow(pictures, **options), other.flow(masks, **options)
    files = {"class_mode": None, "target_size": SIZE, **options}
    masks_alone = {"color_mode": "grayscale", "interpolation": "nearest"}
    return (
        one.flow_from_directory(root / "images", **files),
        other.flow_from_directory(root / "masks", **files, **masks_alone),
    )


@pytest.mark.parametrize("options", [{}, {"prefetch": 3}, {"shuffle": False}])
@pytest.mark.parametrize("kind", ["files", "arrays"])
def test_both_are_changed_alike(drawn, kind, options):
    before = fastconv.get_num_threads()
    try:
        fastconv.set_num_threads(2)
        seen = []
        both = zip(*pairs(drawn, kind, **options), strict=True)
        for image, mask in itertools.islice(both, 9):
            np.testing.assert_array_equal(image[..., :1], mask)
            seen.append(image)
    finally:
        fastconv.set_num_threads(before)
    assert [len(image) for image in seen] == [4, 4, 2] * 3
    assert not np.array_equal(seen[0], seen[3]), "the next epoch has other changes"


@pytest.mark.parametrize("kind", ["files", "arrays"])
def test_nearest_pixels_keep_a_mask_a_mask(drawn, kind):
    images, masks = pairs(drawn, kind, mask_options={"interpolation_order": 0})
    for step in range(len(images)):
        image, mask = images.batch(2, step), masks.batch(2, step)
        assert set(np.unique(mask)) == {0, 1}
        # A pixel belongs to the mask where most of it is white.
        clear = np.abs(image[..., :1] - 0.5) > 0.45
        assert np.mean((image[..., :1] > 0.5)[clear] == (mask > 0.5)[clear]) > 0.99


def test_changes_of_values_are_the_images_alone(drawn):
    plain, _ = pairs(drawn, "arrays")
    bright, masks = pairs(drawn, "arrays", image_options={"brightness_range": (0.3, 0.6)})
    image, mask = bright.batch(0, 0), masks.batch(0, 0)
    np.testing.assert_array_equal(mask, plain.batch(0, 0)[..., :1])
    inside = mask[..., 0] == 1
    assert image[inside].min() > 0.29 and image[inside].max() < 0.61


def test_a_model_learns_from_the_pairs(drawn):
    fastconv.utils.set_random_seed(0)
    model = models.Sequential(
        [
            layers.Conv2D(4, 3, padding="same", activation="relu", input_shape=(*SIZE, 3)),
            layers.Conv2D(1, 1, activation="sigmoid"),
        ]
    )
    model.compile(fastconv.optimizers.Adam(0.03), "binary_crossentropy")
    images, masks = pairs(drawn, "files", mask_options={"interpolation_order": 0})
    history = model.fit(
        zip(images, masks, strict=True),
        steps_per_epoch=len(images),
        epochs=12,
        verbose=0,
    ).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_a_pair_of_arrays_is_told_how_pairs_are_made(drawn):
    _, pictures, masks = drawn
    with pytest.raises(
        TypeError, match=r"x is a tuple of 2 arrays; .* two generators with one seed"
    ):
        ImageDataGenerator().flow((pictures, masks))
