"""Values times a scale, plus an offset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core.memory import contiguous
from .._core.validation import number_array, real, wrong_value
from .arguments import Shape
from .base import Layer
from .options import LayerOption


def along_rows(values: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return `values`, which broadcast to arrays of `shape`, in rows that NumPy goes down fast.

    A number for each of three channels would make loops of three; written out along the axis
    before, the two are one loop.
    """
    if values.ndim == 0 or values.shape[-1] == 1 or len(shape) < 3:
        return values
    whole = np.expand_dims(values, tuple(range(len(shape) - values.ndim)))
    return np.repeat(whole, shape[-2], axis=-2) if whole.shape[-2] == 1 else whole


def _numbers(value: Any, argument: str, owner: str) -> Any:
    """Return a finite number, or (nested) lists of such."""
    array = number_array(value, argument, owner)
    if array.ndim == 0:
        real(value if not isinstance(value, np.ndarray) else value.item(), argument, owner)
    if not np.isfinite(array).all():
        raise wrong_value(value, argument, owner, "finite")
    return array.tolist()


class Rescaling(Layer):
    """Returns `x * scale + offset`, in training and without.

    `scale` and `offset` are numbers, or arrays of one for each channel (of any shape that
    broadcasts to the inputs). `Rescaling(1 / 255)` brings pictures to 0-1,
    `Rescaling(1 / 127.5, offset=-1)` to -1 to 1.
    """

    scale, offset = LayerOption(_numbers), LayerOption(_numbers)

    def __init__(self, scale: Any, offset: Any = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale, self.offset = scale, offset

    def build(self, input_shape: Shape) -> None:
        for argument in ("scale", "offset"):
            shape = np.shape(getattr(self, argument))
            sizes = tuple(1 if size is None else size for size in input_shape)
            try:
                fits = np.broadcast_shapes(shape, sizes) == sizes
            except ValueError:
                fits = False
            if not fits:
                raise ValueError(
                    f"{self.owner}: {argument} has shape {shape}; it must broadcast to the "
                    f"inputs, {tuple(input_shape)}"
                )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[1:])

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self._workspace.saved_for_backward = x.shape if training else None
        x = contiguous(x, np.float32)
        out = self.buffer("output", x.shape)
        np.multiply(x, self._wide(self.scale, x.shape), out=out)
        if np.any(self.offset):
            np.add(out, self._wide(self.offset, x.shape), out=out)
        return out

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        dy = self.checked_gradient(dy, self._saved_for_backward())
        if not self.needs_input_gradient:
            return None
        dx = self.buffer("dx", dy.shape)
        np.multiply(dy, self._wide(self.scale, dy.shape), out=dx)
        return dx

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}

    def _wide(self, numbers: Any, shape: Sequence[int]) -> np.ndarray:
        return along_rows(np.asarray(numbers, np.float32), shape)
