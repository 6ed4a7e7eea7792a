"""Geometry against SciPy's resampler and Keras's formula; channel shift and brightness."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from fastconv.preprocessing import augmentation
from fastconv.preprocessing.image import ImageDataGenerator

# SciPy's names of the same rules; its plain "wrap" and "constant" do not join at the edges.
SCIPY_MODES = {
    "nearest": "nearest",
    "reflect": "reflect",
    "wrap": "grid-wrap",
    "constant": "grid-constant",
}
PARAMETERS = [
    {"theta": 30},
    {"tx": 7.3},
    {"ty": -4.5},
    {"shear": 20},
    {"zx": 0.7},
    {"zy": 1.3},
    {"theta": -13, "tx": 3, "ty": 45.5, "shear": 9, "zx": 0.8, "zy": 1.1},
    {"theta": 180, "tx": -130, "zy": 0.1},
]


def picture(height=30, width=44, channels=3):
    noise = np.random.default_rng(5).uniform(0, 255, (height, width, channels))
    return ndimage.gaussian_filter(noise, (2, 2, 0)).astype(np.float32)


def keras_matrix(theta=0, tx=0, ty=0, shear=0, zx=1, zy=1):
    """Keras's product of matrices over (x, y, 1), before it is moved to the centre."""
    t, s = np.deg2rad(theta), np.deg2rad(shear)
    rotation = np.array([[np.cos(t), -np.sin(t), 0], [np.sin(t), np.cos(t), 0], [0, 0, 1]])
    shift = np.array([[1, 0, tx], [0, 1, ty], [0, 0, 1]])
    slant = np.array([[1, -np.sin(s), 0], [0, np.cos(s), 0], [0, 0, 1]])
    return rotation @ shift @ slant @ np.diag([zx, zy, 1])


@pytest.mark.parametrize("fill_mode", SCIPY_MODES)
@pytest.mark.parametrize("parameters", PARAMETERS)
def test_apply_transform_against_scipy(parameters, fill_mode):
    image = picture()
    height, width, channels = image.shape
    center = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]])
    matrix = center @ keras_matrix(**parameters) @ np.linalg.inv(center)
    # SciPy counts (row, column).
    swapped = matrix[[1, 0, 2]][:, [1, 0, 2]]
    expected = np.stack(
        [
            ndimage.affine_transform(
                image[..., c].astype(np.float64),
                swapped[:2, :2],
                swapped[:2, 2],
                order=1,
                mode=SCIPY_MODES[fill_mode],
                cval=17.0,
            )
            for c in range(channels)
        ],
        axis=-1,
    )
    generator = ImageDataGenerator(fill_mode=fill_mode, cval=17.0)
    result = generator.apply_transform(image, parameters)
    assert result.dtype == np.float32
    # Coordinates are float32: 1e-5 pixels of 100 grey levels each.
    np.testing.assert_allclose(result, expected, atol=0.02)


def test_directions():
    image = np.zeros((5, 5, 1), np.float32)
    image[2, 2] = 100
    generator = ImageDataGenerator(fill_mode="constant")

    def place(**parameters):
        moved = generator.apply_transform(image, parameters)[:, :, 0]
        return tuple(int(i) for i in np.unravel_index(moved.argmax(), moved.shape))

    # The matrix maps output to input: a positive shift brings the picture back to the left.
    assert place(tx=1) == (2, 1)
    assert place(ty=1) == (1, 2)
    assert place(theta=77) == (2, 2)
    assert place(zx=0.5, zy=0.5) == (2, 2)
    corner = np.zeros((5, 5, 1), np.float32)
    corner[0, 1] = 100
    turned = generator.apply_transform(corner, {"theta": 90})[:, :, 0]
    expected = keras_matrix(theta=90)[:2, :2].T @ np.array([1 - 2, 0 - 2])
    assert np.unravel_index(turned.argmax(), (5, 5)) == (
        2 + round(expected[1]),
        2 + round(expected[0]),
    )


def test_zoom_below_one_magnifies():
    image = np.zeros((21, 21, 1), np.float32)
    image[8:13, 8:13] = 100
    larger = ImageDataGenerator().apply_transform(image, {"zx": 0.5, "zy": 0.5})
    assert 3.5 < larger.sum() / image.sum() < 4.5


def test_flips_are_exact_and_nothing_changes_nothing():
    image = picture()
    generator = ImageDataGenerator()
    np.testing.assert_array_equal(generator.apply_transform(image, {}), image)
    np.testing.assert_array_equal(
        generator.apply_transform(image, {"flip_horizontal": True}), image[:, ::-1]
    )
    np.testing.assert_array_equal(
        generator.apply_transform(image, {"flip_vertical": True}), image[::-1]
    )
    integers = image.astype(np.uint8)
    kept = integers.copy()
    generator.apply_transform(integers, {"theta": 10, "brightness": 1.3})
    np.testing.assert_array_equal(integers, kept)


def test_flips_come_after_the_geometry():
    image = picture()
    generator = ImageDataGenerator()
    both = generator.apply_transform(image, {"theta": 20, "tx": 3, "flip_horizontal": True})
    first = generator.apply_transform(image, {"theta": 20, "tx": 3})
    np.testing.assert_array_equal(both, first[:, ::-1])


@pytest.mark.parametrize("order", [0, 1, 3])
def test_interpolation_orders_agree_on_whole_pixels(order):
    image = picture()
    moved = ImageDataGenerator(interpolation_order=order).apply_transform(image, {"tx": 2})
    np.testing.assert_allclose(moved[:, :-2], image[:, 2:], atol=1e-3)


def test_channel_shift_keeps_the_range():
    image = picture()
    shifted = augmentation.shift_channels(image, 40.0)
    np.testing.assert_allclose(shifted, np.clip(image + 40, image.min(), image.max()))


def test_brightness():
    image = picture()
    np.testing.assert_allclose(
        augmentation.change_brightness(image, 1.5), np.clip(image * 1.5, 0, 255), rtol=1e-6
    )
    signed = np.array([[[-1.0], [0.0], [1.0]]], np.float32)
    np.testing.assert_allclose(
        augmentation.change_brightness(signed, 0.5), [[[-1.0], [-0.5], [0.0]]]
    )


def test_batched_matrices_are_those_that_scikit_image_composes():
    draw = np.random.default_rng(0)
    count, height, width = 40, 30, 44
    parameters = {
        "theta": draw.uniform(-180, 180, count),
        "tx": draw.uniform(-20, 20, count),
        "ty": draw.uniform(-20, 20, count),
        "shear": draw.uniform(-40, 40, count),
        "zx": draw.uniform(0.3, 2, count),
        "zy": draw.uniform(0.3, 2, count),
        "flip_horizontal": draw.random(count) < 0.5,
        "flip_vertical": draw.random(count) < 0.5,
    }
    matrices = augmentation.inverse_matrices(parameters, height, width)
    for i, matrix in enumerate(matrices):
        one = {name: values[i] for name, values in parameters.items()}
        flip = np.eye(3)
        if one["flip_horizontal"]:
            flip = flip @ [[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]]
        if one["flip_vertical"]:
            flip = flip @ [[1, 0, 0], [0, -1, height - 1], [0, 0, 1]]
        expected = augmentation.inverse_matrix(one, height, width) @ flip
        np.testing.assert_allclose(matrix, expected[:2], rtol=1e-12, atol=1e-11)
