"""What flows through a graph: the values of tensors between its inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..layers.symbolic import Tensor
from .executor import Executor
from .graph import Graph, program_of


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
