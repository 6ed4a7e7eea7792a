"""A region as a graph of fastconv's layers, which reads and moves the tensors of PyTorch's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from ..graph.executor import Executor
from ..graph.graph import Graph, program_of
from ..layers import Input, Layer
from ..layers.parameter import Parameter
from . import arrays, translation
from .regions import Region

#: PyTorch's names of weights and those of fastconv's layers.
_WEIGHTS = (("weight", "kernel"), ("weight", "gamma"), ("bias", "bias"), ("bias", "beta"))


LEAST_PRODUCTS = 100_000
"""Products of weights and pixels for which it takes less to compute them than to come here."""
LEAST_USES = 128
"""How often a region has to use its weights, on average, for a copy of them to pay."""


class Mode(NamedTuple):
    """What a region is asked for: for each of these it has an executor of its own."""

    shapes: tuple[tuple[int, ...], ...]  # of the inputs' single images, channels first
    inputs_wanted: tuple[bool, ...]  # the gradients of which inputs are asked for
    weights_wanted: tuple[bool, ...]
    weight_shapes: tuple[tuple[int, ...], ...]

    @property
    def learns(self) -> bool:
        """Whether a backward pass may follow."""
        return True in self.inputs_wanted or True in self.weights_wanted


class _Normalization(NamedTuple):
    module: Any
    layer: Any
    pixels: int  # of one image


class Runner:
    """A region's layers and their executor, for one mode; used by one pass at a time.

    The weights come from PyTorch's tensors before each pass, which is a small transposition.
    Raises ValueError where the layers do not fit the shapes.
    """

    def __init__(self, region: Region, modules: Mapping[str, nn.Module], mode: Mode) -> None:
        self.mode = mode
        self._layers: dict[str, Layer] = {}
        self._normalizations: list[_Normalization] = []
        self._modules = modules
        self._products = 0  # of weights and pixels, for one image
        inputs = [
            Input((rows, columns, channels), name=f"input_{place}")
            for place, (channels, rows, columns) in enumerate(mode.shapes)
        ]
        tensors: dict[Any, Any] = dict(zip(region.inputs, inputs, strict=True))
        for node in region.nodes:
            read = [tensors[one] for one in translation.sources(node)]
            tensors[node] = self._called(node, read)
        graph = Graph(inputs, [tensors[node] for node in region.outputs], "accelerate")
        self.weights = [self._parameter(*name) for name in weights_of(region, modules)]
        for parameter, shape, wanted in zip(
            self.weights, mode.weight_shapes, mode.weights_wanted, strict=True
        ):
            if arrays.kernel_shape(shape) != parameter.shape:
                raise ValueError(f"a weight has shape {shape}, which is not its module's")
            parameter.trainable = wanted
        places = [place for place, wanted in enumerate(mode.inputs_wanted) if wanted]
        self._executor = Executor(program_of(graph), input_gradients=places)
        moving = any(one.module.training for one in self._normalizations)
        self._training = mode.learns or moving

    def _called(self, node: Any, read: list[Any]) -> Any:
        """Return the tensor that a node's layer gives; a module called twice has one layer."""
        target = str(node.target) if node.op == "call_module" else f"call of {node.name}"
        layer = self._layers.get(target)
        if layer is None:
            make = translation.maker_of(node, self._modules)
            assert make is not None, "a region holds what fastconv computes"
            layer = self._layers[target] = make(name=target or "layer")
        module: Any = self._modules.get(target)
        if not isinstance(module, nn.BatchNorm2d):
            made = layer(read if layer.takes_list else read[0])
            if isinstance(module, translation.WORTHWHILE):
                rows, columns, _ = (read[0] if module.transposed else made).shape[1:]
                self._products += rows * columns * module.weight.numel()
            return made
        rows, columns, _ = read[0].shape[1:]
        self._normalizations.append(_Normalization(module, layer, rows * columns))
        # What has a gradient runs as in training: this one by its moving averages all the same.
        frozen = self.mode.learns and not module.training
        return layer(read[0], training=False) if frozen else layer(read[0])

    def _parameter(self, target: str, name: str) -> Parameter:
        layer: Any = self._layers[target]
        found: Parameter = next(
            getattr(layer, ours)
            for theirs, ours in _WEIGHTS
            if theirs == name and hasattr(layer, ours)
        )
        return found

    def pays(self, images: int) -> bool:
        """Whether it takes less time than PyTorch's modules: a rule by shapes alone.

        Where it does not, each weight is used too seldom, or all of it is very little.
        """
        products = images * self._products
        weights = sum(parameter.size for parameter in self.weights)
        return products >= LEAST_PRODUCTS and products >= LEAST_USES * weights

    def refuses(self, images: int) -> bool:
        """Whether PyTorch refuses to normalize so few numbers, which it does in its own words."""
        alone = any(one.module.training and one.pixels == 1 for one in self._normalizations)
        return alone and images == 1

    def forward(
        self, inputs: Sequence[np.ndarray], weights: Sequence[torch.Tensor], moves: bool
    ) -> list[np.ndarray]:
        """Return the outputs, in memory that the next pass overwrites; averages move if `moves`."""
        for parameter, tensor in zip(self.weights, weights, strict=True):
            self._load(parameter, arrays.kernel_of(tensor))
        for one in self._normalizations:
            self._load(one.layer.moving_mean, one.module.running_mean.numpy())
            self._load(one.layer.moving_variance, one.module.running_var.numpy())
        outputs = self._executor.forward(inputs, self._training, step=self.mode.learns)
        if moves:
            for one in self._normalizations:
                if one.module.training:
                    _move_averages(one, len(inputs[0]))
        return outputs

    def _load(self, parameter: Parameter, array: np.ndarray) -> None:
        """Copy a weight; not where it is there already: predictions then run as recorded."""
        if self.mode.learns or not np.array_equal(parameter.contents, array):
            parameter.assign(array)

    def backward(self, gradients: Sequence[np.ndarray | None]) -> list[np.ndarray | None]:
        """Return the gradients of inputs, in memory that is overwritten, after `forward`."""
        return self._executor.backward(gradients)


def weights_of(region: Region, modules: Mapping[str, nn.Module]) -> list[tuple[str, str]]:
    """Return the modules of a region, by name, and their weights' names, each once."""
    found: dict[tuple[str, str], None] = {}
    for node in region.nodes:
        if node.op == "call_module":
            for name in ("weight", "bias"):
                if getattr(modules[str(node.target)], name, None) is not None:
                    found[str(node.target), name] = None
    return list(found)


def _move_averages(normalization: _Normalization, images: int) -> None:
    """Move PyTorch's averages, whose variance is a sample's: n / (n - 1) times the batch's."""
    module, layer, pixels = normalization
    count = images * pixels
    moved = layer.moving_variance.contents
    before = module.running_var.numpy()
    more = (moved - (1 - module.momentum) * before) / (count - 1)
    with torch.no_grad():
        module.running_mean.copy_(torch.from_numpy(layer.moving_mean.contents))
        module.running_var.copy_(torch.from_numpy(moved + more))
        if module.num_batches_tracked is not None:
            module.num_batches_tracked.add_(1)
