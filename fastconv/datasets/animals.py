"""A cat or a dog, drawn in one of four poses.

Both share coats, poses, sizes and places; what tells them apart is shape: ears,
snout, whiskers, tail, legs. A head has radius 1 about the origin of its pen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .pen import Color, Pen, Point, mix, shade

_COATS: tuple[Color, ...] = (
    (52, 48, 48),
    (96, 92, 92),
    (150, 146, 142),
    (226, 220, 210),
    (206, 142, 74),
    (150, 98, 56),
    (98, 66, 44),
    (220, 190, 146),
)
_PATTERNS = ("plain", "plain", "patches", "stripes", "pale")
_POSES = ("portrait", "sitting", "standing", "lying")
_PINK, _DARK, _WHITE = (214, 150, 146), (30, 26, 26), (240, 238, 234)
_CAT_EYES: tuple[Color, ...] = ((176, 186, 70), (214, 172, 60), (110, 160, 120), (90, 60, 36))
_DOG_EYES: tuple[Color, ...] = ((70, 44, 26), (96, 62, 32), (40, 30, 26), (150, 110, 60))


@dataclass
class Animal:
    """What one animal looks like; lengths are in head radii."""

    kind: str
    pose: str
    coat: Color
    second: Color
    pattern: str
    eye: Color
    pointed_ears: bool
    ear: float
    snout: float
    tail: float
    leg: float
    tongue: bool
    looks: float

    @property
    def edge(self) -> Color:
        """The colour of outlines: it keeps the parts apart."""
        return shade(self.coat, 0.68)


def random_animal(kind: str, random: np.random.RandomState) -> Animal:
    """Return a random cat or dog."""
    cat = kind == "cat"
    first, second = random.permutation(len(_COATS))[:2]
    coat = tuple(int(part + random.randint(-14, 15)) for part in _COATS[first])
    eyes = _CAT_EYES if cat else _DOG_EYES
    return Animal(
        kind=kind,
        pose=_POSES[random.choice(4, p=(0.3, 0.25, 0.25, 0.2))],
        coat=coat,
        second=_COATS[second],
        pattern=_PATTERNS[random.randint(len(_PATTERNS))],
        eye=eyes[random.randint(len(eyes))],
        pointed_ears=cat or bool(random.uniform() < 0.25),
        ear=random.uniform(0.8, 1.2),
        snout=random.uniform(0.85, 1.2),
        tail=random.uniform(0.8, 1.2),
        leg=random.uniform(0.85, 1.15) * (0.85 if cat else 1.2),
        tongue=not cat and bool(random.uniform() < 0.4),
        looks=random.uniform(-0.15, 0.15),
    )


def draw_animal(pen: Pen, animal: Animal, random: np.random.RandomState) -> None:
    """Draw the animal about the pen's origin, within about 2 units each way."""
    {"portrait": _portrait, "sitting": _sitting, "standing": _standing, "lying": _lying}[
        animal.pose
    ](pen, animal, random)


def _portrait(pen: Pen, animal: Animal, random: np.random.RandomState) -> None:
    _part(pen, animal, 0, 2.1, 1.25, 1.3)
    _mark(pen, animal, random, 0, 2.1, 1.0, 1.0)
    _head(pen.moved(0, 0.1, 1.15), animal, random)


def _sitting(pen: Pen, animal: Animal, random: np.random.RandomState) -> None:
    if animal.kind == "cat":
        _tail(pen, animal, ((0.6, 1.75), (2.3 * animal.tail, 1.9), (1.5 * animal.tail, 0.5)))
    else:
        _tail(pen, animal, ((0.6, 1.6), (1.3, 1.5), (1.6 * animal.tail, 0.9)))
    _part(pen, animal, 0, 1.15, 0.85, 1.05)
    _mark(pen, animal, random, 0, 1.1, 0.7, 0.8)
    for side in (-1, 1):
        _part(pen, animal, side * 0.72, 1.75, 0.38, 0.45)
        _leg(pen, animal, side * 0.3, 1.0, side * 0.32, 2.1)
    size = 0.74 if animal.kind == "cat" else 0.8
    _head(pen.moved(0, -0.45, size, animal.looks), animal, random)


