"""What is timed, in words that every contender understands, and the operations it takes.

Images are NHWC and kernels HWIO, as in fastconv; a contender that wants another
layout converts weights and inputs once, before anything is timed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

FLOAT_BYTES = 4
Padding = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class LayerSpec:
    """One layer of a model.

    `kind` is "conv", "max_pool", "flatten", "dropout" or "dense"; `activation`
    is "linear", "relu" or "sigmoid".  Shapes are without the batch.  `size`
    and `strides` are the window of a convolution or a pooling, `padding` is
    ((top, bottom), (left, right)), `weights` how many arrays of the model's
    weights belong to the layer (kernel and bias).
    """

    kind: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    size: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    padding: Padding = ((0, 0), (0, 0))
    groups: int = 1
    units: int = 0
    activation: str = "linear"
    rate: float = 0.0
    weights: int = 0

    @property
    def flops(self) -> int:
        """Operations of the forward pass for one image, two for a multiply and add."""
        if self.kind == "conv":
            rows, columns, filters = self.output_shape
            depth = self.size[0] * self.size[1] * self.input_shape[2] // self.groups
            return 2 * rows * columns * filters * depth
        if self.kind == "dense":
            return 2 * self.input_shape[-1] * self.units
        return 0

    @property
    def weight_bytes(self) -> int:
        """Bytes of the kernel; biases do not count."""
        if self.kind == "conv":
            depth = self.size[0] * self.size[1] * self.input_shape[2] // self.groups
            return FLOAT_BYTES * depth * self.units
        return FLOAT_BYTES * self.input_shape[-1] * self.units if self.kind == "dense" else 0

    @property
    def activation_bytes(self) -> int:
        """Bytes of one image's input and output."""
        return FLOAT_BYTES * (_product(self.input_shape) + _product(self.output_shape))


def _product(numbers: Sequence[int]) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result


def forward_flops(layers: Sequence[LayerSpec], batch: int) -> int:
    """Dense operations of one prediction: what a multiplication of every weight would take."""
    return batch * sum(layer.flops for layer in layers)


def training_flops(layers: Sequence[LayerSpec], batch: int) -> int:
    """Dense operations of a training step: output, input gradient, kernel gradient.

    The first layer with weights needs no input gradient.
    """
    weighted = [layer.flops for layer in layers if layer.flops]
    return batch * (3 * sum(weighted) - (weighted[0] if weighted else 0))


def compulsory_bytes(layers: Sequence[LayerSpec], batch: int) -> int:
    """Bytes of a forward pass in which each weighted layer reads and writes everything once."""
    return sum(
        batch * layer.activation_bytes + layer.weight_bytes for layer in layers if layer.flops
    )


@dataclass(frozen=True)
class ModelTask:
    """A model with its weights and one batch to run it on.

    `weights` are in fastconv's order and layouts, `x` is (batch, height,
    width, channels) float32, `y` (batch,) of 0 and 1.
    """

    name: str
    layers: tuple[LayerSpec, ...]
    weights: tuple[np.ndarray, ...]
    x: np.ndarray
    y: np.ndarray
    optimizer: str
    learning_rate: float

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return tuple(self.x.shape[1:])

    @property
    def deterministic(self) -> bool:
        """Whether a training step is a function of weights and batch alone: no dropout."""
        return all(layer.kind != "dropout" for layer in self.layers)

    def weights_of(self, *, channels_first: bool = False) -> list[tuple[LayerSpec, list]]:
        """Return each layer with its own weights.

        With `channels_first` the rows of a dense kernel behind a flattened image
        are in the order of one that was flattened as (channels, rows, columns).
        """
        waiting, flattened = list(self.weights), None
        pairs = []
        for layer in self.layers:
            own, waiting = waiting[: layer.weights], waiting[layer.weights :]
            if layer.kind == "flatten":
                flattened = layer.input_shape
            elif layer.kind == "dense":
                if channels_first and flattened is not None:
                    own = [_channels_first(own[0], flattened), *own[1:]]
                flattened = None
            pairs.append((layer, own))
        return pairs


def _channels_first(kernel: np.ndarray, image: tuple[int, ...]) -> np.ndarray:
    return kernel.reshape(*image, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)


def describe(model: Any) -> tuple[LayerSpec, ...]:
    """Return the layers of a built fastconv `Sequential` as specs.

    Raises ValueError for a layer that the peers' models are not written for.
    """
    return tuple(_describe(layer) for layer in model.layers)


def _describe(layer: Any) -> LayerSpec:
    kind = type(layer).__name__
    shapes = {
        "input_shape": tuple(layer.input_shape[1:]),
        "output_shape": tuple(layer.output_shape[1:]),
        "weights": len(layer.weights),
    }
    if kind == "Conv2D":
        return LayerSpec(
            "conv",
            size=layer.kernel_size,
            strides=layer.strides,
            padding=padding_of(layer.input_shape, layer.kernel_size, layer.strides, layer.padding),
            groups=layer.groups,
            units=layer.filters,
            activation=layer.activation.name,
            **shapes,
        )
    if kind == "MaxPooling2D":
        return LayerSpec(
            "max_pool",
            size=layer.pool_size,
            strides=layer.strides,
            padding=padding_of(layer.input_shape, layer.pool_size, layer.strides, layer.padding),
            **shapes,
        )
    if kind == "Dense":
        return LayerSpec("dense", units=layer.units, activation=layer.activation.name, **shapes)
    if kind == "Dropout":
        return LayerSpec("dropout", rate=layer.rate, **shapes)
    if kind == "Flatten":
        return LayerSpec("flatten", **shapes)
    raise ValueError(f"bench: the peers have no twin of {kind}; add one to bench/contenders")


def padding_of(
    input_shape: tuple[int | None, ...], size: tuple[int, int], strides: tuple[int, int], given: Any
) -> Padding:
    from fastconv._core.geometry import window2d

    window = window2d(tuple(input_shape[1:3]), size, strides, given, owner="bench")
    rows, columns = window
    return ((rows.before, rows.after), (columns.before, columns.after))
