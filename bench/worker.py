"""A process for one contender, and the pipe that its orders come through.

Every contender has a process of its own: the thread pools of OpenMP, Eigen and
oneDNN spin for a while after work and would disturb each other in one.  An idle
process blocks on its pipe.  The child is spawned, not forked, since libgomp
does not survive a fork, and imports nothing heavy before its contender does.
With BENCH_TRACEBACK set, a child prints the traceback of what went wrong.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

THREAD_VARIABLES = (
    "FASTCONV_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
TIMEOUT = 1800.0
"""Seconds after which an answer is given up on; compiling a model takes minutes."""


class ContenderError(RuntimeError):
    """A contender could not do what it was asked; the message is its own."""


class Contender(Protocol):
    """What a worker runs: `prepare` fills `operations`, each is then timed by its name."""

    operations: dict[str, Callable[[], Any]]

    def prepare(self, task: Any) -> dict[str, Any]:
        """Get ready for `task` and return what the parent compares or prints."""

    def restore(self) -> None:
        """Undo what the operations changed, such as the weights that training moved."""


class Worker:
    """A contender in a process of its own.

    `target` is "module:Class"; the class is made there with `threads=` and
    `options`; what it imports is looked for in the folders `paths` first.  A process that crashes
    or does not answer is replaced, with nothing prepared in it.  Use as a context manager.
    """

    def __init__(
        self, label: str, target: str, threads: int, *, paths: Sequence[str] = (), **options: Any
    ) -> None:
        self.label = label
        self.threads = threads
        self._arguments = (target, {"threads": threads, **options}, tuple(paths))
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, end = context.Pipe()
        # Not daemonic, for such have no children: PyTorch's DataLoader has worker processes.
        self._process = context.Process(target=_serve, args=(end, *self._arguments), daemon=False)
        with _environment(self.threads):
            self._process.start()
        end.close()

    def _replace(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()
        self._start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def invoke(self, method: str, *arguments: Any) -> Any:
        """Return what the contender's `method` returns; raise ContenderError if it fails."""
        try:
            self._pipe.send((method, arguments))
            if not self._pipe.poll(TIMEOUT):
                # Its answer, should it come, would be taken for that to the next order.
                self._replace()
                raise ContenderError(f"{self.label}: no answer to {method} within {TIMEOUT:.0f} s")
            succeeded, answer = self._pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._process.join(5)
            code = self._process.exitcode
            self._replace()
            raise ContenderError(
                f"{self.label}: its process ended in {method} (exit code {code})"
            ) from None
        if not succeeded:
            raise ContenderError(f"{self.label}: {answer}")
        return answer

    def time(self, operation: str, calls: int, warm: bool = True) -> list[float]:
        """Return the seconds of each of `calls` calls; with `warm` one before does not count."""
        return self.invoke("time", operation, calls, warm)

    def peak_memory(self) -> int:
        """Return the most memory that the process has held, in bytes."""
        return self.invoke("peak_memory")

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError, ValueError):
            self._pipe.send(None)
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()


@contextlib.contextmanager
def _environment(threads: int) -> Iterator[None]:
    """Set the thread counts for a child: some libraries read them when they are loaded."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _serve(pipe: Any, target: str, options: dict[str, Any], paths: tuple[str, ...]) -> None:
    """Answer orders until the pipe closes or None comes."""
    sys.path[:0] = paths
    # What libraries print goes where progress does: stdout is the report's.
    os.dup2(2, 1)
    contender: Contender | None = None
    while True:
        try:
            order = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        if order is None:
            return
        method, arguments = order
        try:
            # Made at the first order, so that a failed import is an answer like others.
            if contender is None:
                module, name = target.split(":")
                contender = getattr(importlib.import_module(module), name)(**options)
            answer = (True, _answer(contender, method, arguments))
        except KeyboardInterrupt:
            return
        except BaseException as error:
            if os.environ.get("BENCH_TRACEBACK"):
                traceback.print_exc()
            answer = (False, _one_line(error))
        pipe.send(answer)


def _answer(contender: Contender, method: str, arguments: tuple[Any, ...]) -> Any:
    if method == "time":
        operation, calls, warm = arguments
        return _time(contender.operations[operation], calls, warm)
    if method == "peak_memory":
        return _peak_memory()
    return getattr(contender, method)(*arguments)


def _time(operation: Callable[[], Any], calls: int, warm: bool) -> list[float]:
    gc.collect()
    gc.disable()
    try:
        if warm:
            operation()
        seconds = []
        for _ in range(calls):
            start = time.perf_counter()
            operation()
            seconds.append(time.perf_counter() - start)
        return seconds
    finally:
        gc.enable()


def _peak_memory() -> int:
    """Return the process's peak resident memory in bytes."""
    # Not getrusage: its maximum outlives exec and so counts the parent's memory too.
    with contextlib.suppress(OSError, StopIteration), open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    text = text if len(text) <= 200 else text[:197] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