def _standing(pen: Pen, animal: Animal, random: np.random.RandomState) -> None:
    foot = 0.75 + animal.leg
    if animal.kind == "cat":
        top = -1.9 * animal.tail + 0.4
        _tail(pen, animal, ((1.45, 0.1), (2.6, 0.4), (2.0, top)))
    else:
        _tail(pen, animal, ((1.45, 0.05), (1.9, -0.1), (2.1 * animal.tail, -0.75)))
    for x, lean in ((-0.75, -0.15), (1.1, 0.2)):
        _leg(pen, animal, x, 0.4, x + lean, foot - 0.08, dim=0.8)
    _part(pen, animal, 0.2, 0.25, 1.45, 0.62)
    _mark(pen, animal, random, 0.2, 0.2, 1.2, 0.45)
    for x, lean in ((-0.95, 0.1), (1.25, -0.1)):
        _leg(pen, animal, x, 0.4, x + lean, foot)
    pen.stroke(((-0.9, 0.1), (-1.2, -0.3), (-1.4, -0.6)), 0.45, 0.38, animal.coat)
    size = 0.62 if animal.kind == "cat" else 0.66
    head = pen.moved(-1.5, -0.75, size, animal.looks)
    if random.uniform() < 0.6:
        _profile(head, animal)
    else:
        _head(head, animal, random)


def _lying(pen: Pen, animal: Animal, random: np.random.RandomState) -> None:
    if animal.kind == "cat":
        _tail(pen, animal, ((1.5, 0.9), (2.4 * animal.tail, 1.5), (0.6, 1.45)))
    else:
        _tail(pen, animal, ((1.5, 0.7), (2.0, 0.6), (2.3 * animal.tail, 0.2)))
    _part(pen, animal, 0.35, 0.7, 1.5, 0.7)
    _mark(pen, animal, random, 0.4, 0.6, 1.2, 0.5)
    _part(pen, animal, 1.05, 0.95, 0.6, 0.5)
    reach = -1.5 - 0.3 * animal.leg
    for y in (1.15, 1.32):
        pen.stroke(((-0.6, 1.0), (-1.0, y), (reach, y)), 0.26, 0.2, animal.edge)
        pen.stroke(((-0.6, 1.0), (-1.0, y), (reach, y)), 0.22, 0.16, animal.coat)
    head = pen.moved(-0.95, -0.1, 0.72, animal.looks)
    if random.uniform() < 0.3:
        _profile(head, animal)
    else:
        _head(head, animal, random)


def _part(pen: Pen, animal: Animal, x: float, y: float, rx: float, ry: float) -> None:
    pen.blob(x, y, rx + 0.06, ry + 0.06, animal.edge)
    pen.blob(x, y, rx, ry, animal.coat)


def _leg(
    pen: Pen, animal: Animal, x: float, y: float, foot_x: float, foot_y: float, dim: float = 1.0
) -> None:
    width = 0.17 if animal.kind == "cat" else 0.2
    path = ((x, y), (x, (y + foot_y) / 2), (foot_x, foot_y))
    pen.stroke(path, width + 0.1, width + 0.04, animal.edge)
    pen.stroke(path, width + 0.06, width, shade(animal.coat, dim))
    pen.blob(foot_x - 0.08, foot_y + 0.05, width + 0.1, width * 0.8, shade(animal.coat, dim * 0.9))


def _tail(pen: Pen, animal: Animal, path: Sequence[Point]) -> None:
    start, end = (0.15, 0.11) if animal.kind == "cat" else (0.24, 0.09)
    pen.stroke(path, start + 0.05, end + 0.05, animal.edge, steps=22)
    pen.stroke(path, start, end, shade(animal.coat, 0.95), steps=22)


