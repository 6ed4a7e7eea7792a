"""Images of another size: Resizing and CenterCrop."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.memory import contiguous
from .._core.validation import finite, one_of, positive_integer, truth
from ..ops.resampling import INTERPOLATIONS, ResizePlan, cropped, padded
from .arguments import Shape
from .image_layer import ImageLayer
from .options import FixedOption


class SizedLayer(ImageLayer):
    """A layer whose images have `height` rows and `width` columns, in training and without."""

    height, width = FixedOption(positive_integer), FixedOption(positive_integer)

    def __init__(self, height: int, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.height, self.width = height, width

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, self.height, self.width, *input_shape[3:])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width}

    def _resized(self, x: np.ndarray, plan: ResizePlan) -> np.ndarray:
        out = self.buffer("output", (len(x), self.height, self.width, x.shape[3]))
        plan.forward(x, out)
        return out

    def _largest_window(self, shape: tuple[int, ...]) -> ResizePlan:
        """Return the plan that resizes the middle of images of `shape`, as much as fits."""
        source, target = (shape[1], shape[2]), (self.height, self.width)
        windows = cropped(source, target)
        return self.plan(("largest", source), lambda: ResizePlan(source, target, windows))


class Resizing(SizedLayer):
    """Returns images of `height` rows and `width` columns, in training and without.

    Args:
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5", as
            TensorFlow and JAX compute them (Keras on PyTorch takes other pixels for
            "nearest", another kernel for "bicubic").
        crop_to_aspect_ratio: cut the middle out instead of stretching.
        pad_to_aspect_ratio: put `fill_value` beside the image instead of stretching.
        fill_mode: "constant", the one there is.
        antialias: look at all pixels where the image becomes smaller.
    """

    interpolation = FixedOption(one_of(*INTERPOLATIONS))
    crop_to_aspect_ratio, pad_to_aspect_ratio = FixedOption(truth), FixedOption(truth)
    fill_mode, fill_value = FixedOption(one_of("constant")), FixedOption(finite)
    antialias = FixedOption(truth)

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(height, width, **options)
        self.interpolation = interpolation
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_mode, self.fill_value = fill_mode, fill_value
        self.antialias = antialias
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise ValueError(
                f"{self.owner}: crop_to_aspect_ratio and pad_to_aspect_ratio are True; give one"
            )

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self._workspace.saved_for_backward = x.shape if training else None
        return self._resized(contiguous(x, np.float32), self._plan_of(x.shape))

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        shape = self._saved_for_backward()
        dy = self.checked_gradient(dy, (shape[0], self.height, self.width, shape[3]))
        if not self.needs_input_gradient:
            return None
        dx = self.buffer("dx", shape)
        self._plan_of(shape).backward(dy, dx)
        return dx

    def _plan_of(self, shape: tuple[int, ...]) -> ResizePlan:
        source, target = (shape[1], shape[2]), (self.height, self.width)
        windows = None
        if self.crop_to_aspect_ratio:
            windows = cropped(source, target)
        if self.pad_to_aspect_ratio:
            windows = padded(source, target)
        options = (self.interpolation, self.antialias, self.fill_value)
        return self.plan((source,), lambda: ResizePlan(source, target, windows, *options))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "interpolation": self.interpolation,
            "crop_to_aspect_ratio": self.crop_to_aspect_ratio,
            "pad_to_aspect_ratio": self.pad_to_aspect_ratio,
            "fill_mode": self.fill_mode,
            "fill_value": self.fill_value,
            "antialias": self.antialias,
        }


class CenterCrop(SizedLayer):
    """Returns the middle of images, `height` rows and `width` columns, in training and without.

    Of images that are smaller the largest window of these proportions is resized.
    """

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self._workspace.saved_for_backward = x.shape if training else None
        corner = self._corner(x.shape)
        if corner is None:
            return self._resized(contiguous(x, np.float32), self._largest_window(x.shape))
        return cut(self, x, corner)

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        shape = self._saved_for_backward()
        dy = self.checked_gradient(dy, (shape[0], self.height, self.width, shape[3]))
        if not self.needs_input_gradient:
            return None
        corner = self._corner(shape)
        if corner is not None:
            return put_back(self, dy, corner, shape)
        dx = self.buffer("dx", shape)
        self._largest_window(shape).backward(dy, dx)
        return dx

    def _corner(self, shape: tuple[int, ...]) -> tuple[int, int] | None:
        """Return where the cut begins in images of `shape`; None where they are too small."""
        top, left = shape[1] - self.height, shape[2] - self.width
        return (top // 2, left // 2) if top >= 0 and left >= 0 else None


def cut(layer: SizedLayer, x: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    """Return the part of `layer`'s size of images, in its memory."""
    (top, left), height, width = corner, layer.height, layer.width
    out = layer.buffer("output", (len(x), height, width, x.shape[3]))
    out[...] = x[:, top : top + height, left : left + width]
    return out


def put_back(
    layer: SizedLayer, dy: np.ndarray, corner: tuple[int, int], shape: tuple[int, ...]
) -> np.ndarray:
    """Return images of `shape` that are 0 but for `dy` where it was cut."""
    top, left = corner
    dx = layer.buffer("dx", shape)
    dx.fill(0)
    dx[:, top : top + layer.height, left : left + layer.width] = dy
    return dx
