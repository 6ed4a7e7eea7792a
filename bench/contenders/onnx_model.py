"""ONNX Runtime and OpenVINO in the models' comparison: one ONNX graph for each batch size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..spec import LayerSpec, ModelTask
from .base import ModelContender

OPSET = 17
IR_VERSION = 8
ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid"}


class _OnnxModel(ModelContender):
    """A library that compiles an ONNX graph and predicts with it."""

    def build(self, task: ModelTask) -> None:
        self._task = task

    def predictor(self, x: np.ndarray) -> Callable[[], Any]:
        images = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        return self.compile(graph(self._task, len(x)), images)

    def compile(self, model: bytes, images: np.ndarray) -> Callable[[], Any]:
        """Return what runs `model` on `images` (NCHW)."""
        raise NotImplementedError


class OnnxRuntimeModel(_OnnxModel):
    """ONNX Runtime's CPU provider with every graph optimization."""

    def compile(self, model: bytes, images: np.ndarray) -> Callable[[], Any]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"x": images})[0]


class OpenVinoModel(_OnnxModel):
    """OpenVINO's CPU plug-in in float32, one stream."""

    def compile(self, model: bytes, images: np.ndarray) -> Callable[[], Any]:
        import openvino

        core = openvino.Core()
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        request = core.compile_model(core.read_model(model), "CPU", settings).create_infer_request()
        return lambda: request.infer([images], share_inputs=True, share_outputs=True)[0]


def graph(task: ModelTask, batch: int) -> bytes:
    """Return `task` as a serialized ONNX model for NCHW images of a fixed batch size."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    last = "x"

    def add(operator: str, *inputs: str, **attributes: Any) -> None:
        nonlocal last
        name = f"{operator.lower()}_{len(nodes)}"
        nodes.append(helper.make_node(operator, [last, *inputs], [name], **attributes))
        last = name

    def constant(array: np.ndarray) -> str:
        name = f"constant_{len(constants)}"
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    for spec, weights in task.weights_of(channels_first=True):
        if spec.kind == "conv":
            kernel = weights[0].transpose(3, 2, 0, 1)
            inputs = [constant(array) for array in (kernel, *weights[1:])]
            add("Conv", *inputs, group=spec.groups, kernel_shape=spec.size, **_window(spec))
        elif spec.kind == "max_pool":
            add("MaxPool", kernel_shape=spec.size, **_window(spec))
        elif spec.kind == "flatten":
            add("Flatten", axis=1)
        elif spec.kind == "dense":
            add("Gemm", *(constant(array) for array in weights))
        if spec.activation in ACTIVATIONS:
            add(ACTIVATIONS[spec.activation])
    rows, columns, channels = task.input_shape
    inputs = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, channels, rows, columns])
    units = list(task.layers[-1].output_shape)
    outputs = helper.make_tensor_value_info(last, TensorProto.FLOAT, [batch, *units])
    model = helper.make_model(
        helper.make_graph(nodes, task.name, [inputs], [outputs], constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _window(spec: LayerSpec) -> dict[str, Any]:
    (top, bottom), (left, right) = spec.padding
    return {"strides": spec.strides, "pads": [top, left, bottom, right]}