def _mark(
    pen: Pen,
    animal: Animal,
    random: np.random.RandomState,
    x: float,
    y: float,
    rx: float,
    ry: float,
) -> None:
    """Draw the coat's pattern inside an ellipse."""
    if animal.pattern == "patches":
        for _ in range(3):
            dx, dy = random.uniform(-0.6, 0.6, 2)
            size = random.uniform(0.25, 0.45)
            pen.blob(
                x + dx * rx, y + dy * ry, size * rx, size * ry, animal.second, random.uniform(0, 3)
            )
    elif animal.pattern == "stripes":
        for dx in np.linspace(-0.75, 0.75, 6):
            half = 0.8 * ry * (1 - dx * dx) ** 0.5
            points = (
                (x + dx * rx, y - half),
                (x + dx * rx + 0.1, y),
                (x + dx * rx, y + half * 0.3),
            )
            pen.stroke(points, 0.07, 0.03, shade(animal.coat, 0.62))
    elif animal.pattern == "pale":
        pen.blob(x, y + 0.35 * ry, 0.6 * rx, 0.6 * ry, mix(animal.coat, _WHITE, 0.6))


def _head(pen: Pen, animal: Animal, random: np.random.RandomState) -> None:
    """Draw the head from the front."""
    (_cat_face if animal.kind == "cat" else _dog_face)(pen, animal)
    if animal.pattern == "stripes":
        for x in (-0.25, 0, 0.25):
            pen.line(((x, -0.8), (x * 0.8, -0.45)), 0.09, shade(animal.coat, 0.62))
    elif animal.pattern == "patches" and random.uniform() < 0.5:
        pen.blob(-0.5, -0.45, 0.22, 0.2, animal.second)


def _cat_face(pen: Pen, animal: Animal) -> None:
    _pointed_ears(pen, animal, spread=0.92, height=1.4 * animal.ear)
    pen.blob(0, 0, 1.06, 0.94, animal.edge)
    pen.blob(0, 0, 1.0, 0.88, animal.coat)
    for side in (-1, 1):
        pen.blob(side * 0.42, -0.1, 0.25, 0.19, _DARK, side * 0.25)
        pen.blob(side * 0.42, -0.1, 0.21, 0.15, animal.eye, side * 0.25)
        pen.blob(side * 0.42, -0.1, 0.06, 0.15, _DARK)
        pen.blob(side * 0.16, 0.42, 0.21, 0.16, mix(animal.coat, _WHITE, 0.55))
    pen.shape(((-0.11, 0.24), (0.11, 0.24), (0, 0.37)), _PINK)
    # Whiskers stand out from any coat and most backgrounds.
    bright = sum(animal.coat) > 420
    for side in (-1, 1):
        for dy in (-0.16, 0.0, 0.16):
            tip = (side * 1.5, 0.36 + 2.2 * dy)
            pen.line(((side * 0.24, 0.4 + 0.5 * dy), tip), 0.035, _DARK if bright else _WHITE)


def _dog_face(pen: Pen, animal: Animal) -> None:
    if animal.pointed_ears:
        _pointed_ears(pen, animal, spread=0.72, height=1.5 * animal.ear)
    pen.blob(0, 0, 0.92, 1.0, animal.edge)
    pen.blob(0, 0, 0.86, 0.94, animal.coat)
    if not animal.pointed_ears:
        for side in (-1, 1):
            root, bend = (side * 0.62, -0.62), (side * 1.3, -0.5)
            tip = (side * 1.02, 0.25 + 0.4 * animal.ear)
            pen.stroke((root, bend, tip), 0.24, 0.3, shade(animal.edge, 0.9))
            pen.stroke((root, bend, tip), 0.19, 0.24, shade(animal.coat, 0.78))
    muzzle = mix(animal.coat, _WHITE, 0.3)
    size = animal.snout
    if animal.tongue:
        pen.blob(0.06, 0.98 * size, 0.17, 0.34, (206, 96, 104))
    pen.blob(0, 0.52 * size, 0.52, 0.5 * size, shade(muzzle, 0.72))
    pen.blob(0, 0.5 * size, 0.47, 0.45 * size, muzzle)
    pen.blob(0, 0.28 * size, 0.22, 0.16, _DARK)
    pen.line(((0, 0.3 * size), (0, 0.68 * size)), 0.06, _DARK)
    pen.stroke(((-0.26, 0.66 * size), (0, 0.9 * size), (0.26, 0.66 * size)), 0.03, 0.03, _DARK)
    for side in (-1, 1):
        pen.blob(side * 0.38, -0.22, 0.15, 0.15, _DARK)
        pen.blob(side * 0.38, -0.22, 0.11, 0.11, animal.eye)
        pen.blob(side * 0.38 - 0.03, -0.26, 0.04, 0.04, _WHITE)


