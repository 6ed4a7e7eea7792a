"""Dropout."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core import random
from .._core.memory import contiguous
from .._core.validation import fraction, natural, optional, positive_integer, wrong_type
from ..ops import elementwise
from .arguments import Shape
from .base import Layer
from .options import FixedOption, LayerOption


def _noise_shape(value: Any, argument: str, owner: str) -> tuple[int | None, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        condition = "1, None or the input's size for each axis, for example (None, 1, 1, 8)"
        raise wrong_type(value, argument, owner, condition)
    return tuple(optional(positive_integer)(size, argument, owner) for size in value)


class Dropout(Layer):
    """In training, sets a share `rate` of the inputs to 0 and scales the rest by 1 / (1 - rate).

    `noise_shape`, of as many axes as the input, has a 1 (None for the batch)
    on the axes along which one draw is shared.  The layer's generator starts
    from `seed`, or else from fastconv's root seed when the layer is built, and
    its position is part of the layer's state.  Each call takes one number from it;
    what is dropped is a hash of that and of a value's place.  `rate` may be assigned at
    any time.
    """

    rate = LayerOption(fraction)
    noise_shape, seed = FixedOption(optional(_noise_shape)), FixedOption(optional(natural))

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.rate, self.noise_shape, self.seed = rate, noise_shape, seed
        self._generator: np.random.Generator | None = None

    def build(self, input_shape: Shape) -> None:
        if self.noise_shape is not None:
            self._noise_sizes(input_shape)
        if self._generator is None:
            self._generator = random.generator(self.seed)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[1:])

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self._workspace.saved_for_backward = None
        if not training:
            return x
        if self.rate == 0 or self._workspace.inference:
            self._workspace.saved_for_backward = (x.shape, None, 0.0)
            return x
        assert self._generator is not None  # `build` has made it
        x = contiguous(x, np.float32)
        seed = self._generator.bit_generator.random_raw()
        self._workspace.saved_for_backward = (x.shape, seed, self.rate)
        return self._dropped(x, "output")

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        shape, seed, _ = self._saved_for_backward()
        dy = self.checked_gradient(dy, shape)
        if not self.needs_input_gradient:
            return None
        return dy if seed is None else self._dropped(dy, "dx")

    def get_state(self) -> dict[str, Any]:
        """Return the generator's position, {} before the layer is built."""
        if self._generator is None:
            return {}
        return {"generator": copy.deepcopy(self._generator.bit_generator.state)}

    def set_state(self, state: dict[str, Any]) -> None:
        if not state:
            self._generator = random.generator(self.seed) if self.built else None
            return
        generator = random.generator(0)
        try:
            generator.bit_generator.state = state["generator"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{self.owner}: the state is not one of a PCG64 generator ({error})"
            ) from None
        self._generator = generator

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rate": self.rate,
            "noise_shape": None if self.noise_shape is None else list(self.noise_shape),
            "seed": self.seed,
        }

    def _dropped(self, x: np.ndarray, key: str) -> np.ndarray:
        """Return x with the values that the call's seed chooses dropped, the others scaled."""
        _, seed, rate = self._saved_for_backward()
        out = self.buffer(key, x.shape)
        if self.noise_shape is None:
            elementwise.dropout(x, seed, rate, out)
            return out
        factors = self.buffer("factors", self._noise_sizes(x.shape))
        factors.fill(1)
        elementwise.dropout(factors, seed, rate, factors)
        np.multiply(x, factors, out=out)
        return out

    def _noise_sizes(self, shape: Shape) -> tuple[int, ...]:
        """Return `noise_shape` with the sizes of an input of `shape` in the place of None."""
        wanted = self.noise_shape or ()
        pairs: list[tuple[Any, int | None]] = list(zip(shape, wanted, strict=False))
        fits = all(noise in (None, 1, size) or size is None for size, noise in pairs)
        if not fits or len(wanted) != len(shape):
            raise ValueError(
                f"{self.owner}: noise_shape is {self.noise_shape}; it must have a number for each "
                f"axis of the input, {tuple(shape)}, None, 1 or the axis's size"
            )
        return tuple(size if noise is None else noise for size, noise in pairs)
