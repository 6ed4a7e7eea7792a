"""A fastconv model as an ONNX graph, of the layers that the served architectures have."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 17, 8


def graph(model: Any) -> onnx.ModelProto:
    """Return `model`, of one input and one output, from "x", one NCHW image, to its output.

    Raises ValueError for a layer that is not known here.
    """
    writer = _Writer(model.input)
    for node in model.graph.nodes:
        if node.inputs:
            writer.add(node.layer, node.inputs, node.outputs[0])
    rows, columns, channels = model.input_shape[1:]
    last = writer.names[id(model.output)]
    made = helper.make_graph(
        writer.nodes,
        model.name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, rows, columns])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, model.output_shape[-1]])],
        writer.constants,
    )
    proto = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(proto)
    return proto


class _Writer:
    """Nodes and constants, and the names of the model's tensors."""

    def __init__(self, source: Any) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.names = {id(source): "x"}
        self._flattened: dict[str, tuple[int, ...]] = {}

    def add(self, layer: Any, inputs: Any, output: Any) -> None:
        """Append what `layer` does, its activation too."""
        kind, given = type(layer).__name__, [self.names[id(tensor)] for tensor in inputs]
        shape = tuple(inputs[0].shape[1:])
        write = getattr(self, f"_{kind.lower()}", None)
        if write is None:
            raise ValueError(f"bench: the served models have no twin of {kind}")
        name = write(layer, given, shape)
        activation = getattr(layer, "activation", None)
        if activation is not None:
            name = self._activated(activation, name)
        self.names[id(output)] = name

    def _append(self, operator: str, inputs: list[str], *arrays: Any, **attributes: Any) -> str:
        for array in arrays:
            name = f"constant_{len(self.constants)}"
            array = np.asarray(array, np.float32, "C")
            self.constants.append(numpy_helper.from_array(array, name))
            inputs = [*inputs, name]
        output = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def _activated(self, activation: Any, name: str) -> str:
        largest = activation.get_config().get("max_value")
        if activation.name == "linear":
            return name
        if activation.name == "relu" and largest is not None:
            return self._append("Clip", [name], 0, largest)
        operators = {"relu": "Relu", "sigmoid": "Sigmoid", "softmax": "Softmax"}
        return self._append(operators[activation.name], [name])

    def _conv2d(self, layer: Any, given: list[str], shape: Any) -> str:
        kernel, *bias = layer.get_weights()
        window = _window(layer, shape, kernel.shape[:2])
        kernel = kernel.transpose(3, 2, 0, 1)
        return self._append("Conv", given, kernel, *bias, group=layer.groups, **window)

    def _depthwiseconv2d(self, layer: Any, given: list[str], shape: Any) -> str:
        kernel, *bias = layer.get_weights()
        window = _window(layer, shape, kernel.shape[:2])
        kernel = kernel.reshape(*kernel.shape[:2], 1, -1).transpose(3, 2, 0, 1)
        return self._append("Conv", given, kernel, *bias, group=shape[2], **window)

    def _maxpooling2d(self, layer: Any, given: list[str], shape: Any) -> str:
        return self._append("MaxPool", given, **_window(layer, shape, layer.pool_size))

    def _batchnormalization(self, layer: Any, given: list[str], shape: Any) -> str:
        return self._append(
            "BatchNormalization", given, *layer.get_weights(), epsilon=layer.epsilon
        )

    def _flatten(self, layer: Any, given: list[str], shape: Any) -> str:
        name = self._append("Flatten", given, axis=1)
        self._flattened[name] = shape
        return name

    def _dense(self, layer: Any, given: list[str], shape: Any) -> str:
        kernel, *bias = layer.get_weights()
        image = self._flattened.get(given[0])
        if image is not None:  # its rows are in the order of NHWC
            kernel = kernel.reshape(*image, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
        return self._append("Gemm", given, kernel, *bias)

    def _globalaveragepooling2d(self, layer: Any, given: list[str], shape: Any) -> str:
        return self._append("Flatten", [self._append("GlobalAveragePool", given)], axis=1)

    def _add(self, layer: Any, given: list[str], shape: Any) -> str:
        return self._append("Add", given)

    def _dropout(self, layer: Any, given: list[str], shape: Any) -> str:
        return given[0]

    def _relu(self, layer: Any, given: list[str], shape: Any) -> str:
        return given[0]  # which is its activation


def _window(layer: Any, shape: tuple[int, ...], size: Any) -> dict[str, Any]:
    """Return kernel, strides and padding as ONNX has them."""
    pads = [(0, 0), (0, 0)]
    if layer.padding == "same":
        for axis in range(2):
            reach = (-(-shape[axis] // layer.strides[axis]) - 1) * layer.strides[axis] + size[axis]
            total = max(reach - shape[axis], 0)
            pads[axis] = (total // 2, total - total // 2)
    (top, bottom), (left, right) = pads
    return {
        "kernel_shape": list(size),
        "strides": list(layer.strides),
        "pads": [top, left, bottom, right],
    }