def _pointed_ears(pen: Pen, animal: Animal, spread: float, height: float) -> None:
    for side in (-1, 1):
        outer, inner, tip = (side * spread, -0.2), (side * 0.12, -0.78), (side * 0.8, -height)
        pen.shape((outer, inner, tip), animal.edge)
        middle = (side * (spread + 0.12) / 2, -0.5)
        smaller = [_inwards(point, middle) for point in (outer, inner, tip)]
        pen.shape(smaller, mix(animal.coat, _PINK, 0.45))


def _inwards(point: tuple[float, float], middle: tuple[float, float]) -> tuple[float, float]:
    """Return the point a quarter of the way towards the middle."""
    return (0.75 * point[0] + 0.25 * middle[0], 0.75 * point[1] + 0.25 * middle[1])


def _profile(pen: Pen, animal: Animal) -> None:
    """Draw the head from the side, looking to -x."""
    (_cat_profile if animal.kind == "cat" else _dog_profile)(pen, animal)


def _cat_profile(pen: Pen, animal: Animal) -> None:
    for x, color in ((-0.3, shade(animal.coat, 0.7)), (0.3, animal.edge)):
        pen.shape(((x - 0.36, -0.55), (x + 0.42, -0.4), (x + 0.12, -1.55 * animal.ear)), color)
    pen.blob(0, 0, 0.98, 0.9, animal.edge)
    pen.blob(0, 0, 0.92, 0.84, animal.coat)
    pen.blob(-0.72, 0.3, 0.38, 0.3, mix(animal.coat, _WHITE, 0.4))
    pen.shape(((-1.12, 0.16), (-0.92, 0.12), (-0.98, 0.3)), _PINK)
    pen.blob(-0.5, -0.12, 0.16, 0.15, animal.eye)
    pen.blob(-0.53, -0.12, 0.05, 0.14, _DARK)
    bright = sum(animal.coat) > 420
    for dy in (-0.14, 0.0, 0.14):
        ends = ((-0.75, 0.36 + 0.4 * dy), (0.15, 0.5 + 2.0 * dy))
        pen.line(ends, 0.04, _DARK if bright else _WHITE)


def _dog_profile(pen: Pen, animal: Animal) -> None:
    if animal.pointed_ears:
        pen.shape(((0.0, -0.6), (0.7, -0.4), (0.45, -1.4 * animal.ear)), animal.edge)
    pen.blob(0, 0, 0.9, 0.86, animal.edge)
    reach = -0.9 - 0.75 * animal.snout
    snout = ((-0.4, 0.2), (-0.9, 0.25), (reach, 0.32))
    pen.stroke(snout, 0.56, 0.32, animal.edge)
    pen.blob(0, 0, 0.84, 0.8, animal.coat)
    pen.stroke(snout, 0.5, 0.27, mix(animal.coat, _WHITE, 0.15))
    if animal.tongue:
        pen.stroke(((reach + 0.3, 0.6), (reach + 0.2, 0.8), (reach + 0.15, 1.0)), 0.12, 0.14, _PINK)
    pen.blob(reach - 0.18, 0.16, 0.17, 0.15, _DARK)
    pen.line(((reach - 0.1, 0.5), (-0.75, 0.52)), 0.05, _DARK)
    pen.blob(-0.42, -0.2, 0.13, 0.13, _DARK)
    pen.blob(-0.46, -0.24, 0.04, 0.04, _WHITE)
    if not animal.pointed_ears:
        ear = ((0.2, -0.55), (0.65, -0.3), (0.45, 0.3 + 0.4 * animal.ear))
        pen.stroke(ear, 0.2, 0.3, shade(animal.edge, 0.9))
        pen.stroke(ear, 0.15, 0.24, shade(animal.coat, 0.78))
