"""Contrast, brightness and erased rectangles at random, in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core.validation import finite, is_integer, wrong_value
from .arguments import Shape
from .image_layer import RandomImageLayer, Range, factor_range, lowest_and_highest
from .options import LayerOption
from .rescaling import along_rows


class _ValuesChanged(RandomImageLayer):
    """Images whose values change, by numbers of each image's, and stay within `value_range`."""

    value_range = LayerOption(lowest_and_highest)
    _reads_output = True

    def __init__(
        self, value_range: Range = (0, 255), seed: int | None = None, **options: Any
    ) -> None:
        super().__init__(seed=seed, **options)
        self.value_range = value_range

    def _clip(self, out: np.ndarray) -> np.ndarray:
        np.clip(out, *self.value_range, out=out)
        return out

    def _let_through(self, dy: np.ndarray) -> np.ndarray:
        """Return `dy` where the output was not clipped, and 0 elsewhere."""
        low, high = self.value_range
        out, dx = self._output, self.buffer("dx", dy.shape)
        np.multiply(dy, (out > low) & (out < high), out=dx)
        return dx

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "value_range": list(self.value_range)}


def _shares(value: Any, argument: str, owner: str) -> Range:
    """Return the pair of what may be taken off and added: no range, and their order counts."""
    factor_range(0, 1)(value, argument, owner)
    lower, upper = value if np.ndim(value) else (value, value)
    return float(lower), float(upper)


