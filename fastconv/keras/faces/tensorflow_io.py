"""`tf.io`: a file's bytes, and images of them."""

from __future__ import annotations

import glob as _glob
import io
import os
from typing import Any

import numpy as np

from ..eager import as_tensor

__all__ = ["decode_image", "decode_jpeg", "decode_png", "exists", "glob", "read_file"]


def read_file(filename: Any) -> bytes:
    """Return what a file holds."""
    with open(os.fsdecode(np.asarray(filename).item()), "rb") as file:
        return file.read()


def exists(path: Any) -> bool:
    return os.path.exists(path)


def glob(pattern: str) -> list[str]:
    return sorted(_glob.glob(pattern))


def decode_image(contents: bytes, channels: int = 0, expand_animations: bool = True) -> Any:
    """Return the image that bytes hold, (height, width, channels) uint8.

    `channels` is 1, 3 or 4, or 0 for those of the file.
    """
    from PIL import Image

    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    if channels not in (0, *modes):
        raise ValueError(f"decode_image: channels is {channels!r}; it must be 0, 1, 3 or 4")
    with Image.open(io.BytesIO(contents)) as image:
        kept = image.mode if image.mode in modes.values() else "RGB"
        pixels = np.array(image.convert(modes.get(channels, kept)))
    return as_tensor(pixels if pixels.ndim == 3 else pixels[..., np.newaxis])


def decode_jpeg(contents: bytes, channels: int = 0) -> Any:
    return decode_image(contents, channels)


decode_png = decode_jpeg
