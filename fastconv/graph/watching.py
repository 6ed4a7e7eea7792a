"""What flows through a graph: the values of tensors between its inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..layers.arguments import Shape
from ..layers.base import Layer
from ..layers.symbolic import Tensor
from .executor import Executor
from .graph import Graph, Program, Step, program_of


def values_of(
    graph: Graph, tensors: Sequence[Tensor], inputs: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Return the values, as new arrays, that `tensors` have for a batch, layers as in prediction.

    `tensors` are outputs of the graph's nodes, `inputs` float32 arrays (n, ...), one for each
    of its inputs.  Nothing is fused: each layer's own output can be looked at.
    """
    part = Graph(graph.inputs, tensors, graph.owner)
    found = Executor(program_of(part, False), fuse=False, trainable=False).forward(inputs)
    return [np.array(value) for value in found]


def map_tensors(graph: Graph) -> list[tuple[str, Tensor]]:
    """Return the tensors that are maps, (None, height, width, channels), by their layers' names.

    One for each layer, its first call's; those of inputs are left out.
    """
    found: dict[str, Tensor] = {}
    for node in graph.nodes:
        tensor = node.outputs[0]
        if node.inputs and len(tensor.shape) == 4:
            found.setdefault(node.layer.name, tensor)
    return list(found.items())


class _Probe(Layer):
    """Gives a copy of its input and keeps the gradient that comes back.

    Its weight, which counts for nothing, lets the backward pass come this far.
    """

    gradient: np.ndarray | None = None

    def build(self, input_shape: Shape) -> None:
        self.add_weight((1,), "zeros", name="probe")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[1:])

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        y = self.buffer("output", x.shape)
        y[...] = x
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        self.gradient = np.array(dy)
        return None


def gradients_of(
    graph: Graph, tensor: Tensor, inputs: Sequence[np.ndarray], weights: np.ndarray, output: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the value of `tensor` for a batch, and the gradient of a sum with respect to it.

    The sum is of one of the outputs times `weights`, which has its shape; the layers act as in
    prediction.  Of an output with "sigmoid" or "softmax" it is what comes before these, which
    saturate.  `tensor` is an input of the graph or an output of one of its nodes.

    Raises ValueError where the output does not depend on it.
    """
    program = program_of(graph, False)
    slot = _slot_of(graph, program, tensor)
    probe = _Probe(name="probe")
    probe.build(tensor.shape)
    executor = Executor(_probed(program, slot, probe), fuse=False)
    logits = [
        place == output and name is not None
        for place, name in enumerate(executor.final_activations)
    ]
    executor.forward(inputs, training=True, logits=logits, step=True)
    gradients: list[np.ndarray | None] = [None] * len(graph.outputs)
    gradients[output] = np.ascontiguousarray(weights, np.float32)
    executor.backward(gradients)
    if probe.gradient is None:
        raise ValueError(
            f"{graph.owner}: the output does not depend on what {tensor.node.layer.owner} gives"
        )
    if tensor in graph.inputs:
        return inputs[graph.inputs.index(tensor)], probe.gradient
    return values_of(graph, [tensor], inputs)[0], probe.gradient


def _slot_of(graph: Graph, program: Program, tensor: Tensor) -> int:
    """Return the number that a tensor of the graph has in its program."""
    if tensor in graph.inputs:
        return program.inputs[graph.inputs.index(tensor)]
    if tensor in graph.outputs:
        return program.outputs[graph.outputs.index(tensor)]
    calls = [node for node in graph.nodes if node.layer is tensor.node.layer]
    steps = [step for step in program.steps if step.layer is tensor.node.layer]
    if tensor.node not in calls or len(calls) != len(steps):
        raise ValueError(
            f"{graph.owner}: {tensor!r} must be an input of the graph or what a layer of it gives"
        )
    return steps[calls.index(tensor.node)].output


def _probed(program: Program, slot: int, probe: Layer) -> Program:
    """Return the program with a probe between a tensor and all that read it."""
    behind = len(program.shapes)
    steps = []
    if slot in program.inputs:
        steps.append(Step(probe, (slot,), behind, False, None, True))
    for step in program.steps:
        read = tuple(behind if one == slot else one for one in step.inputs)
        # The pass keeps what the way back needs, as in training; the layers act as in prediction.
        steps.append(step._replace(inputs=read, training=False))
        if step.output == slot:
            steps.append(Step(probe, (slot,), behind, False, None, True))
    return program._replace(
        steps=steps,
        shapes=[*program.shapes, program.shapes[slot]],
        outputs=[behind if one == slot else one for one in program.outputs],
        layers=[*program.layers, probe],
    )
