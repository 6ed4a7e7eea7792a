"""One picture of the drawn data set: background, animal, light and lens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .animals import draw_animal, random_animal
from .pen import Color, Pen, mix, shade

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

# Pillow's shapes have hard edges, so scenes are drawn at twice the size and halved.
_OVERSAMPLING = 2
_SCENES = ("outdoors", "room", "cloth", "blurred")


def draw_scene(kind: str, seed: int) -> Image:
    """Return a picture of a "cat" or a "dog", RGB, each side 80-150 pixels long.

    The same seed gives the same pixels: NumPy keeps the stream of RandomState
    for ever.
    """
    from PIL import Image, ImageDraw

    random = np.random.RandomState(seed)
    width, height = (int(side) for side in random.randint(80, 151, 2))
    size = (width * _OVERSAMPLING, height * _OVERSAMPLING)
    image = _background(size, random)
    animal = random_animal(kind, random)
    shorter = min(size)
    pen = Pen(
        ImageDraw.Draw(image),
        size[0] * random.uniform(0.42, 0.58),
        size[1] * random.uniform(0.42, 0.54),
        shorter * random.uniform(0.19, 0.27) * (1.25 if animal.pose == "portrait" else 1.0),
        math.radians(random.uniform(-12, 12)),
        bool(random.randint(2)),
    )
    draw_animal(pen, animal, random)
    if random.uniform() < 0.3:
        _cover(ImageDraw.Draw(image), size, random)
    image = image.resize((width, height), Image.Resampling.BOX)
    return _photograph(image, random)


def _background(size: tuple[int, int], random: np.random.RandomState) -> Image:
    from PIL import Image, ImageDraw, ImageFilter

    scene = _SCENES[random.randint(len(_SCENES))]
    first, second = _color(random), _color(random)
    image = Image.new("RGB", size, first)
    draw = ImageDraw.Draw(image)
    width, height = size
    horizon = int(height * random.uniform(0.45, 0.75))
    if scene == "outdoors":
        draw.rectangle((0, horizon, width, height), fill=second)
        for _ in range(60):
            x, y = random.uniform(0, width), random.uniform(horizon, height)
            blade = shade(second, random.uniform(0.7, 1.3))
            draw.line((x, y, x + random.uniform(-6, 6), y - random.uniform(8, 22)), blade, 2)
        _blobs(draw, (width, horizon), 4, random)
    elif scene == "room":
        draw.rectangle((0, horizon, width, height), fill=second)
        draw.rectangle((0, horizon - 6, width, horizon), fill=shade(first, 1.25))
        for _ in range(random.randint(1, 4)):
            x, y = random.uniform(0, width), random.uniform(0, horizon)
            half = random.uniform(12, 60, 2)
            draw.rectangle((x, y, x + half[0], y + half[1]), _color(random), shade(first, 0.5), 3)
    elif scene == "cloth":
        step, thickness = random.randint(14, 48), random.randint(4, 14)
        slope = int(random.uniform(-1, 1) * height)
        for x in range(-height, width + height, step):
            draw.line((x, 0, x + slope, height), second, int(thickness))
    else:
        _blobs(draw, size, 14, random)
    if scene != "cloth" or random.uniform() < 0.5:
        image = image.filter(ImageFilter.BoxBlur(random.uniform(0.5, 5)))
    return image


def _blobs(
    draw: ImageDraw, area: tuple[int, int], count: int, random: np.random.RandomState
) -> None:
    for _ in range(count):
        x, y = random.uniform(0, area[0]), random.uniform(0, area[1])
        rx, ry = random.uniform(8, 60, 2)
        draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=_color(random))


def _cover(draw: ImageDraw, size: tuple[int, int], random: np.random.RandomState) -> None:
    """Put something in front of the animal: a post, a ball or a ledge."""
    width, height = size
    color = _color(random)
    thing = random.randint(3)
    if thing == 0:
        x, half = random.uniform(0, width), random.uniform(3, 12)
        draw.rectangle((x - half, 0, x + half, height), fill=color)
    elif thing == 1:
        x, y = random.uniform(0, width), random.uniform(0.6, 1.0) * height
        radius = random.uniform(10, 34)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), color, shade(color, 0.6), 3)
    else:
        draw.rectangle((0, height * random.uniform(0.8, 0.95), width, height), fill=color)


def _photograph(image: Image, random: np.random.RandomState) -> Image:
    """Return the picture under uneven, coloured light, a little blurred and noisy."""
    from PIL import Image, ImageFilter

    if random.uniform() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.1)))
    pixels = np.asarray(image, np.float32)
    height, width = pixels.shape[:2]
    across = np.linspace(-1, 1, width, dtype=np.float32) * np.float32(random.uniform(-0.25, 0.25))
    down = np.linspace(-1, 1, height, dtype=np.float32) * np.float32(random.uniform(-0.25, 0.25))
    light = np.float32(random.uniform(0.7, 1.2)) + across + down[:, np.newaxis]
    tint = random.uniform(0.9, 1.1, 3).astype(np.float32)
    noise = random.randint(-12, 13, pixels.shape).astype(np.float32)
    noise *= np.float32(random.uniform(0.1, 1.0))
    pixels = pixels * light[:, :, np.newaxis] * tint + noise
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _color(random: np.random.RandomState) -> Color:
    """Return a colour, more often dull than bright."""
    color = tuple(int(part) for part in random.randint(40, 226, 3))
    grey = sum(color) // 3
    return mix(color, (grey, grey, grey), random.uniform(0.3, 0.95))
