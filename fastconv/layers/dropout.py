"""Dropout, of single values and of whole channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core.memory import contiguous
from .._core.validation import fraction
from ..ops import elementwise
from .arguments import Shape, check_image_axes
from .options import LayerOption
from .random_layer import NoisyShape


class Dropout(NoisyShape):
    """In training, sets a share `rate` of the inputs to 0 and scales the rest by 1 / (1 - rate).

    `noise_shape`, of as many axes as the input, has a 1 (None for the batch)
    on the axes along which one draw is shared.  The layer's generator starts
    from `seed`, or else from fastconv's root seed when the layer is built, and
    its position is part of the layer's state.  Each call takes one number from it;
    what is dropped is a hash of that and of a value's place.  `rate` may be assigned at
    any time.
    """

    rate = LayerOption(fraction)

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(noise_shape, seed, **options)
        self.rate = rate

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self._workspace.saved_for_backward = None
        if not training:
            return x
        if self.rate == 0 or self._workspace.inference:
            self._workspace.saved_for_backward = (x.shape, None, 0.0)
            return x
        x = contiguous(x, np.float32)
        self._workspace.saved_for_backward = (x.shape, self.draw_seed(), self.rate)
        return self._dropped(x, "output")

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        shape, seed, _ = self._saved_for_backward()
        dy = self.checked_gradient(dy, shape)
        if not self.needs_input_gradient:
            return None
        return dy if seed is None else self._dropped(dy, "dx")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}

    def _dropped(self, x: np.ndarray, key: str) -> np.ndarray:
        """Return x with the values that the call's seed chooses dropped, the others scaled."""
        _, seed, rate = self._saved_for_backward()
        out = self.buffer(key, x.shape)
        if self.noise_shape is None:
            elementwise.dropout(x, seed, rate, out)
            return out
        factors = self.buffer("factors", self.noise_sizes(x.shape))
        factors.fill(1)
        elementwise.dropout(factors, seed, rate, factors)
        np.multiply(x, factors, out=out)
        return out


class SpatialDropout2D(Dropout):
    """Dropout of whole channels of an image: (batch, height, width, channels)."""

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(rate, (None, 1, 1, None), seed, **options)

    def build(self, input_shape: Shape) -> None:
        check_image_axes(input_shape, self.owner)
        super().build(input_shape)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["noise_shape"]
        return config
