"""Files for ncnn and MNN, written by the libraries' own converters in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ..graph import NetworkTask


class NcnnConverter:
    """Traces PyTorch's form of the network, and has pnnx write ncnn's two files of it."""

    def __init__(self, *, threads: int) -> None:
        del threads

    def convert(self, task: NetworkTask, batch: int) -> tuple[bytes, bytes]:
        """Return the parameters' and the weights' content; ncnn's networks are of one image."""
        del batch
        import pnnx
        import torch

        from .torch_network import Interpreter, images_of

        images = images_of(task.x[:1], torch.contiguous_format)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "net.pt")
            torch.jit.trace(Interpreter(task), images).save(path)
            shape = ",".join(map(str, images.shape))
            command = [pnnx.EXEC_PATH, path, f"inputshape=[{shape}]f32", "fp16=0"]
            run(command, folder)
            parameters, weights = (Path(folder, f"net.ncnn.{part}") for part in ("param", "bin"))
            return parameters.read_bytes(), weights.read_bytes()


class MnnConverter:
    """Has MNN's compiled converter read ONNX."""

    def __init__(self, *, threads: int) -> None:
        del threads

    def convert(self, task: NetworkTask, batch: int) -> bytes:
        """Return the file's content."""
        from .onnx_network import graph

        # The command `mnnconvert` and `MNN.tools` install a package and send what they did.
        code = "import sys, _tools; _tools.mnnconvert(['mnnconvert', *sys.argv[1:]])"
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "net.onnx"), Path(folder, "net.mnn")
            source.write_bytes(graph(task, batch).SerializeToString())
            options = ["-f", "ONNX", "--bizCode", "bench"]
            options += ["--modelFile", str(source), "--MNNModel", str(target)]
            run([sys.executable, "-c", code, *options], folder)
            return target.read_bytes()


def run(command: list[str], folder: str) -> None:
    """Run a converter; raise RuntimeError with its last words if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip()[-200:])
