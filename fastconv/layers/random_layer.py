"""The common half of layers that draw random numbers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core import random
from .._core.validation import natural, optional, positive_integer, wrong_type
from .arguments import Shape
from .base import Layer
from .options import FixedOption


def _noise_shape(value: Any, argument: str, owner: str) -> tuple[int | None, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        condition = "1, None or the input's size for each axis, for example (None, 1, 1, 8)"
        raise wrong_type(value, argument, owner, condition)
    return tuple(optional(positive_integer)(size, argument, owner) for size in value)


class RandomLayer(Layer):
    """Base of layers that draw random numbers in training.

    The layer's generator starts from `seed`, or else from fastconv's root seed when the layer
    is built, and its position is part of the layer's state.  Each call takes one number from it.
    """

    seed = FixedOption(optional(natural))

    def __init__(self, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.seed = seed
        self._generator: np.random.Generator | None = None

    def build(self, input_shape: Shape) -> None:
        if self._generator is None:
            self._generator = random.generator(self.seed)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[1:])

    def draw_seed(self) -> int:
        """Return the next number of the layer's generator, below 2**64."""
        assert self._generator is not None  # `build` has made it
        return int(self._generator.bit_generator.random_raw())

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
        return {**super().get_config(), "seed": self.seed}


class NoisyShape(RandomLayer):
    """Base of what draws one number for all values along some axes, by `noise_shape`."""

    noise_shape = FixedOption(optional(_noise_shape))

    def __init__(
        self,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        self.noise_shape = noise_shape

    def build(self, input_shape: Shape) -> None:
        if self.noise_shape is not None:
            self.noise_sizes(input_shape)
        super().build(input_shape)

    def noise_sizes(self, shape: Shape) -> tuple[int, ...]:
        """Return `noise_shape` with the sizes of an input of `shape` in the place of None."""
        wanted = self.noise_shape or (None,) * len(shape)
        pairs: list[tuple[Any, int | None]] = list(zip(shape, wanted, strict=False))
        fits = all(noise in (None, 1, size) or size is None for size, noise in pairs)
        if not fits or len(wanted) != len(shape):
            raise ValueError(
                f"{self.owner}: noise_shape is {self.noise_shape}; it must have a number for each "
                f"axis of the input, {tuple(shape)}, None, 1 or the axis's size"
            )
        return tuple(size if noise is None else noise for size, noise in pairs)

    def get_config(self) -> dict[str, Any]:
        noise_shape = None if self.noise_shape is None else list(self.noise_shape)
        return {**super().get_config(), "noise_shape": noise_shape}
