"""A network as an ONNX graph, for peers that read one."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..graph import NetworkTask, Node

OPSET = 17
IR_VERSION = 8


class OnnxConverter:
    """Writes the graph of a task; in a process of its own, so that no peer has its memory."""

    def __init__(self, *, threads: int) -> None:
        del threads

    def convert(self, task: NetworkTask, batch: int) -> bytes:
        """Return `task` as a serialized ONNX model for NCHW images of a fixed batch size."""
        return graph(task, batch).SerializeToString()


def graph(task: NetworkTask, batch: int) -> onnx.ModelProto:
    """Return `task` as an ONNX model from "x" (NCHW) to "y": batch normalizations are nodes."""
    writer = _Writer(task)
    for place, node in enumerate(task.nodes):
        writer.add(place, node)
    model = helper.make_model(
        helper.make_graph(
            writer.nodes,
            task.name,
            [_value("x", batch, task.input_shape)],
            [_value("y", batch, task.nodes[-1].output_shape)],
            writer.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model


def _value(name: str, batch: int, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *shape[-1:], *shape[:-1]])


class _Writer:
    """Nodes and constants of a graph that grows."""

    def __init__(self, task: NetworkTask) -> None:
        self.task = task
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, place: int, node: Node) -> None:
        """Append `node`, the task's at `place`."""
        arrays = self.task.arrays(node, channels_first=True)
        inputs = [self._name(value) for value in node.inputs]
        output = self._name(place + 1)
        if node.kind == "global_average_pool":
            self._append("GlobalAveragePool", inputs, f"{output}_kept")
            self._append("Flatten", [f"{output}_kept"], output, axis=1)
            return
        operator, attributes = _operator(node)
        if node.kind == "depthwise":
            arrays[0] = arrays[0].reshape(*node.size, 1, -1)
        if node.kind in ("conv", "depthwise", "conv_transpose"):
            arrays[0] = arrays[0].transpose(3, 2, 0, 1)
        if node.kind == "relu6":
            arrays = [np.float32(0), np.float32(6)]
        self._append(operator, [*inputs, *map(self._constant, arrays)], output, **attributes)

    def _name(self, value: int) -> str:
        return "x" if value == 0 else "y" if value == len(self.task.nodes) else f"value_{value}"

    def _append(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))

    def _constant(self, array: np.ndarray) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, np.float32, "C"), name))
        return name


def _operator(node: Node) -> tuple[str, dict[str, Any]]:
    """Return the operator of a node, and its attributes."""
    (top, bottom), (left, right) = node.padding
    window = {
        "kernel_shape": node.size,
        "strides": node.strides,
        "pads": [top, left, bottom, right],
    }
    operators: dict[str, tuple[str, dict[str, Any]]] = {
        "conv": ("Conv", {**window, "group": node.groups}),
        "depthwise": ("Conv", {**window, "group": node.input_shape[-1]}),
        "conv_transpose": ("ConvTranspose", window),
        "max_pool": ("MaxPool", window),
        "batch_norm": ("BatchNormalization", {"epsilon": node.epsilon}),
        "dense": ("Gemm", {}),
        "add": ("Add", {}),
        "concatenate": ("Concat", {"axis": 1}),
        "dropout": ("Identity", {}),
        "flatten": ("Flatten", {"axis": 1}),
        "relu": ("Relu", {}),
        "relu6": ("Clip", {}),
        "sigmoid": ("Sigmoid", {}),
        "softmax": ("Softmax", {"axis": 1}),
    }
    return operators[node.kind]
