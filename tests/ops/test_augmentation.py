"""The augmentation kernel against SciPy and scikit-image, and its value changes against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.transform import AffineTransform, warp

from fastconv.ops.augmentation import FILL_MODES, about_center, pick_pixels, transform_images

SCIPY_MODES = {
    "nearest": "nearest",
    "reflect": "reflect",
    "wrap": "grid-wrap",
    "constant": "grid-constant",
}
SKIMAGE_MODES = {"nearest": "edge", "reflect": "symmetric", "wrap": "wrap", "constant": "constant"}
IDENTITY = np.eye(3)[:2]
# Coordinates are float32: 1e-5 pixels of up to 255 grey levels each.
TOLERANCE = 0.02


def images(count=3, height=21, width=34, channels=3, dtype=np.uint8):
    drawn = np.random.default_rng(channels).integers(0, 256, (count, height, width, channels))
    return drawn.astype(dtype)


def turned(degrees, zoom=1.0, shift=(0.0, 0.0), shape=(21, 34)):
    """The inverse matrix of a turn about the centre, as (2, 3)."""
    center = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    step = (
        AffineTransform(translation=-center)
        + AffineTransform(rotation=np.deg2rad(degrees), scale=zoom, translation=shift)
        + AffineTransform(translation=center)
    )
    return step.params[:2]


MATRICES = {
    "turn": turned(23),
    "shift": turned(0, shift=(-5.3, 7.8)),
    "far": turned(-160, zoom=4.7, shift=(60, -31)),
    "magnify": turned(5, zoom=0.1),
    "slant": np.array([[1.0, 0.4, -3.0], [0.0, 0.9, 1.5]]),
}


def by_scipy(image, matrix, fill_mode, cval):
    rows_first = matrix[::-1][:, [1, 0, 2]]
    return np.stack(
        [
            ndimage.affine_transform(
                image[..., c].astype(np.float64),
                rows_first[:, :2],
                rows_first[:, 2],
                order=1,
                mode=SCIPY_MODES[fill_mode],
                cval=cval,
            )
            for c in range(image.shape[2])
        ],
        axis=-1,
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("name", MATRICES)
def test_against_scipy_and_scikit_image(name, fill_mode, dtype):
    source, matrix = images(dtype=dtype), MATRICES[name]
    rows = np.array([2, 0, 2])
    result = transform_images(source, rows, np.stack([matrix] * 3), fill_mode=fill_mode, cval=17.25)
    assert result.dtype == np.float32 and result.shape == source.shape
    for found, row in zip(result, rows, strict=True):
        np.testing.assert_allclose(
            found, by_scipy(source[row], matrix, fill_mode, 17.25), atol=TOLERANCE
        )
        expected = warp(
            source[row].astype(np.float64),
            AffineTransform(matrix=np.vstack([matrix, [0, 0, 1]])),
            order=1,
            mode=SKIMAGE_MODES[fill_mode],
            cval=17.25,
            preserve_range=True,
        )
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 8, 9])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 1), (3, 65), (130, 2)])
def test_any_channels_and_sizes(size, channels, fill_mode):
    source = images(2, *size, channels)
    matrix = turned(40, zoom=1.3, shift=(0.6, -0.4), shape=size)
    result = transform_images(source, np.arange(2), np.stack([matrix] * 2), fill_mode=fill_mode)
    for found, image in zip(result, source, strict=True):
        expected = by_scipy(image, matrix, fill_mode, 0)
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 1), (9, 6), (3, 65), (130, 9)])
def test_bytes_give_the_same_bits_as_floats(size, channels, fill_mode):
    source = images(4, *size, channels)
    matrices = np.stack([turned(angle, 1.2, (2.7, -1), shape=size) for angle in (0, 33, 170)])
    for cval in (0, 17, 17.25, 255, 300, -4):
        options = {"fill_mode": fill_mode, "cval": cval, "factor": 1 / 255, "offset": -0.5}
        rows = np.array([3, 0, 2])
        of_bytes = transform_images(source, rows, matrices, **options)
        of_floats = transform_images(source.astype(np.float32), rows, matrices, **options)
        np.testing.assert_array_equal(of_bytes, of_floats)


def test_whole_pixels_are_exact():
    source = images()
    flip = np.array([[-1.0, 0.0, 33.0], [0.0, 1.0, 0.0]])
    quarter = np.array([[1.0, 0.0, 4.0], [0.0, -1.0, 20.0]])
    result = transform_images(source, np.arange(3), np.stack([IDENTITY, flip, quarter]))
    np.testing.assert_array_equal(result[0], source[0])
    np.testing.assert_array_equal(result[1], source[1][:, ::-1])
    np.testing.assert_array_equal(result[2][:, :-4], source[2][::-1, 4:])


def test_a_matrix_far_out_stays_in_memory():
    source = images()
    far = np.array([[1e30, -1e30, 1e300], [1e12, 3e5, -1e18]])
    for fill_mode in FILL_MODES:
        result = transform_images(source, np.zeros(1, int), far[np.newaxis], fill_mode=fill_mode)
        assert result.min() >= 0 and result.max() <= 255


def change_values(image, shift, gain):
    image = np.clip(image + shift, image.min(), image.max())
    dark, bright = image.min(), image.max()
    if dark >= 0 and bright <= 255:
        dark, bright = 0, 255
    return np.clip((image - dark) * gain + dark, dark, bright)


@pytest.mark.parametrize("matrix", [IDENTITY, turned(30)], ids=["still", "turned"])
@pytest.mark.parametrize(("low", "high"), [(0, 255), (20, 180), (-300, 400)])
@pytest.mark.parametrize(("shift", "gain"), [(0, 1), (40, 1), (-35, 1), (0, 1.6), (25, 0.4)])
def test_shift_and_brightness(shift, gain, low, high, matrix):
    source = (images(1).astype(np.float32) / 255 * (high - low) + low).astype(np.float32)
    if low >= 0:
        source = source.astype(np.uint8)
    factor, offset = np.array([0.5, 1.0, 2.0]), np.array([0.0, -3.0, 7.0])
    still = transform_images(source, [0], matrix[np.newaxis])[0].astype(np.float64)
    for scale, add in ((factor, offset), (1 / 255, -0.5)):
        result = transform_images(
            source,
            [0],
            matrix[np.newaxis],
            shifts=np.array([shift]),
            gains=np.array([gain]),
            factor=scale,
            offset=add,
        )
        expected = change_values(still, shift, gain) * scale + add
        np.testing.assert_allclose(result[0], expected, rtol=1e-5, atol=1e-3)


def test_centering_and_scaling_each_image():
    source = images(2, 40, 50)
    matrices = np.stack([turned(20, shape=(40, 50))] * 2)
    plain = transform_images(source, [0, 1], matrices, factor=1 / 255).astype(np.float64)
    mean = plain.mean(axis=(1, 2, 3), keepdims=True)
    std = plain.std(axis=(1, 2, 3), keepdims=True)
    centered = transform_images(source, [0, 1], matrices, factor=1 / 255, center=True)
    np.testing.assert_allclose(centered, plain - mean, atol=1e-6)
    scaled = transform_images(source, [0, 1], matrices, factor=1 / 255, scale=True, epsilon=1e-6)
    np.testing.assert_allclose(scaled, (plain - mean) / (std + 1e-6), atol=1e-5)
    flat = np.full((1, 3, 3, 1), 9, np.uint8)
    np.testing.assert_array_equal(
        transform_images(flat, [0], IDENTITY[np.newaxis], scale=True, epsilon=1e-6), 0
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_number_of_threads_does_not_matter(dtype):
    source = images(9, 50, 70, dtype=dtype)
    draw = np.random.default_rng(0)
    rows = draw.integers(0, 9, 13)
    matrices = np.stack([turned(angle, shape=(50, 70)) for angle in draw.uniform(-90, 90, 13)])
    options = {
        "shifts": draw.uniform(-30, 30, 13),
        "gains": draw.uniform(0.5, 1.5, 13),
        "fill_mode": "reflect",
        "scale": True,
    }
    first = transform_images(source, rows, matrices, num_threads=1, **options)
    for threads in (2, 3, 64):
        found = transform_images(source, rows, matrices, num_threads=threads, **options)
        np.testing.assert_array_equal(found, first)


def test_not_a_number_stays_one_and_out_is_used():
    source = np.zeros((1, 4, 4, 1), np.float32)
    source[0, 1, 2] = np.nan
    out = np.empty_like(source)
    assert transform_images(source, [0], IDENTITY[np.newaxis], out=out) is out
    assert np.isnan(out[0, 1, 2, 0]) and np.isnan(out).sum() == 1
    assert transform_images(source, [], np.empty((0, 2, 3))).shape == (0, 4, 4, 1)


def test_wrong_arguments_are_refused():
    source = images()
    one = IDENTITY[np.newaxis]
    with pytest.raises(TypeError, match="source is float64"):
        transform_images(source.astype(np.float64), [0], one)
    with pytest.raises(ValueError, match="rows reach outside the 3 images"):
        transform_images(source, [3], one)
    with pytest.raises(ValueError, match="rows reach outside"):
        transform_images(source, [-1], one)
    with pytest.raises(ValueError, match="matrices has shape"):
        transform_images(source, [0, 1], one)
    with pytest.raises(ValueError, match="not finite"):
        transform_images(source, [0], np.full((1, 2, 3), np.inf))
    with pytest.raises(ValueError, match="shifts has shape"):
        transform_images(source, [0], one, shifts=np.zeros(2))
    with pytest.raises(ValueError, match="fill_mode is 'edge'"):
        transform_images(source, [0], one, fill_mode="edge")
    with pytest.raises(ValueError, match="out"):
        transform_images(source, [0], one, out=np.empty((1, 2, 2, 3), np.float32))


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("name", MATRICES)
def test_nearest_pixels_against_scipy(name, fill_mode):
    source, matrix = images(dtype=np.float32) / 7, MATRICES[name]
    out = np.empty_like(source)
    pick_pixels(source, np.arange(3), np.stack([matrix] * 3), fill_mode, 17.25, out)
    rows_first = matrix[::-1][:, [1, 0, 2]]
    for image, picked in zip(source, out, strict=True):
        expected = np.stack(
            [
                ndimage.affine_transform(
                    image[..., c], rows_first[:, :2], rows_first[:, 2], order=0,
                    mode=SCIPY_MODES[fill_mode], cval=17.25,
                )
                for c in range(3)
            ],
            axis=-1,
        )  # fmt: skip
        # What lies just between two pixels is the one or the other.
        assert np.mean(picked != expected) < 0.01
        assert set(np.unique(picked)) <= {*np.unique(image), np.float32(17.25)}


def test_nearest_pixels_of_a_flip_and_of_nothing_are_exact():
    source = images(dtype=np.float32) / 7
    out = np.empty_like(source)
    rows = np.array([2, 0, 2])
    unchanged = np.stack([IDENTITY] * 3)
    np.testing.assert_array_equal(
        pick_pixels(source, rows, unchanged, "reflect", 0, out), source[rows]
    )
    mirror = about_center(np.stack([np.diag([-1.0, 1, 1])[:2]] * 3), *source.shape[1:3])
    np.testing.assert_array_equal(
        pick_pixels(source, rows, mirror, "reflect", 0, out), source[rows, :, ::-1]
    )
