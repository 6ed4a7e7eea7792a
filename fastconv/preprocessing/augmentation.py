"""Changes to one image: geometry, channel shift, brightness, cutout; and the geometry of many.

Images are (height, width, channels) float32 with values of 0-255. Geometry is
one inverse matrix and one resampling. Nothing here draws random numbers.

Batches go through the kernel behind `fastconv.ops.augmentation`; the functions
on one image are the readable twin that it is checked against, by scikit-image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..ops.augmentation import about_center

# Keras's names for the values outside the picture, and scikit-image's names for the same.
_WARP_MODES = {"nearest": "edge", "reflect": "symmetric", "wrap": "wrap", "constant": "constant"}
FILL_MODES = tuple(_WARP_MODES)


def inverse_matrix(parameters: Mapping[str, Any], height: int, width: int) -> np.ndarray:
    """Return the (3, 3) matrix that takes (x, y, 1) of the output to (x, y, 1) of the input.

    It is rotation · shift · shear · zoom about the centre of the picture,
    ((width - 1) / 2, (height - 1) / 2), as in Keras: `theta` and `shear` in
    degrees, `tx` (columns) and `ty` (rows) in pixels, and since the map goes
    from output to input, zoom below 1 magnifies. Flips are not in it.
    """
    from skimage.transform import AffineTransform

    theta = math.radians(parameters.get("theta") or 0)
    shear = math.radians(parameters.get("shear") or 0)
    center = ((width - 1) / 2, (height - 1) / 2)
    # AffineTransform's own `shear` slants differently, so the shear is given as a matrix.
    slant = np.array([[1, -math.sin(shear), 0], [0, math.cos(shear), 0], [0, 0, 1]])
    shift = (parameters.get("tx", 0), parameters.get("ty", 0))
    zoom = (parameters.get("zx", 1), parameters.get("zy", 1))
    steps = (  # applied to a point of the output in this order
        AffineTransform(translation=(-center[0], -center[1])),
        AffineTransform(scale=zoom),
        AffineTransform(matrix=slant),
        AffineTransform(translation=shift),
        AffineTransform(rotation=theta),
        AffineTransform(translation=center),
    )
    matrix = np.eye(3)
    for step in steps:
        matrix = step.params @ matrix
    return matrix


def inverse_matrices(parameters: Mapping[str, np.ndarray], height: int, width: int) -> np.ndarray:
    """Return the first two rows of the inverse matrices of n images, flips included, (n, 2, 3).

    They are the products that `inverse_matrix` composes step by step, written
    out: composing them one by one costs as much as resampling the batch.

    Args:
        parameters: `theta`, `tx`, `ty`, `shear`, `zx`, `zy`, `flip_horizontal`
            and `flip_vertical`, each an array of n.
    """
    theta, shear = np.radians(parameters["theta"]), np.radians(parameters["shear"])
    cosine, sine = np.cos(theta), np.sin(theta)
    # A flip is the outermost step. About the same centre it is a negative zoom.
    zx = np.where(parameters["flip_horizontal"], -parameters["zx"], parameters["zx"])
    zy = np.where(parameters["flip_vertical"], -parameters["zy"], parameters["zy"])
    lean, rise = np.sin(shear), np.cos(shear)
    matrices = np.empty((len(theta), 2, 3))
    matrices[:, 0, 0] = cosine * zx
    matrices[:, 0, 1] = -(cosine * lean + sine * rise) * zy
    matrices[:, 1, 0] = sine * zx
    matrices[:, 1, 1] = (cosine * rise - sine * lean) * zy
    shift = np.stack([parameters["tx"], parameters["ty"]], axis=-1)
    matrices[:, 0, 2] = cosine * shift[:, 0] - sine * shift[:, 1]
    matrices[:, 1, 2] = sine * shift[:, 0] + cosine * shift[:, 1]
    return about_center(matrices, height, width)


def moves_pixels(parameters: Mapping[str, Any]) -> bool:
    """Whether the parameters ask for more geometry than flips."""
    return any(parameters.get(name, 0) for name in ("theta", "tx", "ty", "shear")) or any(
        parameters.get(name, 1) != 1 for name in ("zx", "zy")
    )


def warp(
    image: np.ndarray, matrix: np.ndarray, fill_mode: str, cval: float, order: int
) -> np.ndarray:
    """Resample the image through the inverse matrix; the shape stays.

    `order` 0 takes the nearest pixel, 1 interpolates linearly, 3 cubically.
    With `fill_mode="constant"` the edge blends into `cval` over one pixel.
    """
    from skimage.transform import AffineTransform
    from skimage.transform import warp as skimage_warp

    return skimage_warp(
        image,
        AffineTransform(matrix=matrix),
        order=order,
        mode=_WARP_MODES[fill_mode],
        cval=cval,
        preserve_range=True,
        # Only cubic interpolation overshoots the range of its values.
        clip=order > 1,
    )


def shift_channels(image: np.ndarray, intensity: float) -> np.ndarray:
    """Add `intensity` to every channel, within the image's own smallest and largest value."""
    return np.clip(image + np.float32(intensity), image.min(), image.max())


def change_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply the values by `factor`, within 0-255.

    Where the image leaves that range, its own smallest value stands for black
    and its largest for white.
    """
    darkest, brightest = image.min(), image.max()
    if darkest >= 0 and brightest <= 255:
        darkest, brightest = np.float32(0), np.float32(255)
    return np.clip((image - darkest) * np.float32(factor) + darkest, darkest, brightest)


def cut_out(image: np.ndarray, rectangle: Sequence[int], value: float) -> np.ndarray:
    """Return the image with `value` written over a rectangle: top, bottom, left, right."""
    top, bottom, left, right = rectangle
    image = image.copy()
    image[top:bottom, left:right] = value
    return image
