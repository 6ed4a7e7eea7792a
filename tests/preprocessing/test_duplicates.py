"""Near duplicates: the same picture to the eye, in its colours."""

from __future__ import annotations

import numpy as np
from image_folders import write_image
from PIL import Image, ImageEnhance

from fastconv.preprocessing.inspection import inspect

GREY = np.array([0.299, 0.587, 0.114])


def recoloured(pixels, shift):
    """Return the picture in other colours of the same grey, as Pillow's luminance has it."""
    shift = np.array(shift, float)
    return np.clip(pixels + shift - shift @ GREY, 0, 255).astype(np.uint8)


def pictures(folder, **images):
    for name, image in images.items():
        path = folder / "set" / "a" / name.replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    write_image(folder / "set" / "b" / "other.png", 99)
    return [
        sorted(inspection_path(inspection, number) for number in group.members)
        for inspection in [inspect(folder / "set")]
        for group in inspection.groups
    ]


def inspection_path(inspection, number):
    return inspection.pictures[number].path.rpartition("/")[2]


def scene():
    draw = np.random.default_rng(5)
    cells = draw.integers(80, 170, (6, 6, 1), dtype=np.uint8).repeat(3, axis=2)
    return np.asarray(Image.fromarray(cells).resize((120, 96), Image.Resampling.BICUBIC)).astype(
        int
    )


def test_the_same_shapes_in_other_colours_are_other_pictures(tmp_path):
    red, green = (recoloured(scene(), shift) for shift in ([80, 0, 0], [0, 60, 0]))
    greys = [np.asarray(Image.fromarray(p).convert("L")).astype(int) for p in (red, green)]
    assert np.abs(greys[0] - greys[1]).mean() < 2  # by their grey they are the same
    found = pictures(tmp_path, red_png=Image.fromarray(red), green_png=Image.fromarray(green))
    assert found == []


def test_a_coloured_part_makes_the_difference_too(tmp_path):
    plain = recoloured(scene(), [30, 0, -30])
    with_ball = plain.astype(int)
    with_ball[40:60, 40:70] = recoloured(with_ball[40:60, 40:70], [-90, 40, 60])
    found = pictures(
        tmp_path,
        one_png=Image.fromarray(plain),
        other_png=Image.fromarray(with_ball.astype(np.uint8)),
    )
    assert found == []


def test_other_sizes_qualities_and_brightnesses_and_grey_are_the_same_picture(tmp_path):
    image = Image.fromarray(recoloured(scene(), [50, -20, 10]))
    image.convert("RGB").save(tmp_path / "poor.jpg", quality=40)
    found = pictures(
        tmp_path,
        image_png=image,
        small_png=image.resize((50, 40)),
        light_png=ImageEnhance.Brightness(image).enhance(1.03),
        grey_png=image.convert("L"),
        poor_png=Image.open(tmp_path / "poor.jpg"),
    )
    assert found == [["grey.png", "image.png", "light.png", "poor.png", "small.png"]]
