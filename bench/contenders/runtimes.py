"""Libraries that only predict: each reads what a converter has written for it.

A converter has run in a process before, so that a peer's memory is its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .base import ModelContender

_WINOGRAD_CANDIDATES = 3
"""The number of MNN's hint on Winograd's tiles; Python has no name for it."""


class Runtime(ModelContender):
    """A library that reads the bytes of a network for a fixed batch size."""

    channels_first = True

    def build(self, task: Any) -> None:
        """Nothing: the network is what was converted."""

    def predictor(self, x: np.ndarray) -> Callable[[], Any]:
        images = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if self.channels_first else x
        return self.read(self.converted[len(x)], images)

    def read(self, content: Any, images: np.ndarray) -> Callable[[], Any]:
        """Return what predicts `images` by the network in `content`."""
        raise NotImplementedError


class OnnxRuntime(Runtime):
    """ONNX Runtime's CPU provider with every graph optimization."""

    def read(self, content: Any, images: np.ndarray) -> Callable[[], Any]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"x": images})[0]


class OpenVino(Runtime):
    """OpenVINO's CPU plug-in in float32, one stream."""

    def read(self, content: Any, images: np.ndarray) -> Callable[[], Any]:
        import openvino

        core = openvino.Core()
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        request = core.compile_model(
            core.read_model(content), "CPU", settings
        ).create_infer_request()
        return lambda: request.infer([images], share_inputs=True, share_outputs=True)[0]


class LiteRt(Runtime):
    """LiteRT's interpreter, whose default delegate on the CPU is XNNPACK."""

    channels_first = False

    def read(self, content: Any, images: np.ndarray) -> Callable[[], Any]:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=content, num_threads=self.threads)
        interpreter.allocate_tensors()
        source = interpreter.get_input_details()[0]["index"]
        target = interpreter.get_output_details()[0]["index"]

        def predict() -> np.ndarray:
            interpreter.set_tensor(source, images)
            interpreter.invoke()
            return interpreter.get_tensor(target)

        return predict


class Ncnn(Runtime):
    """ncnn with its own options; it knows no batches, so that images go one by one.

    Without `halves` it keeps float32 where it would keep numbers as halves.
    """

    def __init__(self, *, halves: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.halves = halves

    def facts(self) -> dict[str, Any]:
        """Return what numbers are kept as."""
        return {"notes": "its own precision" if self.halves else "float32"}

    def read(self, content: Any, images: np.ndarray) -> Callable[[], Any]:
        import ncnn

        parameters, weights = content
        net = ncnn.Net()
        net.opt.num_threads = self.threads
        if not self.halves:
            net.opt.use_fp16_packed = net.opt.use_fp16_storage = False
            net.opt.use_fp16_arithmetic = False
        with tempfile.TemporaryDirectory() as folder:
            for name, part in (("net.param", parameters), ("net.bin", weights)):
                Path(folder, name).write_bytes(part)
            if net.load_param(f"{folder}/net.param") or net.load_model(f"{folder}/net.bin"):
                raise RuntimeError("ncnn cannot read what pnnx wrote")

        def predict() -> np.ndarray:
            outputs = []
            for image in images:
                extractor = net.create_extractor()
                extractor.input("in0", ncnn.Mat(image))
                outputs.append(np.array(extractor.extract("out0")[1]))
            return np.stack(outputs)

        return predict


class Mnn(Runtime):
    """MNN's session on the CPU in float32.

    Without `large_tiles` Winograd's algorithm has fewer tiles to choose from: the largest round
    most.
    """

    def __init__(self, *, large_tiles: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.large_tiles = large_tiles

    def facts(self) -> dict[str, Any]:
        """Return which tiles Winograd's algorithm may take."""
        return {"notes": "" if self.large_tiles else "small Winograd tiles"}

    def read(self, content: Any, images: np.ndarray) -> Callable[[], Any]:
        import MNN

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "net.mnn")
            path.write_bytes(content)
            interpreter = MNN.Interpreter(str(path))
        if not self.large_tiles:
            interpreter.setSessionHint(_WINOGRAD_CANDIDATES, 1)
        session = interpreter.createSession(
            {"backend": "CPU", "numThread": self.threads, "precision": "high"}
        )
        source = interpreter.getSessionInput(session)
        target = interpreter.getSessionOutput(session)
        given = MNN.Tensor(
            images.shape, MNN.Halide_Type_Float, images, MNN.Tensor_DimensionType_Caffe
        )
        shape = target.getShape()
        result = MNN.Tensor(
            shape,
            MNN.Halide_Type_Float,
            np.empty(shape, np.float32),
            MNN.Tensor_DimensionType_Caffe,
        )

        def predict() -> np.ndarray:
            source.copyFrom(given)
            interpreter.runSession(session)
            target.copyToHostTensor(result)
            return result.getNumpyData()

        return predict
