"""ONNX files that PyTorch has exported: who writes them for whom, and fastconv that loads them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .converters import run
from .runtimes import Runtime


class FileConverter:
    """Has PyTorch export a network; in a process of its own, so that no peer has its memory."""

    def __init__(self, *, threads: int) -> None:
        del threads

    def convert(self, task: Any, batch: int) -> bytes:
        """Return the file's content, for batches of one size."""
        from ..onnx_networks import exported

        return exported(task.name, batch=batch, any_batch=False)


class NcnnFileConverter:
    """Has pnnx write ncnn's two files of the network as PyTorch traces it."""

    def __init__(self, *, threads: int) -> None:
        del threads

    def convert(self, task: Any, batch: int) -> tuple[bytes, bytes]:
        """Return the parameters' and the weights' content; ncnn's networks are of one image."""
        del batch
        import pnnx
        import torch

        from ..onnx_networks import made

        images = torch.from_numpy(np.ascontiguousarray(task.x[:1].transpose(0, 3, 1, 2)))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "net.pt")
            torch.jit.trace(made(task.name), images).save(path)
            shape = ",".join(map(str, images.shape))
            run([pnnx.EXEC_PATH, path, f"inputshape=[{shape}]f32", "fp16=0"], folder)
            parameters, weights = (Path(folder, f"net.ncnn.{part}") for part in ("param", "bin"))
            return parameters.read_bytes(), weights.read_bytes()


class Loaded(Runtime):
    """`fastconv.onnx.load` and `predict_on_batch`."""

    channels_first = False

    def read(self, content: Any, images: np.ndarray) -> Callable[[], Any]:
        import fastconv

        fastconv.set_num_threads(self.threads)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "net.onnx")
            path.write_bytes(content)
            model = fastconv.onnx.load(path)
        return lambda: model.predict_on_batch(images)
