"""`tf.image`: images or batches of them, (..., height, width, channels), in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import layers
from ..eager import as_tensor
from ..functions import convert_to_tensor
from . import tensorflow_io

__all__ = [
    *("adjust_brightness", "adjust_contrast", "convert_image_dtype", "decode_image"),
    *("decode_jpeg", "decode_png", "flip_left_right", "flip_up_down", "grayscale_to_rgb"),
    *("random_brightness", "random_contrast", "random_flip_left_right", "random_flip_up_down"),
    *("resize", "rgb_to_grayscale", "rot90"),
]
decode_image, decode_jpeg = tensorflow_io.decode_image, tensorflow_io.decode_jpeg
decode_png = decode_jpeg
_GREY = np.array([0.2989, 0.587, 0.114], np.float32)


def resize(
    images: Any, size: Any, method: str = "bilinear", preserve_aspect_ratio: bool = False
) -> Any:
    """Return images of another size, float32: method "bilinear", "nearest" or "bicubic"."""
    if preserve_aspect_ratio:
        raise ValueError("tf.image.resize: preserve_aspect_ratio is True; it must be False")
    x = np.asarray(images, np.float32)
    height, width = (int(one) for one in size)
    batch = x if x.ndim == 4 else x[np.newaxis]
    resized = layers.Resizing(height, width, interpolation=str(method).lower())(batch)
    return as_tensor(resized if x.ndim == 4 else resized[0])


def convert_image_dtype(image: Any, dtype: Any, saturate: bool = False) -> Any:
    """Return an image of whole numbers as one from 0 to 1, or the other way round."""
    x, kind = np.asarray(image), np.dtype(dtype)
    if x.dtype.kind in "iu" and kind.kind == "f":
        return as_tensor((x / np.iinfo(x.dtype).max).astype(kind))
    if x.dtype.kind == "f" and kind.kind in "iu":
        most = np.iinfo(kind).max
        return as_tensor(np.clip(x * (most + 0.5), 0, most).astype(kind))
    return as_tensor(x.astype(kind))


def flip_left_right(image: Any) -> Any:
    return convert_to_tensor(np.asarray(image)[..., ::-1, :])


def flip_up_down(image: Any) -> Any:
    return convert_to_tensor(np.asarray(image)[..., ::-1, :, :])


def _drawn(seed: Any) -> Any:
    return np.random if seed is None else np.random.RandomState(seed)


def random_flip_left_right(image: Any, seed: Any = None) -> Any:
    return flip_left_right(image) if _drawn(seed).rand() < 0.5 else convert_to_tensor(image)


def random_flip_up_down(image: Any, seed: Any = None) -> Any:
    return flip_up_down(image) if _drawn(seed).rand() < 0.5 else convert_to_tensor(image)


def rot90(image: Any, k: int = 1) -> Any:
    x = np.asarray(image)
    return convert_to_tensor(np.rot90(x, k, (x.ndim - 3, x.ndim - 2)))


def adjust_brightness(image: Any, delta: float) -> Any:
    return convert_to_tensor(np.asarray(image, np.float32) + np.float32(delta))


def random_brightness(image: Any, max_delta: float, seed: Any = None) -> Any:
    return adjust_brightness(image, _drawn(seed).uniform(-max_delta, max_delta))


def adjust_contrast(image: Any, contrast_factor: float) -> Any:
    x = np.asarray(image, np.float32)
    mean = x.mean(axis=(-3, -2), keepdims=True)
    return convert_to_tensor((x - mean) * np.float32(contrast_factor) + mean)


def random_contrast(image: Any, lower: float, upper: float, seed: Any = None) -> Any:
    return adjust_contrast(image, _drawn(seed).uniform(lower, upper))


def rgb_to_grayscale(images: Any) -> Any:
    x = np.asarray(images)
    grey = (x.astype(np.float32) @ _GREY)[..., np.newaxis]
    return convert_to_tensor(np.rint(grey).astype(x.dtype) if x.dtype.kind in "iu" else grey)


def grayscale_to_rgb(images: Any) -> Any:
    return convert_to_tensor(np.repeat(np.asarray(images), 3, axis=-1))
