"""A network as data: a list of nodes that each peer's interpreter makes its own network of.

Images are NHWC and kernels as fastconv has them (HWIO).  No peer needs fastconv for it: what the
nodes hold are numbers, and `describe`, which alone looks into a model, runs in fastconv's process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .spec import LayerSpec, ModelTask, Padding, padding_of

if TYPE_CHECKING:
    import numpy as np

NO_PADDING: Padding = ((0, 0), (0, 0))
SPARSE = "sparse_categorical_crossentropy"
BINARY = "binary_crossentropy"


@dataclass(frozen=True)
class Node:
    """One operation of a network.

    `kind` is "conv", "depthwise", "conv_transpose", "dense", "batch_norm", "add", "concatenate",
    "max_pool", "global_average_pool", "dropout", "flatten", "relu", "relu6", "sigmoid" or
    "softmax" (over the channels).  `inputs` are places among the network's values: 0 is its input,
    i + 1 what node i gives.  Shapes are without the batch; `input_shape` is that of the first
    input.  `size`, `strides` and `padding`, ((top, bottom), (left, right)), are the window's.
    `weights` are places among the task's weights, in the layer's order.  `flattened` is the shape
    of the image that a "dense" gets flattened, if it does.
    """

    kind: str
    inputs: tuple[int, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weights: tuple[int, ...] = ()
    size: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    padding: Padding = NO_PADDING
    groups: int = 1
    rate: float = 0.0
    epsilon: float = 0.0
    flattened: tuple[int, ...] | None = None

    @property
    def symmetric(self) -> bool:
        """Whether both sides of each axis are padded alike."""
        return all(before == after for before, after in self.padding)

    @property
    def keras_padding(self) -> str:
        """The padding in Keras's words; raises ValueError where it has none for it."""
        if self.padding == NO_PADDING:
            return "valid"
        for axis, sides in enumerate(self.padding):
            outputs = -(-self.input_shape[axis] // self.strides[axis])
            reach = (outputs - 1) * self.strides[axis] + self.size[axis]
            total = max(reach - self.input_shape[axis], 0)
            if sides != (total // 2, total - total // 2):
                raise ValueError(f"padding {self.padding} is neither 'valid' nor 'same'")
        return "same"


@dataclass(frozen=True)
class NetworkTask:
    """A network with its weights and one batch to run it on.

    `weights` are a fastconv model's, in its order, `x` is (batch, height, width, channels) float32.
    `y` is, as `loss` says, (batch,) whole numbers (`SPARSE`) or zeros and ones of the output's
    shape (`BINARY`).
    """

    name: str
    nodes: tuple[Node, ...]
    weights: tuple[np.ndarray, ...]
    x: np.ndarray
    y: np.ndarray
    loss: str
    optimizer: str
    learning_rate: float

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return tuple(self.x.shape[1:])

    @property
    def deterministic(self) -> bool:
        """Whether a training step is a function of weights and batch alone: no dropout."""
        return all(node.kind != "dropout" or not node.rate for node in self.nodes)

    def readers(self) -> list[int]:
        """Return how many nodes read each value."""
        counts = [0] * (len(self.nodes) + 1)
        for node in self.nodes:
            for value in node.inputs:
                counts[value] += 1
        return counts

    def spent(self) -> list[list[int]]:
        """Return for each node the values that none behind it reads."""
        seen: set[int] = set()
        spent: list[list[int]] = []
        for node in reversed(self.nodes):
            spent.append([value for value in set(node.inputs) if value not in seen])
            seen.update(node.inputs)
        return spent[::-1]

    def arrays(self, node: Node, *, channels_first: bool = False) -> list[np.ndarray]:
        """Return a node's weights.

        With `channels_first` the rows of a dense kernel behind a flattened image are in the order
        of one that was flattened as (channels, rows, columns).
        """
        arrays = [self.weights[place] for place in node.weights]
        if channels_first and node.flattened:
            kernel = arrays[0].reshape(*node.flattened, -1).transpose(2, 0, 1, 3)
            arrays[0] = kernel.reshape(arrays[0].shape)
        return arrays


def network_of(task: ModelTask) -> NetworkTask:
    """Return the chain of layers of one of the four models as a network."""
    nodes: list[Node] = []
    used, flattened = 0, None
    for spec in task.layers:
        weights = tuple(range(used, used + spec.weights))
        used += spec.weights
        nodes.append(_chained(spec, len(nodes), weights, flattened))
        if spec.kind == "flatten":
            flattened = spec.input_shape
        elif spec.kind == "dense":
            flattened = None
        if spec.activation != "linear":
            shape = spec.output_shape
            nodes.append(Node(spec.activation, (len(nodes),), shape, shape))
    y = task.y.reshape(-1, 1)
    return NetworkTask(
        task.name,
        tuple(nodes),
        task.weights,
        task.x,
        y,
        BINARY,
        task.optimizer,
        task.learning_rate,
    )


def _chained(
    spec: LayerSpec, place: int, weights: tuple[int, ...], flattened: tuple[int, ...] | None
) -> Node:
    return Node(
        spec.kind,
        (place,),
        spec.input_shape,
        spec.output_shape,
        weights,
        spec.size,
        spec.strides,
        spec.padding,
        spec.groups,
        spec.rate,
        flattened=flattened if spec.kind == "dense" else None,
    )


def describe(model: Any) -> tuple[Node, ...]:
    """Return the graph of a built fastconv model, of one input and one output, as nodes.

    Raises ValueError for a layer that the peers' networks are not written for.
    """
    graph = model.graph
    (inputs,), (outputs,) = graph.inputs, graph.outputs
    weights = {id(parameter): place for place, parameter in enumerate(model.weights)}
    values = {inputs: 0}
    nodes: list[Node] = []
    flattened: dict[int, tuple[int, ...]] = {}
    for call in graph.nodes:
        if not call.inputs:
            continue
        places = tuple(values[tensor] for tensor in call.inputs)
        shape, last = tuple(call.inputs[0].shape[1:]), tuple(call.outputs[0].shape[1:])
        own = tuple(weights[id(parameter)] for parameter in call.layer.weights)
        for kind, output_shape, options in _operations(call.layer, shape, last, own):
            if kind == "dense":
                options["flattened"] = flattened.get(places[0])
            nodes.append(Node(kind, places, shape, output_shape, **options))
            if kind == "flatten":
                flattened[len(nodes)] = shape
            elif kind == "dropout" and places[0] in flattened:
                flattened[len(nodes)] = flattened[places[0]]
            places, shape = (len(nodes),), output_shape
        values[call.outputs[0]] = places[0]
    if values[outputs] != len(nodes):
        raise ValueError(f"bench: the output of {model.name} is not its last node's")
    return tuple(nodes)


def _operations(
    layer: Any, shape: tuple[int, ...], last: tuple[int, ...], weights: tuple[int, ...]
) -> Iterator[tuple[str, tuple[int, ...], dict[str, Any]]]:
    """Yield the operations of a layer: kind, output's shape, and the node's other fields."""
    kind = type(layer).__name__
    if kind == "Conv2D":
        yield "conv", last, {"groups": layer.groups, "weights": weights, **_window(layer, shape)}
    elif kind == "DepthwiseConv2D":
        yield "depthwise", last, {"weights": weights, **_window(layer, shape)}
    elif kind == "SeparableConv2D":
        between = (*last[:2], shape[2] * layer.depth_multiplier)
        yield "depthwise", between, {"weights": weights[:1], **_window(layer, shape)}
        yield "conv", last, {"weights": weights[1:]}
    elif kind == "Conv2DTranspose":
        yield "conv_transpose", last, {"weights": weights, **_transposed_window(layer, shape, last)}
    elif kind == "MaxPooling2D":
        yield "max_pool", last, _window(layer, shape)
    elif kind == "BatchNormalization":
        if len(weights) != 4:
            raise ValueError(f"bench: {layer.name} has no scale or no offset")
        yield "batch_norm", last, {"weights": weights, "epsilon": layer.epsilon}
    elif kind == "Dense":
        yield "dense", last, {"weights": weights}
    elif kind == "Dropout":
        yield "dropout", last, {"rate": layer.rate}
    elif kind in _PLAIN:
        yield _PLAIN[kind], last, {}
    elif kind not in ("ReLU", "Activation"):
        raise ValueError(f"bench: the peers have no twin of {kind}; add one to bench/graph.py")
    activation = _activation(layer)
    if activation:
        yield activation, last, {}


_PLAIN = {
    "Add": "add",
    "Concatenate": "concatenate",
    "Flatten": "flatten",
    "GlobalAveragePooling2D": "global_average_pool",
}


def _activation(layer: Any) -> str | None:
    activation = getattr(layer, "activation", None)
    if activation is None or activation.name == "linear":
        return None
    if activation.name == "relu":
        known = {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}
        config = {**known, **activation.get_config()}
        if config == {**known, "max_value": 6.0}:
            return "relu6"
        if config == known:
            return "relu"
    elif activation.name in ("relu6", "sigmoid", "softmax"):
        return activation.name
    raise ValueError(f"bench: the peers have no twin of the activation {activation}")


def _window(layer: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    if tuple(layer.dilation_rate) != (1, 1):
        raise ValueError(f"bench: {layer.name} is dilated; the peers' twins are not")
    size = layer.pool_size if hasattr(layer, "pool_size") else layer.kernel_size
    padding = padding_of((None, *shape), size, layer.strides, layer.padding)
    return {"size": tuple(size), "strides": tuple(layer.strides), "padding": padding}


def _transposed_window(layer: Any, shape: tuple[int, ...], last: tuple[int, ...]) -> dict[str, Any]:
    reached = [(shape[axis] - 1) * layer.strides[axis] + layer.kernel_size[axis] for axis in (0, 1)]
    if list(last[:2]) != reached or tuple(layer.dilation_rate) != (1, 1):
        raise ValueError(f"bench: {layer.name} cuts or adds pixels; the peers' twins do not")
    return {"size": tuple(layer.kernel_size), "strides": tuple(layer.strides)}
