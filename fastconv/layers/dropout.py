"""Dropout."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import random
from .._memory import contiguous
from ..ops import elementwise
from .base import Layer, Shape


class Dropout(Layer):
    """In training, sets a share `rate` of the inputs to 0 and scales the rest by 1 / (1 - rate).

    `noise_shape`, of as many axes as the input, has a 1 (None for the batch)
    on the axes along which one draw is shared.  The layer's generator starts
    from `seed`, or else from fastconv's root seed when the layer is built, and
    its position is part of the layer's state.  Each call takes one number from it;
    what is dropped is a hash of that and of a value's place.
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)):
            raise TypeError(f"{self.label}: rate is {rate!r}; give a number from 0 to 1")
        if not 0 <= rate <= 1:
            raise ValueError(f"{self.label}: rate is {rate!r}; it must be from 0 to 1")
        self.rate = float(rate)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        self.seed = seed
        self._generator: np.random.Generator | None = None

    def build(self, input_shape: Shape) -> None:
        if self.noise_shape is not None and len(self.noise_shape) != len(input_shape):
            raise ValueError(
                f"{self.label}: noise_shape {self.noise_shape} has not as many axes as the input "
                f"{tuple(input_shape)}"
            )
        if self._generator is None:
            self._generator = random.generator(self.seed)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[1:])

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self._kept = None
        if not training:
            return x
        if self.rate == 0:
            self._kept = (x.shape, None)
            return x
        x = contiguous(x, np.float32)
        self._kept = (x.shape, self._generator.bit_generator.random_raw())
        return self._dropped(x, "output")

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        shape, seed = self._recall()
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
                f"{self.label}: the state is not one of a PCG64 generator ({error})"
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
        seed, out = self._kept[1], self.buffer(key, x.shape)
        if self.noise_shape is None:
            elementwise.dropout(x, seed, self.rate, out)
            return out
        shape = tuple(
            size if noise is None else noise
            for size, noise in zip(x.shape, self.noise_shape, strict=True)
        )
        factors = self.buffer("factors", shape)
        factors.fill(1)
        elementwise.dropout(factors, seed, self.rate, factors)
        return np.multiply(x, factors, out=out)