class RandomContrast(_ValuesChanged):
    """In training, each image's values x become `(x - mean) * f + mean`, by channel.

    Args:
        factor: f is drawn from [1 - lower, 1 + upper] for each image; `factor` is the pair
            (lower, upper) of numbers from 0 to 1, or one for both. (Keras 3.15 takes 0 for
            the lower one then, against its description.)
        value_range: the lowest and the highest value, at which results are clipped.
        seed: of the layer's own draws; None takes fastconv's.
    """

    factor = LayerOption(_shares)

    def __init__(
        self,
        factor: float | Range,
        value_range: Range = (0, 255),
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(value_range, seed, **options)
        self.factor = factor

    def _draw(self, draws: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        lower, upper = self.factor
        return draws.uniform(1 - lower, 1 + upper, (shape[0], 1, 1, 1)).astype(np.float32)

    def _change(self, x: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        mean = along_rows(_channel_means(x), x.shape)
        out = np.subtract(x, mean, out=self.buffer("output", x.shape))
        np.multiply(out, drawn, out=out)
        return self._clip(np.add(out, mean, out=out))

    def _input_gradient(
        self, dy: np.ndarray, drawn: np.ndarray, shape: tuple[int, ...]
    ) -> np.ndarray:
        dx = self._let_through(dy)
        mean = along_rows(_channel_means(dx) * (1 - drawn), shape)
        np.multiply(dx, drawn, out=dx)
        np.add(dx, mean, out=dx)
        return dx

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": list(self.factor)}


def _channel_means(x: np.ndarray) -> np.ndarray:
    """Return the mean of each image's channels, (n, 1, 1, channels)."""
    count, height, width, channels = x.shape
    # Rows as long as NumPy's loops like them.
    rows = x.reshape(count, height, width * channels).sum(axis=1, dtype=np.float64)
    sums = rows.reshape(count, 1, width, channels).sum(axis=2, keepdims=True)
    means: np.ndarray = (sums / max(height * width, 1)).astype(np.float32)
    return means


class RandomBrightness(_ValuesChanged):
    """In training, adds a part of the values' range to each image.

    Args:
        factor: the part, from -1 (all black) to 1 (all white): a pair (lowest, highest), or
            f for (-f, f).
        value_range: the lowest and the highest value, at which results are clipped.
        seed: of the layer's own draws; None takes fastconv's.
    """

    factor = LayerOption(factor_range(-1, 1))

    def __init__(
        self,
        factor: float | Range,
        value_range: Range = (0, 255),
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(value_range, seed, **options)
        self.factor = factor

    def _draw(self, draws: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        low, high = self.value_range
        parts = draws.uniform(*self.factor, (shape[0], 1, 1, 1))
        return (parts * (high - low)).astype(np.float32)

    def _change(self, x: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        return self._clip(np.add(x, drawn, out=self.buffer("output", x.shape)))

    def _input_gradient(
        self, dy: np.ndarray, drawn: np.ndarray, shape: tuple[int, ...]
    ) -> np.ndarray:
        return self._let_through(dy)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": list(self.factor)}


def _probabilities(value: Any, argument: str, owner: str) -> Range:
    """Return the pair (lowest, highest) from 0 to 1; f alone is (0, f), as in Keras."""
    checked = factor_range(0, 1)(value, argument, owner)
    return checked if np.ndim(value) else (0.0, checked[1])


def _fill(value: Any, argument: str, owner: str) -> Any:
    if value is None or is_integer(value) or isinstance(value, (float, np.floating)):
        return None if value is None else finite(value, argument, owner)
    if isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str) and len(value):
        return [finite(number, argument, owner) for number in value]
    raise wrong_value(value, argument, owner, "a number, one for each channel, or None")


class RandomErasing(_ValuesChanged):
    """In training, writes over a rectangle of images.

    Args:
        factor: how probable it is that an image has one: a pair (lowest, highest) from which
            each image draws its own, or f for (0, f).
        scale: the rectangle's part of the image: its sides are the roots of two numbers drawn
            from the pair.
        fill_value: what is written: a number, one for each channel, or None for noise, normal
            with the highest of `value_range` as its deviation; clipped to that range.
        value_range: the lowest and the highest value.
        seed: of the layer's own draws; None takes fastconv's.
    """

    factor, scale = LayerOption(_probabilities), LayerOption(_probabilities)
    _reads_output = False
    fill_value = LayerOption(_fill)

    def __init__(
        self,
        factor: float | Range = 1.0,
        scale: float | Range = (0.02, 0.33),
        fill_value: float | Sequence[float] | None = None,
        value_range: Range = (0, 255),
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(value_range, seed, **options)
        self.factor, self.scale, self.fill_value = factor, scale, fill_value

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        if isinstance(self.fill_value, list) and len(self.fill_value) != input_shape[3]:
            raise ValueError(
                f"{self.owner}: fill_value is {self.fill_value}; it must have a number for each "
                f"of {input_shape[3]} channels"
            )

    def _draw(self, draws: np.random.Generator, shape: tuple[int, ...]) -> list[Any]:
        """Return (image, rows, columns, what is written there) of those that are erased."""
        count, sizes = shape[0], np.array(shape[1:3])
        lengths = np.sqrt(draws.uniform(*self.scale, (count, 2))) * sizes
        starts = draws.random((count, 2)) * (sizes - lengths)
        ends = np.ceil(starts + lengths).astype(int)
        begins = np.ceil(starts).astype(int)
        erased = draws.random(count) < draws.uniform(*self.factor, count)
        low, high = self.value_range
        found = []
        for image in np.flatnonzero(erased):
            rows, columns = (slice(*edge) for edge in zip(begins[image], ends[image], strict=True))
            if self.fill_value is None:
                size = (*(ends[image] - begins[image]), shape[3])
                values = draws.standard_normal(size, np.float32) * high
            else:
                values = np.asarray(self.fill_value, np.float32)
            found.append((image, rows, columns, np.clip(values, low, high)))
        return found

    def _change(self, x: np.ndarray, drawn: list[Any]) -> np.ndarray:
        out = self.buffer("output", x.shape)
        out[...] = x
        for image, rows, columns, values in drawn:
            out[image, rows, columns] = values
        return out

    def _input_gradient(
        self, dy: np.ndarray, drawn: list[Any], shape: tuple[int, ...]
    ) -> np.ndarray:
        dx = self.buffer("dx", shape)
        dx[...] = dy
        for image, rows, columns, _ in drawn:
            dx[image, rows, columns] = 0
        return dx

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "factor": list(self.factor),
            "scale": list(self.scale),
            "fill_value": self.fill_value,
        }
