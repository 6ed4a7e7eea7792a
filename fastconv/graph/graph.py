"""The graph of a model: the nodes between its inputs and outputs, in order."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .._core.json_values import free_name
from ..layers.base import Layer
from ..layers.input_layer import Input
from ..layers.sublayers import leaves
from ..layers.symbolic import Node, Tensor, connect


class Graph:
    """All nodes that `outputs` need, from `inputs` on.

    `nodes` are in an order in which each comes after what it reads; `layers` in Keras's order, by
    their distance from the outputs, which is also that of the weights.

    Raises TypeError for what is no tensor, ValueError where an output needs another input.
    """

    def __init__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], owner: str) -> None:
        self.inputs, self.outputs, self.owner = tuple(inputs), tuple(outputs), owner
        _check_tensors(inputs, "inputs", owner)
        _check_tensors(outputs, "outputs", owner)
        if len(set(inputs)) != len(inputs):
            raise ValueError(f"{owner}: inputs has a tensor twice; each must be another one")
        self.nodes, visited = _in_order(self.inputs, self.outputs, owner)
        depth, layer_depth = _depths(self.nodes, self.inputs)
        earlier = _earlier_calls(depth)
        if earlier:
            self.nodes, _ = _in_order(self.inputs, self.outputs, owner, earlier)
        for tensor in self.inputs:
            layer_depth.setdefault(tensor.node.layer, 0)
            visited.setdefault(tensor.node.layer, -1)  # nobody reads it
        self.layers = sorted(layer_depth, key=lambda one: (-layer_depth[one], visited[one]))

    @functools.cached_property
    def all_layers(self) -> list[Layer]:
        """The layers and all within them, once each."""
        found = (inner for layer in self.layers for inner in leaves(layer))
        return list(dict.fromkeys(found))

    def with_inputs(self) -> Graph:
        """Return this graph, or one with inputs of its own where it begins within another.

        The layers before it are no part of it then, as in Keras.
        """
        if not any(tensor.node.inputs for tensor in self.inputs):
            return self
        names: dict[str, None] = {}
        own: list[Tensor] = []
        for tensor in self.inputs:
            name = free_name(f"{tensor.name}_output", names)
            names[name] = None
            own.append(Input(tensor.shape[1:], name=name) if tensor.node.inputs else tensor)
        return Graph(*connected(self.layers, self.wiring(), own), self.owner)

    def __getstate__(self) -> dict[str, Any]:
        # Flat, since nodes that hold one another are as deep as the network.
        return {"layers": self.layers, "wiring": self.wiring()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        layers, wiring = state["layers"], state["wiring"]
        inputs, outputs = connected(layers, wiring)
        Graph.__init__(self, inputs, outputs, "Model")

    def wiring(self) -> dict[str, Any]:
        """Return how the layers are connected, JSON values: tensors are counted through."""
        places = {layer: place for place, layer in enumerate(self.layers)}
        numbers: dict[Tensor, int] = {}
        calls: list[dict[str, Any]] = []
        for tensor in self.inputs:
            numbers[tensor] = len(numbers)
        for node in self.nodes:
            if not node.inputs or all(one in numbers for one in node.outputs):
                continue
            call: dict[str, Any] = {
                "layer": places[node.layer],
                "inputs": [numbers[tensor] for tensor in node.inputs],
            }
            if node.is_list:
                call["list"] = True
            if node.training is not None:
                call["training"] = node.training
            calls.append(call)
            for tensor in node.outputs:
                numbers[tensor] = len(numbers)
        return {
            "inputs": [places[tensor.node.layer] for tensor in self.inputs],
            "calls": calls,
            "outputs": [numbers[tensor] for tensor in self.outputs],
        }


def connected(
    layers: Sequence[Layer], wiring: dict[str, Any], given_inputs: Sequence[Tensor] | None = None
) -> tuple[list[Tensor], list[Tensor]]:
    """Return (inputs, outputs) of layers that are called as `Graph.wiring` told.

    The inputs are new ones of the layers' shapes, unless they are given.

    Raises ValueError, IndexError or TypeError for a wiring that is none.
    """
    tensors: list[Tensor] = list(given_inputs or ())
    if given_inputs and len(given_inputs) != len(wiring["inputs"]):
        count = len(wiring["inputs"])
        raise ValueError(f"inputs are {len(given_inputs)}; there must be {count}, as the model has")
    for place in () if given_inputs else wiring["inputs"]:
        layer = layers[_index(place)]
        shape = layer.output_shape
        if shape is None:
            raise ValueError(f"{layer.owner}: it is an input, and its shape is not known")
        tensors.append(Node(layer, [], [shape]).outputs[0])
    inputs = list(tensors)
    for call in wiring["calls"]:
        given = [tensors[_index(number)] for number in call["inputs"]]
        x: Any = given if call.get("list") else given[0]
        made = connect(layers[_index(call["layer"])], x, call.get("training"))
        tensors += made if isinstance(made, list) else [made]
    return inputs, [tensors[_index(number)] for number in wiring["outputs"]]


def _index(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise ValueError(f"{number!r} is no place in a list")
    return number


def _check_tensors(tensors: Iterable[Any], what: str, owner: str) -> None:
    tensors = list(tensors)
    if not tensors:
        raise ValueError(f"{owner}: {what} is empty; it must have at least one tensor")
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"{owner}: {what} has {type(tensor).__name__}; it must be tensors, as "
                "Input(shape) and layers give them"
            )


def _in_order(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    owner: str,
    earlier: Mapping[Node, Node] | None = None,
) -> tuple[list[Node], dict[Layer, int]]:
    """Return the nodes, each after those it reads, and the order in which layers were met.

    A node that has an `earlier` one comes after that, too.
    """
    waits_for = functools.partial(_parents, earlier=earlier or {})
    given = {tensor.node for tensor in inputs}
    order: list[Node] = []
    done: set[Node] = set()
    met: dict[Layer, int] = {}
    for output in outputs:
        # Each node with what it still waits for, instead of recursion, which long graphs exceed.
        waiting = (
            [(output.node, iter(waits_for(output.node, given)))] if output.node not in done else []
        )
        while waiting:
            node, parents = waiting[-1]
            if node not in done:
                done.add(node)
                met.setdefault(node.layer, len(met))
                if not node.inputs and node not in given:
                    raise ValueError(
                        f"{owner}: {output!r} needs {node.layer.owner}, which is not among the "
                        "inputs; add its tensor to inputs"
                    )
            following = next((one for one in parents if one not in done), None)
            if following is None:
                order.append(node)
                waiting.pop()
            else:
                waiting.append((following, iter(waits_for(following, given))))
    return order, met


def _parents(node: Node, given: set[Node], earlier: Mapping[Node, Node]) -> list[Node]:
    """Return the nodes that a node comes after, none of a graph's input."""
    if node in given:
        return []
    parents = [tensor.node for tensor in node.inputs]
    return [*parents, earlier[node]] if node in earlier else parents


