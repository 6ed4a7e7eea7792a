"""Five shapes, drawn into pictures by Pillow."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

#: Of each shape its corners, and how far out every second one is, beside its neighbours.
SHAPES = {
    "disc": (40, 1.0),
    "triangle": (6, 0.5),
    "square": (8, 0.7),
    "star": (10, 0.45),
    "spark": (8, 0.25),
}


def blotches(count: int, seed: int, size: int) -> np.ndarray:
    """Return pictures of soft colours to draw into: (count, size, size, 3), 0-255."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 140, (count, 3, 3, 3), np.uint8)
    soft = [Image.fromarray(one).resize((size, size), Image.Resampling.BICUBIC) for one in colours]
    return np.stack([np.asarray(one, np.float32) for one in soft])


def drawn(pictures: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw a shape into each picture; return the pictures, the shapes' numbers, and their masks.

    The masks are (n, size, size, 1), 255 where the shape is and 0 elsewhere.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(SHAPES), len(pictures))
    inside = np.stack([_shape(label, pictures.shape[1], rng) for label in labels])
    colours = rng.integers(140, 256, (len(pictures), 1, 1, 3))
    noise = rng.normal(0, 10, pictures.shape)
    changed = np.clip(np.where(inside, colours, pictures) + noise, 0, 255)
    return changed.astype(np.float32), labels, np.where(inside, np.float32(255), np.float32(0))


def _shape(label: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return where a shape is, somewhere near the middle, turned at random."""
    corners, inner = list(SHAPES.values())[label]
    angles = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(corners) / corners
    radii = rng.uniform(0.2, 0.35) * size * np.where(np.arange(corners) % 2, inner, 1)
    x, y = rng.uniform(0.35 * size, 0.65 * size, 2)
    mask = Image.new("1", (size, size))
    outline = zip(x + radii * np.cos(angles), y + radii * np.sin(angles), strict=True)
    ImageDraw.Draw(mask).polygon(list(outline), fill=1)
    return np.asarray(mask)[:, :, np.newaxis]
