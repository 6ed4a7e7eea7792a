"""The random changes of images: their options, what is drawn, how it is applied."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .._core import random
from .._core.options import Once, Option
from .._core.validation import (
    channels_last,
    finite,
    fraction,
    fraction_below_one,
    one_of,
    optional,
    truth,
    wrong_value,
)
from . import augmentation
from .normalization import OWNER, Normalization
from .ranges import (
    amounts,
    between,
    either_way,
    magnitude,
    mix_alpha,
    pair,
    rectangles,
    share_pair,
    shifts,
    zoom_pair,
)

# How many random numbers an image takes; each has its own place.
DRAWS = 17
#: The options that say what is done at random.
RANDOM_CHANGES = (
    "rotation_range",
    "width_shift_range",
    "height_shift_range",
    "shear_range",
    "zoom_range",
    "isotropic_zoom",
    "channel_shift_range",
    "brightness_range",
    "horizontal_flip",
    "vertical_flip",
    "cutout",
    "cutout_probability",
    "cutout_value",
    "mixup",
    "cutmix",
    "mix_probability",
)
_MEASURED = ("mean", "std", "_principal_axes")  # by `fit`, too long to be shown


def _order(value: Any, argument: str, owner: str) -> int:
    """Return `value` if it is an order of interpolation."""
    if value not in (0, 1, 3):
        raise wrong_value(value, argument, owner, "0, 1 or 3")
    return value


class ImageTransform(Normalization):
    """All that ImageDataGenerator does to an image; its docstring has the arguments.

    Iterators know this class alone, and ImageDataGenerator, on top of them, makes them.
    """

    rotation_range, shear_range = Option(magnitude), Option(magnitude)
    width_shift_range, height_shift_range = Option(amounts), Option(amounts)
    zoom_range, isotropic_zoom = Option(zoom_pair), Option(truth)
    channel_shift_range = Option(magnitude)
    brightness_range = Option(optional(pair))
    horizontal_flip, vertical_flip = Option(truth), Option(truth)
    cutout, cutout_probability = Option(share_pair), Option(fraction)
    cutout_value = Option(finite)
    mixup, cutmix, mix_probability = Option(mix_alpha), Option(mix_alpha), Option(fraction)
    fill_mode = Option(one_of(*augmentation.FILL_MODES))
    cval = Option(finite)
    interpolation_order = Option(_order)
    validation_split = Option(fraction_below_one)
    data_format = Once[str]()

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: float | Sequence[float] = 0.0,
        height_shift_range: float | Sequence[float] = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: float | Sequence[float] = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[np.ndarray], np.ndarray] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: Any = None,
        *,
        isotropic_zoom: bool = False,
        cutout: float | Sequence[float] = 0.0,
        cutout_probability: float = 1.0,
        cutout_value: float = 127.5,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        mix_probability: float = 1.0,
    ) -> None:
        channels_last(data_format, OWNER)
        self.data_format = "channels_last"
        if dtype is not None and np.dtype(dtype) != np.float32:
            raise TypeError(f"{OWNER}: dtype is {dtype!r}; batches are always 'float32'")
        self.featurewise_center = bool(featurewise_center)
        self.samplewise_center = bool(samplewise_center)
        self.featurewise_std_normalization = bool(featurewise_std_normalization)
        self.samplewise_std_normalization = bool(samplewise_std_normalization)
        self.zca_whitening, self.zca_epsilon = bool(zca_whitening), zca_epsilon
        self.rescale, self.preprocessing_function = rescale, preprocessing_function
        self._see_to_centring()
        self.rotation_range = rotation_range
        self.width_shift_range = width_shift_range
        self.height_shift_range = height_shift_range
        self.shear_range = shear_range
        self.zoom_range, self.isotropic_zoom = zoom_range, isotropic_zoom
        self.channel_shift_range = channel_shift_range
        self.brightness_range = brightness_range
        self.horizontal_flip, self.vertical_flip = bool(horizontal_flip), bool(vertical_flip)
        self.fill_mode, self.cval = fill_mode, cval
        self.interpolation_order = interpolation_order
        self.validation_split = validation_split
        self.cutout, self.cutout_probability = cutout, cutout_probability
        self.cutout_value = cutout_value
        self.mixup, self.cutmix, self.mix_probability = mixup, cutmix, mix_probability

    def __repr__(self) -> str:
        usual = vars(ImageTransform())
        chosen = [
            f"{name}={getattr(value, '__qualname__', None) or repr(value)}"
            for name, value in vars(self).items()
            if name in usual and name not in _MEASURED and value != usual[name]
        ]
        if self.mean is not None:
            chosen.append("fitted")
        return f"{type(self).__name__}({', '.join(chosen)})"

    def get_random_transform(
        self, img_shape: tuple[int, ...], seed: int | np.random.Generator | None = None
    ) -> dict[str, Any]:
        """Return random parameters for `apply_transform`.

        `theta` and `shear` are degrees, `tx` (columns) and `ty` (rows) pixels.
        `cutout` is a rectangle: top, bottom, left, right, or None.
        Each parameter has its own place in the random stream: switching one
        option on or off does not change what the others draw.

        Args:
            img_shape: (height, width, channels) of the image.
            seed: a number, or the generator to draw from; None takes the next
                seed of `fastconv.utils.set_random_seed`.
        """
        if seed is None:
            seed = random.next_seed()
        drawn = self.draw_parameters(
            np.random.default_rng(seed).random((1, DRAWS)), img_shape[0], img_shape[1]
        )
        cutout = drawn.pop("cutout")[0]
        parameters = {name: values[0].item() for name, values in drawn.items()}
        parameters["cutout"] = tuple(cutout.tolist()) if cutout.any() else None
        if not self.channel_shift_range:
            parameters["channel_shift_intensity"] = None
        if self.brightness_range is None:
            parameters["brightness"] = None
        return parameters

    def draw_parameters(self, draws: np.ndarray, height: int, width: int) -> dict[str, np.ndarray]:
        """Return the parameters of n images, arrays of n, from `draws`, (n, DRAWS) of 0 to 1.

        Channel shift and brightness that are not asked for come as 0 and 1; `cutout` is
        (n, 4), as `rectangles` gives them, and zeros where nothing is cut out.
        """
        shear_limit = self.shear_range
        if shear_limit < 1:
            shear_limit = math.degrees(math.atan(shear_limit))
        zoom, brightness = self.zoom_range, self.brightness_range or (1.0, 1.0)
        draw = draws.T
        return {
            "theta": either_way(self.rotation_range, draw[0]),
            "tx": shifts(self.width_shift_range, width, draw[1], draw[10]),
            "ty": shifts(self.height_shift_range, height, draw[2], draw[11]),
            "shear": either_way(shear_limit, draw[3]),
            "zx": between(zoom, draw[4]),
            "zy": between(zoom, draw[4 if self.isotropic_zoom else 5]),
            "flip_horizontal": (draw[6] < 0.5) & self.horizontal_flip,
            "flip_vertical": (draw[7] < 0.5) & self.vertical_flip,
            "channel_shift_intensity": either_way(self.channel_shift_range, draw[8]),
            "brightness": between(brightness, draw[9]),
            "cutout": self._draw_cutouts(draws[:, 12:17], height, width),
        }

    def _draw_cutouts(self, draws: np.ndarray, height: int, width: int) -> np.ndarray:
        found = rectangles(between(self.cutout, draws[:, 1:3]), draws[:, 3:5], height, width)
        found[(draws[:, 0] >= self.cutout_probability) | (self.cutout[1] == 0)] = 0
        return found

    def apply_transform(self, x: np.ndarray, transform_parameters: Mapping[str, Any]) -> np.ndarray:
        """Return the image `x`, (height, width, channels), changed by the given parameters.

        Args:
            x: the image, values of 0-255; it is not written to.
            transform_parameters: any of `theta` and `shear` (degrees), `tx`
                (shift along the columns) and `ty` (along the rows) in pixels,
                `zx` and `zy` (below 1 magnifies), `flip_horizontal`,
                `flip_vertical`, `channel_shift_intensity`, `brightness`,
                `cutout` (top, bottom, left, right). What is missing changes
                nothing.
        """
        x = _image(x, "apply_transform")
        if augmentation.moves_pixels(transform_parameters):
            matrix = augmentation.inverse_matrix(transform_parameters, x.shape[0], x.shape[1])
            x = augmentation.warp(x, matrix, self.fill_mode, self.cval, self.interpolation_order)
        if transform_parameters.get("channel_shift_intensity") is not None:
            x = augmentation.shift_channels(x, transform_parameters["channel_shift_intensity"])
        if transform_parameters.get("flip_horizontal"):
            x = x[:, ::-1]
        if transform_parameters.get("flip_vertical"):
            x = x[::-1]
        if transform_parameters.get("brightness") is not None:
            x = augmentation.change_brightness(x, transform_parameters["brightness"])
        if transform_parameters.get("cutout") is not None:
            x = augmentation.cut_out(x, transform_parameters["cutout"], self.cutout_value)
        return x

    def random_transform(
        self, x: np.ndarray, seed: int | np.random.Generator | None = None
    ) -> np.ndarray:
        """Return the image `x`, (height, width, channels), changed at random."""
        return self.apply_transform(x, self.get_random_transform(np.shape(x), seed))


def _image(x: np.ndarray, function: str) -> np.ndarray:
    x = np.asarray(x, dtype=np.float32)
    if x.ndim != 3:
        raise ValueError(
            f"{OWNER}.{function}: x has shape {x.shape}; one image, (height, width, channels), "
            "is needed"
        )
    return x
