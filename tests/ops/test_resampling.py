"""Resizing against Keras's NumPy backend, and its way back against its own matrix."""

from __future__ import annotations

import numpy as np
import pytest
from keras_reference import import_keras, keras_test
from PIL import Image

from fastconv.ops.resampling import INTERPOLATIONS, ResizePlan, cropped, padded

SIZES = [((7, 9), (14, 18)), ((20, 13), (6, 31)), ((5, 5), (5, 8)), ((1, 4), (3, 2))]


def pictures(height, width, channels=3):
    drawn = np.random.default_rng(height + width).random((2, height, width, channels), np.float32)
    return 255 * drawn


def resized(x, target, windows=None, **options):
    out = np.full((len(x), *target, x.shape[3]), np.nan, np.float32)
    ResizePlan(x.shape[1:3], target, windows, **options).forward(x, out)
    return out


@keras_test
@pytest.mark.parametrize(
    ("interpolation", "antialias"), [("bilinear", False), ("bilinear", True), ("bicubic", True)]
)
@pytest.mark.parametrize(("source", "target"), SIZES)
def test_as_in_keras(source, target, interpolation, antialias):
    keras, x = import_keras(), pictures(*source)
    for options, window in (
        ({}, lambda source, target: None),
        ({"crop_to_aspect_ratio": True}, cropped),
        ({"pad_to_aspect_ratio": True}, padded),
    ):
        theirs = keras.ops.image.resize(
            x, target, interpolation, antialias, fill_value=7.5,
            data_format="channels_last", **options,
        )  # fmt: skip
        mine = resized(
            x, target, window(source, target), interpolation=interpolation,
            antialias=antialias, fill_value=7.5,
        )  # fmt: skip
        np.testing.assert_allclose(mine, np.asarray(theirs), atol=2e-3)


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_nearest_as_in_pytorch(source, target):
    torch = pytest.importorskip("torch", reason="compares with PyTorch's own figures")
    x = pictures(*source)
    channels_first = torch.from_numpy(np.moveaxis(x, -1, 1).copy())
    theirs = torch.nn.functional.interpolate(channels_first, target, mode="nearest-exact")
    mine = resized(x, target, interpolation="nearest")
    np.testing.assert_array_equal(mine, np.moveaxis(theirs.numpy(), 1, -1))


@pytest.mark.parametrize(("source", "target"), [((20, 13), (6, 31)), ((9, 9), (30, 4))])
def test_lanczos_as_in_pillow(source, target):
    x = pictures(*source, channels=1)
    theirs = Image.fromarray(x[0, :, :, 0]).resize(target[::-1], Image.Resampling.LANCZOS)
    mine = resized(x, target, interpolation="lanczos3", antialias=True)
    np.testing.assert_allclose(mine[0, :, :, 0], np.asarray(theirs), atol=2e-3)


def test_without_antialiasing_a_kernel_is_as_wide_as_a_pixel():
    """Keys's cubic kernel at a quarter of a pixel, by hand: a = -1/2."""
    x = np.arange(8, dtype=np.float32).reshape(1, 1, 8, 1) ** 3
    weights = np.array([-9, 111, 29, -3]) / 128
    out = resized(x, (1, 16), interpolation="bicubic")
    np.testing.assert_allclose(out[0, 0, 7, 0], weights @ x[0, 0, 2:6, 0], rtol=1e-6)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_the_gradient_is_the_transpose(interpolation):
    source, target = (6, 9), (11, 4)
    for windows in (None, cropped(source, target), padded(source, target)):
        plan = ResizePlan(source, target, windows, interpolation)
        rng = np.random.default_rng(0)
        x = rng.normal(size=(2, *source, 2)).astype(np.float32)
        dy = rng.normal(size=(2, *target, 2)).astype(np.float32)
        y, dx = np.empty_like(dy), np.empty_like(x)
        plan.forward(x, y)
        plan.backward(dy, dx)
        assert np.vdot(dy, y) == pytest.approx(np.vdot(dx, x), rel=1e-4, abs=1e-4)


def test_a_picture_of_the_right_size_stays_as_it_is():
    x = pictures(8, 5)
    for interpolation in INTERPOLATIONS:
        np.testing.assert_allclose(resized(x, (8, 5), interpolation=interpolation), x, rtol=1e-6)
    np.testing.assert_array_equal(resized(x, (8, 5), interpolation="nearest"), x)


def test_a_plan_serves_batches_of_any_size():
    plan, x = ResizePlan((6, 6), (3, 4)), pictures(6, 6)
    whole, part = np.empty((2, 3, 4, 3), np.float32), np.empty((1, 3, 4, 3), np.float32)
    plan.forward(x[1:], part)
    plan.forward(x, whole)
    np.testing.assert_array_equal(whole[1:], part)
    plan.forward(x[:0], part[:0])
