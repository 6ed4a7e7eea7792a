"""Drawing smooth shapes in an animal's own coordinates, by Pillow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

Color = tuple[int, ...]  # red, green, blue
Point = tuple[float, float]
_CORNERS = 26
_CIRCLE = [
    (math.cos(2 * math.pi * k / _CORNERS), math.sin(2 * math.pi * k / _CORNERS))
    for k in range(_CORNERS)
]


def shade(color: Color, factor: float) -> Color:
    """Return the colour darker (factor below 1) or brighter (above 1)."""
    return tuple(min(255, max(0, round(part * factor))) for part in color)


def mix(first: Color, second: Color, share: float) -> Color:
    """Return a colour between the two; share 0 is the first."""
    return tuple(round(a * (1 - share) + b * share) for a, b in zip(first, second, strict=True))


class Pen:
    """Draws in coordinates of its own: x to the right, y down, moved, rotated and scaled.

    Args:
        draw: where to draw.
        x, y: where the origin lies, in pixels.
        scale: pixels per unit.
        rotation: of the axes, in radians.
        mirror: whether x points to the left.
    """

    def __init__(
        self, draw: ImageDraw, x: float, y: float, scale: float, rotation: float, mirror: bool
    ) -> None:
        self.draw, self.x, self.y, self.scale = draw, x, y, scale
        self.rotation, self.mirror = rotation, mirror
        self._cos, self._sin = math.cos(rotation), math.sin(rotation)

    def moved(self, x: float, y: float, scale: float = 1.0, rotation: float = 0.0) -> Pen:
        """Return a pen with its origin at (x, y) of this one."""
        (px, py) = self._pixel((x, y))
        rotation = self.rotation + (-rotation if self.mirror else rotation)
        return Pen(self.draw, px, py, self.scale * scale, rotation, self.mirror)

    def shape(self, points: Sequence[Point], color: Color) -> None:
        """Fill the polygon."""
        self.draw.polygon([self._pixel(point) for point in points], fill=color)

    def blob(
        self, x: float, y: float, rx: float, ry: float, color: Color, rotation: float = 0.0
    ) -> None:
        """Fill an ellipse about (x, y) with half-axes rx and ry."""
        cos, sin = math.cos(rotation), math.sin(rotation)
        self.shape(
            [
                (x + rx * cx * cos - ry * cy * sin, y + rx * cx * sin + ry * cy * cos)
                for cx, cy in _CIRCLE
            ],
            color,
        )

    def stroke(
        self, points: Sequence[Point], start: float, end: float, color: Color, steps: int = 14
    ) -> None:
        """Draw a curve from the first to the last of 3 points, bent towards the middle one.

        Its half-width goes from `start` to `end`.
        """
        (x0, y0), (x1, y1), (x2, y2) = points
        for k in range(steps + 1):
            t = k / steps
            a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t * t
            px, py = self._pixel((a * x0 + b * x1 + c * x2, a * y0 + b * y1 + c * y2))
            radius = max(0.5, (start + (end - start) * t) * self.scale)
            self.draw.ellipse((px - radius, py - radius, px + radius, py + radius), fill=color)

    def line(self, points: Sequence[Point], width: float, color: Color) -> None:
        """Draw straight lines from point to point, at least one pixel wide."""
        pixels = [self._pixel(point) for point in points]
        self.draw.line(pixels, fill=color, width=max(1, round(width * self.scale)))

    def _pixel(self, point: Point) -> Point:
        x = -point[0] if self.mirror else point[0]
        y = point[1]
        return (
            self.x + self.scale * (x * self._cos - y * self._sin),
            self.y + self.scale * (x * self._sin + y * self._cos),
        )