def _depths(
    nodes: Sequence[Node], inputs: Sequence[Tensor]
) -> tuple[dict[Node, int], dict[Layer, int]]:
    """Return the distance of nodes and of layers from the outputs, found as Keras does."""
    given = {tensor.node for tensor in inputs}
    depth: dict[Node, int] = {}
    layer_depth: dict[Layer, int] = {}
    for node in reversed(nodes):
        own = max(depth.get(node, 0), layer_depth.get(node.layer, 0))
        depth[node] = layer_depth[node.layer] = own
        for parent in _parents(node, given, {}):
            depth[parent] = max(own + 1, depth.get(parent, 0))
    return depth, layer_depth


def _earlier_calls(depth: Mapping[Node, int]) -> dict[Node, Node]:
    """Return for later calls of a layer the one before, in the order in which Keras runs them.

    What a layer counts or draws, such as moving averages, depends on it.
    """
    earlier: dict[Node, Node] = {}
    last: dict[Layer, Node] = {}
    for node in sorted(depth, key=lambda node: -depth[node]):
        if node.layer in last:
            earlier[node] = last[node.layer]
        last[node.layer] = node
    return earlier


class Step(NamedTuple):
    """One call of a layer that is no model: what it reads and gives, by number."""

    layer: Layer
    inputs: tuple[int, ...]
    output: int
    is_list: bool
    training: bool | None
    trained: bool  # whether the models that it is within are


class Program(NamedTuple):
    """A graph with all models within it in the place where they are called."""

    steps: list[Step]
    inputs: list[int]
    outputs: list[int]
    shapes: list[Any]  # of each tensor, by number
    layers: list[Layer]  # of the outer graph


def program_of(graph: Graph, trained: bool = True) -> Program:
    """Return the steps of a graph, with all graphs within it."""
    program = Program([], [], [], [], [])
    numbers: dict[Tensor, int] = {}
    for tensor in graph.inputs:
        numbers[tensor] = len(program.shapes)
        program.shapes.append(tensor.shape)
    program.inputs.extend(numbers[tensor] for tensor in graph.inputs)
    program.layers.extend(graph.layers)
    _expand(program, graph.nodes, numbers, None, trained)
    program.outputs.extend(numbers[tensor] for tensor in graph.outputs)
    return program


def _expand(
    program: Program,
    nodes: Iterable[Node],
    numbers: dict[Tensor, int],
    training: bool | None,
    trained: bool,
) -> None:
    """Append the steps of `nodes`, whose outer tensors have their `numbers`."""
    for node in nodes:
        if all(tensor in numbers for tensor in node.outputs):
            continue  # an input of the graph
        mode = training if node.training is None else node.training
        if node.inner is None:
            number = numbers[node.outputs[0]] = len(program.shapes)
            program.shapes.append(node.outputs[0].shape)
            inputs = tuple(numbers[tensor] for tensor in node.inputs)
            program.steps.append(Step(node.layer, inputs, number, node.is_list, mode, trained))
            continue
        inner = Graph(*node.inner, node.layer.owner)
        within = {
            own: numbers[tensor] for own, tensor in zip(inner.inputs, node.inputs, strict=True)
        }
        _expand(program, inner.nodes, within, mode, trained and node.layer.trainable)
        for tensor, own in zip(node.outputs, inner.outputs, strict=True):
            numbers[tensor] = within[own]


def chain(layers: Sequence[Layer]) -> Program:
    """Return the program of built layers that run one after another."""
    shapes = [layers[0].input_shape, *(layer.output_shape for layer in layers)]
    steps = [Step(layer, (n,), n + 1, False, None, True) for n, layer in enumerate(layers)]
    return Program(steps, [0], [len(layers)], shapes, list(layers))
