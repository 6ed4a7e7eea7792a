"""Weights, feature maps and answers as pictures: arrays of 0 to 255 for TensorBoard."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np

_GAP = 1  # pixels between two tiles
_LEAST_SIDE = 24  # pixels of a tile; smaller ones are magnified in whole steps
_CAPTION = 14  # pixels of height


def as_levels(values: np.ndarray) -> np.ndarray:
    """Return `values` as uint8, from its smallest (0) to its largest (255) finite number."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.zeros(values.shape, np.uint8)
    low, high = float(finite.min()), float(finite.max())
    scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) * (
        255 / (high - low) if high > low else 0.0
    )
    levels: np.ndarray = np.rint(scaled).astype(np.uint8)
    return levels


def mosaic(tiles: np.ndarray) -> np.ndarray:
    """Return tiles (n, height, width, 1 or 3) uint8 as one picture, in rows, nearly square."""
    count, height, width, channels = tiles.shape
    factor = max(1, math.ceil(_LEAST_SIDE / max(height, width)))
    tiles = tiles.repeat(factor, axis=1).repeat(factor, axis=2)
    height, width = height * factor, width * factor
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    picture = np.full(
        (rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, channels), 128, np.uint8
    )
    for number, tile in enumerate(tiles):
        top, left = number // columns * (height + _GAP), number % columns * (width + _GAP)
        picture[top : top + height, left : left + width] = tile
    return picture


def kernel_mosaic(kernel: np.ndarray) -> np.ndarray:
    """Return a convolution's kernel (height, width, channels, filters) as one picture.

    Kernels that read three channels are shown in colour, a tile a filter; others in grey, a tile
    for each channel of each filter.  Each tile has its own scale.
    """
    filters = np.moveaxis(kernel, -1, 0)
    if filters.shape[-1] != 3:
        filters = np.moveaxis(filters, -1, 1).reshape(-1, *kernel.shape[:2], 1)
    return mosaic(np.stack([as_levels(one) for one in filters]))


def map_mosaic(maps: np.ndarray, most: int = 64) -> np.ndarray:
    """Return the maps (height, width, channels) of one image, the first `most`, as one picture."""
    return mosaic(as_levels(np.moveaxis(maps, -1, 0)[:most, ..., np.newaxis]))


def answers(images: np.ndarray, captions: Sequence[str]) -> np.ndarray:
    """Return images (n, height, width, 1 or 3) of any scale, each over its caption, as one."""
    from PIL import Image, ImageDraw, ImageFont

    count, height, width = images.shape[:3]
    factor = max(1, math.ceil(96 / width))
    tiles = np.empty((count, height * factor + _CAPTION, width * factor, 3), np.uint8)
    for tile, image, caption in zip(tiles, images, captions, strict=True):
        picture = Image.new("RGB", (width * factor, height * factor + _CAPTION), "white")
        levels = np.broadcast_to(as_levels(image), (height, width, 3))
        enlarged = levels.repeat(factor, axis=0).repeat(factor, axis=1)
        picture.paste(Image.fromarray(enlarged))
        draw = ImageDraw.Draw(picture)
        font = ImageFont.load_default()
        draw.text((2, height * factor + 1), caption, fill="black", font=font)
        tile[...] = np.asarray(picture)
    return mosaic(tiles)


def png(picture: np.ndarray) -> bytes:
    """Return a picture (height, width, 1 or 3) uint8 as the bytes of a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(file, "PNG")
    return file.getvalue()
