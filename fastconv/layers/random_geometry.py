"""Images flipped, turned, shifted, zoomed and cropped at random, in training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._core.memory import contiguous
from .._core.validation import finite, one_of, optional
from ..ops.augmentation import FILL_MODES, about_center, pick_pixels, transform_images
from .image_layer import RandomImageLayer, Range, factor_range
from .options import LayerOption
from .resizing import SizedLayer, cut, put_back


class _Moved(RandomImageLayer):
    """Pixels come from elsewhere in the image, by one matrix an image, in one compiled pass.

    What `_draw` returns are these matrices: (n, 2, 3), about the image's centre.
    """

    fill_mode = LayerOption(one_of(*FILL_MODES))
    interpolation = LayerOption(one_of("nearest", "bilinear"))
    fill_value = LayerOption(finite)

    def __init__(
        self,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(seed=seed, **options)
        self.fill_mode, self.interpolation = fill_mode, interpolation
        self.fill_value = fill_value

    def _change(self, x: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        return self._moved(x, drawn, "output")

    def _moved(self, x: np.ndarray, linear: np.ndarray, key: str) -> np.ndarray:
        matrices = about_center(linear.copy(), x.shape[1], x.shape[2])
        out, rows, fill_mode = self.buffer(key, x.shape), np.arange(len(x)), self.fill_mode
        if self.interpolation == "nearest":
            return pick_pixels(x, rows, matrices, fill_mode, self.fill_value, out)
        return transform_images(
            x, rows, matrices, fill_mode=fill_mode, cval=self.fill_value, out=out
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "fill_mode": self.fill_mode,
            "interpolation": self.interpolation,
            "fill_value": self.fill_value,
        }


def _unchanged(count: int) -> np.ndarray:
    return np.tile(np.eye(3)[:2], (count, 1, 1))


class RandomFlip(RandomImageLayer):
    """In training, mirrors every second image on average; else hands images on as they are.

    `mode` is "horizontal" (left to right), "vertical" or "horizontal_and_vertical", where
    the two are drawn apart (in Keras 3 such an image is mirrored both ways or not at all).
    """

    mode = LayerOption(one_of("horizontal", "vertical", "horizontal_and_vertical"))

    def __init__(
        self, mode: str = "horizontal_and_vertical", seed: int | None = None, **options: Any
    ) -> None:
        super().__init__(seed=seed, **options)
        self.mode = mode

    def _draw(self, draws: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        flips = draws.random((shape[0], 2)) < 0.5
        flips &= ["horizontal" in self.mode, "vertical" in self.mode]
        matrices = _unchanged(shape[0])
        matrices[:, 0, 0] = np.where(flips[:, 0], -1, 1)
        matrices[:, 1, 1] = np.where(flips[:, 1], -1, 1)
        return matrices

    def _change(self, x: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        return self._flipped(x, drawn, "output")

    def _input_gradient(
        self, dy: np.ndarray, drawn: np.ndarray, shape: tuple[int, ...]
    ) -> np.ndarray:
        return self._flipped(dy, drawn, "dx")

    def _flipped(self, x: np.ndarray, linear: np.ndarray, key: str) -> np.ndarray:
        matrices = about_center(linear.copy(), x.shape[1], x.shape[2])
        return transform_images(x, np.arange(len(x)), matrices, out=self.buffer(key, x.shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


class RandomRotation(_Moved):
    """In training, turns images about their centre; else hands them on as they are.

    Args:
        factor: parts of a whole turn, from -1 to 1: a pair (lowest, highest), a positive one
            counterclockwise, or f for (-f, f).
        fill_mode: what lies outside: "reflect" (dcba|abcd|dcba), "wrap" (abcd|abcd|abcd),
            "nearest" (aaaa|abcd|dddd) or "constant", which is `fill_value`.
        interpolation: "bilinear", or "nearest", which makes no values that were not there.
        seed: of the layer's own draws; None takes fastconv's.
    """

    factor = LayerOption(factor_range(-1, 1))

    def __init__(
        self,
        factor: float | Range,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, **options)
        self.factor = factor

    def _draw(self, draws: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        angles = 2 * math.pi * draws.uniform(*self.factor, shape[0])
        matrices = _unchanged(shape[0])
        matrices[:, 0, 0] = matrices[:, 1, 1] = np.cos(angles)
        matrices[:, 1, 0] = np.sin(angles)
        matrices[:, 0, 1] = -matrices[:, 1, 0]
        return matrices

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": list(self.factor)}


class RandomTranslation(_Moved):
    """In training, shifts images; else hands them on as they are.

    Args:
        height_factor, width_factor: parts of the height, positive downwards, and of the
            width, positive to the right, from -1 to 1: a pair (lowest, highest), or f for
            (-f, f).
        fill_mode, interpolation, seed, fill_value: as of RandomRotation.
    """

    height_factor = LayerOption(factor_range(-1, 1))
    width_factor = LayerOption(factor_range(-1, 1))

    def __init__(
        self,
        height_factor: float | Range,
        width_factor: float | Range,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, **options)
        self.height_factor, self.width_factor = height_factor, width_factor

    def _draw(self, draws: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        matrices = _unchanged(shape[0])
        matrices[:, 1, 2] = -shape[1] * draws.uniform(*self.height_factor, shape[0])
        matrices[:, 0, 2] = -shape[2] * draws.uniform(*self.width_factor, shape[0])
        return matrices

    def get_config(self) -> dict[str, Any]:
        factors = {"height_factor": list(self.height_factor)}
        return {**super().get_config(), **factors, "width_factor": list(self.width_factor)}


class RandomZoom(_Moved):
    """In training, makes what images show larger or smaller; else hands them on as they are.

    Args:
        height_factor: 0.2 shows 20 % more of the height, all of it smaller, -0.2 shows 20 %
            less; above -1 to 1: a pair (lowest, highest), or f for (-f, f).
        width_factor: the same of the width; None takes what was drawn for the height.
        fill_mode, interpolation, seed, fill_value: as of RandomRotation.
    """

    height_factor = LayerOption(factor_range(-1, 1, low_excluded=True))
    width_factor = LayerOption(optional(factor_range(-1, 1, low_excluded=True)))

    def __init__(
        self,
        height_factor: float | Range,
        width_factor: float | Range | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, **options)
        self.height_factor, self.width_factor = height_factor, width_factor

    def _draw(self, draws: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        matrices = _unchanged(shape[0])
        height = draws.uniform(*self.height_factor, shape[0])
        width = self.width_factor
        matrices[:, 1, 1] += height
        matrices[:, 0, 0] += height if width is None else draws.uniform(*width, shape[0])
        return matrices

    def get_config(self) -> dict[str, Any]:
        width = None if self.width_factor is None else list(self.width_factor)
        factors = {"height_factor": list(self.height_factor), "width_factor": width}
        return {**super().get_config(), **factors}


class RandomCrop(SizedLayer, RandomImageLayer):
    """In training, cuts images out at a random place, one for the whole batch.

    Else, and where images are smaller than `height` and `width`, the largest window of these
    proportions in the middle is resized.
    """

    def __init__(self, height: int, width: int, seed: int | None = None, **options: Any) -> None:
        super().__init__(height, width, seed=seed, **options)

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        if training and not self._workspace.inference:
            return super().call(x, training=True)
        out = self._resized(contiguous(x, np.float32), self._largest_window(x.shape))
        saved = (x.shape, out.shape, None, None)
        self._workspace.saved_for_backward = saved if training else None
        return out

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}

    def _draw(self, draws: np.random.Generator, shape: tuple[int, ...]) -> tuple[int, int] | None:
        top, left = shape[1] - self.height, shape[2] - self.width
        if top < 0 or left < 0:
            return None
        return int(draws.integers(0, top + 1)), int(draws.integers(0, left + 1))

    def _change(self, x: np.ndarray, drawn: tuple[int, int] | None) -> np.ndarray:
        if drawn is None:
            return self._resized(x, self._largest_window(x.shape))
        return cut(self, x, drawn)

    def _input_gradient(
        self, dy: np.ndarray, drawn: tuple[int, int] | None, shape: tuple[int, ...]
    ) -> np.ndarray:
        if drawn is not None:
            return put_back(self, dy, drawn, shape)
        dx = self.buffer("dx", shape)
        self._largest_window(shape).backward(dy, dx)
        return dx
