"""What layers that change images have in common, and those that change them at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core.memory import contiguous
from .._core.validation import (
    Check,
    finite,
    is_integer,
    wrong_type,
    wrong_value,
)
from .arguments import Shape, check_image_axes
from .base import Layer
from .random_layer import RandomLayer
from .symbolic import is_symbolic

Range = tuple[float, float]


class ImageLayer(Layer):
    """A layer from images to images, (batch, height, width, channels).

    Called by hand it takes a single image, (height, width, channels), too, and acts as in
    training unless told otherwise, as Keras's do.
    """

    def __call__(self, x: Any, training: Any = None) -> Any:
        """Return what becomes of the images `x`, as in training unless told otherwise."""
        if isinstance(x, np.ndarray) and x.ndim == 3:
            return self(x[np.newaxis], training)[0]
        if training is None and not is_symbolic(x):  # in a graph the pass decides
            training = True
        return super().__call__(x, training)

    def build(self, input_shape: Shape) -> None:
        check_image_axes(input_shape, self.owner)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[1:])


_UNCHANGED = object()  # drawn where nothing is


class RandomImageLayer(ImageLayer, RandomLayer):
    """A layer that changes images in training and hands them on as they are otherwise.

    All that a call draws comes from the number that it takes from the layer's generator: it
    depends on the seed and the count of calls in training alone.

    A subclass defines `_draw`, `_change` and, where there is a gradient, `_input_gradient`.
    """

    #: Whether `_input_gradient` asks for `_output`, which is kept for it then.
    _reads_output = False

    def build(self, input_shape: Shape) -> None:
        check_image_axes(input_shape, self.owner)
        RandomLayer.build(self, input_shape)

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self._workspace.saved_for_backward = None
        if not training:
            return x
        if self._workspace.inference:  # though the pass is one of training
            self._workspace.saved_for_backward = (x.shape, x.shape, None, _UNCHANGED)
            return x
        x = contiguous(x, np.float32)
        drawn = self._draw(np.random.Generator(np.random.PCG64(self.draw_seed())), x.shape)
        out = self._change(x, drawn)
        kept = out if self._reads_output else None
        self._workspace.saved_for_backward = (x.shape, out.shape, kept, drawn)
        return out

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        shape, output_shape, _, drawn = self._saved_for_backward()
        dy = self.checked_gradient(dy, output_shape)
        if not self.needs_input_gradient or drawn is _UNCHANGED:
            return dy if self.needs_input_gradient else None
        return self._input_gradient(dy, drawn, shape)

    @property
    def _output(self) -> np.ndarray:
        """What the call returned that `backward` is for."""
        output: np.ndarray = self._saved_for_backward()[2]
        return output

    def _draw(self, draws: np.random.Generator, shape: tuple[int, ...]) -> Any:
        """Return what happens to the images of `shape`."""
        raise NotImplementedError

    def _change(self, x: np.ndarray, drawn: Any) -> np.ndarray:
        """Return the images changed as was drawn, in memory of the layer's own."""
        raise NotImplementedError

    def _input_gradient(self, dy: np.ndarray, drawn: Any, shape: tuple[int, ...]) -> np.ndarray:
        """Return the gradient of the images, of `shape`, for `dy`."""
        raise NotImplementedError(
            f"{self.owner}: it has no gradient of its input; put it before all layers that are "
            "trained, where none is needed"
        )


# Checks of arguments


def lowest_and_highest(value: Any, argument: str, owner: str) -> Range:
    """Return the pair (lowest, highest) of values, in this order."""
    pair = _pair(value, argument, owner)
    if pair[0] == pair[1]:
        raise wrong_value(value, argument, owner, "two different numbers")
    return min(pair), max(pair)


def factor_range(low: float, high: float, *, low_excluded: bool = False) -> Check[Range]:
    """Return the check of a pair of numbers in [low, high], or of one number f, for (-f, f).

    Where `low` is 0, f is (f, f).
    """
    brackets = f"{'(' if low_excluded else '['}{low}, {high}]"

    def check(value: Any, argument: str, owner: str) -> Range:
        single = is_integer(value) or isinstance(value, (float, np.floating))
        one, other = (value, value) if single else _pair(value, argument, owner)
        for number in (finite(one, argument, owner), finite(other, argument, owner)):
            if not low <= number <= high or (low_excluded and number == low):
                raise wrong_value(value, argument, owner, f"in {brackets}, a number or a pair")
        if single:
            one, other = (value, value) if low == 0 else (-abs(value), abs(value))
        return float(min(one, other)), float(max(one, other))

    return check


def _pair(value: Any, argument: str, owner: str) -> Range:
    listed = isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str)
    if not listed or len(value) != 2:
        raise wrong_type(value, argument, owner, "a pair of numbers")
    return finite(value[0], argument, owner), finite(value[1], argument, owner)
