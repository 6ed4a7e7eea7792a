"""What the machine can do at most: sgemm and copy rates, measured in the same run."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import numpy as np

from .worker import Worker

SGEMM = "sgemm"
COPY = "copy"
SIZE = 1536
SGEMM_FLOPS = 2 * SIZE**3
COPY_FLOATS = 2**24
COPY_BYTES = 2 * 4 * COPY_FLOATS


class Machine:
    """Contender that multiplies square matrices and copies memory, by NumPy or PyTorch."""

    def __init__(self, *, threads: int, library: str) -> None:
        self.threads = threads
        self.library = library
        self.operations: dict[str, Callable[[], Any]] = {}

    def prepare(self, _: Any = None) -> dict[str, Any]:
        """Make matrices and run both operations once."""
        a, b = np.random.default_rng(0).random((2, SIZE, SIZE), np.float32)
        out = np.empty_like(a)
        if self.library == "torch":
            import torch

            torch.set_num_threads(self.threads)
            tensors = [torch.from_numpy(array) for array in (a, b, out)]
            self.operations[SGEMM] = lambda: torch.mm(*tensors[:2], out=tensors[2])
        else:
            self.operations[SGEMM] = lambda: np.matmul(a, b, out=out)
        self.operations[COPY] = self._copier()
        for operation in self.operations.values():
            operation()
        return {}

    def restore(self) -> None:
        """Nothing changes."""

    def _copier(self) -> Callable[[], Any]:
        source, target = np.ones((2, self.threads, COPY_FLOATS // self.threads), np.float32)
        pool = ThreadPoolExecutor(self.threads)
        # NumPy lets go of the interpreter's lock while it copies.
        return lambda: list(pool.map(np.copyto, target, source))


def start(threads: int) -> list[Worker]:
    """Return prepared workers whose best sgemm is taken as the machine's peak."""
    libraries = ["numpy", *(["torch"] if find_spec("torch") else [])]
    workers = [
        Worker(f"sgemm by {library}", "bench.machine:Machine", threads, library=library)
        for library in libraries
    ]
    for worker in workers:
        worker.invoke("prepare", None)
    return workers


def rates(workers: list[Worker], rounds: int, calls: int) -> dict[str, float]:
    """Return {"sgemm": operations, "copy": bytes} a second, medians, the better library's."""
    from .harness import interleave

    entries = [(worker, operation) for worker in workers for operation in (SGEMM, COPY)]
    timings = interleave(entries, rounds, calls)
    seconds = {
        operation: min(timing.median for key, timing in timings.items() if key[1] == operation)
        for operation in (SGEMM, COPY)
    }
    return {SGEMM: SGEMM_FLOPS / seconds[SGEMM], COPY: COPY_BYTES / seconds[COPY]}
