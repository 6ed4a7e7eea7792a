"""Images with more or fewer pixels at their edges."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.validation import is_integer, wrong_value
from .arguments import Shape, check_image_axes
from .base import Layer
from .options import FixedOption

Margins = tuple[tuple[int, int], tuple[int, int]]


def _margins(value: Any, argument: str, owner: str) -> Margins:
    """Return `value`, an int, a pair or a pair of pairs, as ((top, bottom), (left, right))."""
    try:
        rows, columns = (value, value) if is_integer(value) else value
        (top, bottom), (left, right) = (
            (side, side) if is_integer(side) else side for side in (rows, columns)
        )
        numbers = [top, bottom, left, right]
    except (TypeError, ValueError):
        numbers = []
    if not numbers or not all(is_integer(number) and number >= 0 for number in numbers):
        condition = (
            "a whole number of at least 0, (rows, columns) or ((top, bottom), (left, right))"
        )
        raise wrong_value(value, argument, owner, condition)
    return (int(top), int(bottom)), (int(left), int(right))


class _Margins(Layer):
    """(batch, height, width, channels) with other heights and widths."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        check_image_axes(input_shape, self.owner)
        (top, bottom), (left, right) = self._change()
        sizes = [
            None if size is None else size + change
            for size, change in zip(input_shape[1:3], (top + bottom, left + right), strict=True)
        ]
        if any(size is not None and size < 1 for size in sizes):
            raise ValueError(
                f"{self.owner}: of an input of shape {tuple(input_shape)} nothing would be left "
                f"by {self.get_config()}"
            )
        return (None, *sizes, input_shape[3])

    def _change(self) -> Margins:
        """Return how many pixels are added at each edge."""
        raise NotImplementedError


def _inside(images: np.ndarray, margins: Margins) -> np.ndarray:
    """Return the view of images without their margins."""
    (top, bottom), (left, right) = margins
    return images[:, top : images.shape[1] - bottom, left : images.shape[2] - right]


class ZeroPadding2D(_Margins):
    """Zeros around images; `padding` is an int, (rows, columns) or ((top, bottom), (left, right)).

    Where a convolution follows, its own `padding` takes the same values and costs no pass.
    """

    padding = FixedOption(_margins)

    def __init__(self, padding: Any = (1, 1), **options: Any) -> None:
        super().__init__(**options)
        self.padding = padding

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        _, height, width, _ = self.compute_output_shape(x.shape)
        assert height is not None and width is not None  # as x has a size
        out = self.buffer("output", (len(x), height, width, x.shape[3]))
        (top, bottom), (left, right) = self.padding
        out[:, :top] = 0
        out[:, height - bottom :] = 0
        out[:, top : height - bottom, :left] = 0
        out[:, top : height - bottom, width - right :] = 0
        np.copyto(_inside(out, self.padding), x)
        self._workspace.saved_for_backward = (x.shape, out.shape) if training else None
        return out

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        input_shape, shape = self._saved_for_backward()
        dy = self.checked_gradient(dy, shape)
        if not self.needs_input_gradient:
            return None
        dx = self.buffer("dx", input_shape)
        np.copyto(dx, _inside(dy, self.padding))
        return dx

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding}

    def _change(self) -> Margins:
        return self.padding


class Cropping2D(_Margins):
    """Images without their edges; `cropping` is as `ZeroPadding2D`'s `padding`."""

    cropping = FixedOption(_margins)

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), **options: Any) -> None:
        super().__init__(**options)
        self.cropping = cropping

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.compute_output_shape(x.shape)
        inside = _inside(x, self.cropping)
        out = self.buffer("output", inside.shape)
        np.copyto(out, inside)
        self._workspace.saved_for_backward = (x.shape, out.shape) if training else None
        return out

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        input_shape, shape = self._saved_for_backward()
        dy = self.checked_gradient(dy, shape)
        if not self.needs_input_gradient:
            return None
        dx = self.buffer("dx", input_shape)
        dx.fill(0)
        np.copyto(_inside(dx, self.cropping), dy)
        return dx

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cropping": self.cropping}

    def _change(self) -> Margins:
        (top, bottom), (left, right) = self.cropping
        return (-top, -bottom), (-left, -right)
