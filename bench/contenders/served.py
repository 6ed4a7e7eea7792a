"""Models as a server has them: many threads ask one model for one image each."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SEED = 0


class Served:
    """A library that predicts single images for several threads at once.

    A subclass defines `load`, which gives what each thread calls.
    """

    operations: dict[str, Callable[[], Any]]

    def __init__(self, *, threads: int, call: str = "") -> None:
        self.threads, self.call = threads, call
        self.operations = {}

    def load(self, source: Any, image: np.ndarray) -> Callable[[], np.ndarray]:
        """Return what predicts `image`, (1, height, width, channels)."""
        raise NotImplementedError

    def prepare(self, task: tuple[Any, np.ndarray]) -> np.ndarray:
        """Load and predict once, as a server does before it takes requests; return the output."""
        self._predict = self.load(*task)
        self._expected = np.array(self._predict())
        return self._expected.reshape(-1)

    def restore(self) -> None:
        """Nothing changes."""

    def serve(self, clients: int, calls: int) -> dict[str, Any]:
        """Let `clients` new threads call `calls` times in all; return what they found.

        "seconds" are those of each call, "first" of each thread's first one, "wall" is from the
        first call's beginning to the last one's end, "memory" what the process holds after it.
        """
        seconds: list[list[float]] = [[] for _ in range(clients)]
        differing: list[int] = []
        start = threading.Barrier(clients + 1)

        def client(number: int) -> None:
            start.wait()
            for _ in range(calls // clients):
                begun = time.perf_counter()
                output = self._predict()
                seconds[number].append(time.perf_counter() - begun)
                if output.tobytes() != self._expected.tobytes():
                    differing.append(number)

        threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        gc.collect()
        start.wait()
        begun = time.perf_counter()
        for thread in threads:
            thread.join()
        wall = time.perf_counter() - begun
        return {
            "seconds": [took for own in seconds for took in own[1:]],
            "first": [own[0] for own in seconds],
            "wall": wall,
            "same bits": not differing,
            "memory": _memory(),
        }


class ServedFastconv(Served):
    """A fastconv model, by `predict` or by `predict_on_batch`."""

    def load(self, source: str, image: np.ndarray) -> Callable[[], np.ndarray]:
        model = _model(source)
        if self.call == "predict":
            return lambda: model.predict(image, verbose=0)
        return lambda: model.predict_on_batch(image)


class ServedOnnxRuntime(Served):
    """One session of ONNX Runtime, which threads may share."""

    def load(self, source: bytes, image: np.ndarray) -> Callable[[], np.ndarray]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(source, options, ["CPUExecutionProvider"])
        image = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
        return lambda: session.run(None, {"x": image})[0]


class Converter:
    """Writes the same model for the others; in a process of its own."""

    def __init__(self, *, threads: int) -> None:
        self.operations: dict[str, Callable[[], Any]] = {}

    def prepare(self, name: str) -> bytes:
        """Return a model of `fastconv.architectures` as ONNX."""
        from . import onnx_graph

        return onnx_graph.graph(_model(name)).SerializeToString()

    def restore(self) -> None:
        """Nothing changes."""


def _model(name: str) -> Any:
    from fastconv import architectures
    from fastconv.utils import set_random_seed

    set_random_seed(SEED)
    return getattr(architectures, name)()


def _memory() -> int:
    """Return the bytes that the process holds now, 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    import resource

    return pages * resource.getpagesize()
