"""The first layer of a model, which only tells the input's shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from .._core.validation import wrong_value
from .arguments import Shape
from .base import Layer
from .symbolic import Node, Tensor


class InputLayer(Layer):
    """Tells the shape of one sample and passes arrays through.

    `shape` has no batch; `input_shape=` is the old spelling, and
    `batch_shape=(None, ...)` one with the batch. `batch_size` is accepted, but batches of
    all sizes are taken; `sparse` may be False.
    """

    def __init__(
        self,
        shape: Sequence[int | None] | int | None = None,
        *,
        batch_shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        sparse: bool | None = None,
        **options: Any,
    ) -> None:
        if sparse:
            raise wrong_value(sparse, "sparse", "InputLayer", "False: arrays are dense")
        if batch_shape is not None:
            options["input_shape"] = tuple(batch_shape)[1:]
        elif shape is not None:
            options["input_shape"] = shape
        super().__init__(**options)
        if self._given_shape is None:
            raise ValueError(f"{self.owner}: give the shape of one sample, e.g. (100, 100, 3)")

    @property
    def _sample_shape(self) -> Shape:
        return cast(Shape, self._given_shape)  # the constructor insists on one

    def build(self, input_shape: Shape) -> None:
        self._check(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._check(input_shape)
        return (None, *input_shape[1:])

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self._check(x.shape)
        return x

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        return dy

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "trainable": self.trainable, "shape": list(self._sample_shape)}

    def _check(self, input_shape: Shape) -> None:
        sizes = tuple(input_shape[1:])
        fits = len(sizes) == len(self._sample_shape) and all(
            expected is None or size == expected
            for size, expected in zip(sizes, self._sample_shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"{self.owner}: the input has shape {tuple(input_shape)}; it must be "
                f"{(None, *self._sample_shape)}"
            )


def Input(shape: Sequence[int | None] | int | None = None, **options: Any) -> Tensor:
    """Return the tensor that stands for inputs of a model, `shape` that of one sample.

    >>> x = Input((100, 100, 3))
    >>> x.shape
    (None, 100, 100, 3)

    It begins a graph, or a `Sequential([Input((100, 100, 3)), ...])`.
    """
    layer = InputLayer(shape, **options)
    layer.build((None, *layer._sample_shape))
    return Node(layer, [], [(None, *layer._sample_shape)]).outputs[0]
