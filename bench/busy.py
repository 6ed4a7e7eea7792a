"""A training step on CPUs that others use as well: beside the same step alone, in turns.

A process gets what the scheduler leaves it.  One that computes with a single thread takes half of a
CPU from us, where two want it; so does another library in our process, a thread of which waits for
more to do, and spins, after each call; another training takes as much as we; a quota leaves what it
says.  Were a step's work spread over the rest without loss it would take its time alone times the
CPUs that it had then over those that it gets now: `of its share` is the mean beside that.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fastconv
from fastconv import architectures

from . import report
from .worker import Worker

QUOTA = 1.5
COMPUTING = "import numpy as np\nx = np.random.rand(1 << 14)\nwhile True: x = np.sqrt(x * x + 1e-9)"
TRAINING = "from bench.busy import Steps\nSteps(threads={}, beside='').train_for_ever({!r})"
SIDE = 256
"""Of the matrices by whose product other libraries' threads are woken."""


@dataclass(frozen=True)
class Load:
    """What is there beside a training, and how many of `cpus` CPUs it leaves to it."""

    name: str
    left: Callable[[int], float]
    computing: int = 0
    training: bool = False
    library: str = ""
    quota: bool = False
    threads: int = 0


LOADS = (
    Load("one busy process", lambda cpus: cpus - 0.5, computing=1),
    Load("two busy processes", lambda cpus: cpus - 1.0, computing=2),
    Load("another training", lambda cpus: cpus / 2, training=True),
    Load("NumPy's threads", lambda cpus: cpus - 0.5, library="numpy"),
    Load("PyTorch's threads", lambda cpus: cpus - 0.5, library="torch"),
    Load(f"a quota of {QUOTA} CPUs", lambda cpus: min(cpus, QUOTA), quota=True),
    Load("8 threads", float, threads=8),
    Load("8 threads, two busy processes", lambda cpus: cpus - 1.0, computing=2, threads=8),
)


class Steps:
    """Training steps on random images, each after a product by another library if one is named."""

    def __init__(self, *, threads: int, beside: str) -> None:
        fastconv.set_num_threads(threads)
        self.threads = threads
        self.wake = self._product(beside) if beside else None

    def _product(self, library: str) -> Callable[[], Any]:
        matrix = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
        if library == "numpy":
            return lambda: matrix @ matrix
        import torch

        torch.set_num_threads(self.threads)
        tensor = torch.from_numpy(matrix)
        return lambda: tensor @ tensor + tensor

    def prepare(self, name: str) -> int:
        """Make a model and its batch; return the process's number."""
        architecture = architectures.get(name)
        self.model = architecture.recipe.compile(architecture())
        rng = np.random.default_rng(0)
        self.x = rng.random((32, 100, 100, 3), np.float32)
        self.y = rng.integers(0, 2, 32).astype(np.float32)
        self.seconds(5)
        return os.getpid()

    def seconds(self, calls: int) -> list[float]:
        """Return what each of `calls` steps takes, without the product before it."""
        found = []
        for _ in range(calls):
            if self.wake:
                self.wake()
            start = time.perf_counter()
            self.model.train_on_batch(self.x, self.y)
            found.append(time.perf_counter() - start)
        return found

    def train_for_ever(self, name: str) -> None:
        """What another process does beside the one that is timed."""
        self.prepare(name)
        print("ready", flush=True)
        while True:
            self.seconds(100)


@contextlib.contextmanager
def _programs(load: Load, model: str, threads: int) -> Iterator[None]:
    codes = [COMPUTING] * load.computing + [TRAINING.format(threads, model)] * load.training
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    running: list[subprocess.Popen[str]] = []
    try:
        for code in codes:
            command = [sys.executable, "-c", code]
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=alone))
            if code != COMPUTING:
                running[-1].stdout.readline()  # type: ignore[union-attr]
        time.sleep(0.1 if codes else 0)
        yield
    finally:
        for program in running:
            program.kill()
            program.communicate()


@contextlib.contextmanager
def _quota(process: int) -> Iterator[None]:
    """Let a process have QUOTA CPUs by a control group of its own, of either version."""
    first = Path("/sys/fs/cgroup/cpu")
    group = (first if first.is_dir() else first.parent) / f"fastconv-{process}"
    group.mkdir()
    try:
        if first.is_dir():
            (group / "cpu.cfs_period_us").write_text("100000")
            (group / "cpu.cfs_quota_us").write_text(str(int(QUOTA * 100000)))
        else:
            (group / "cpu.max").write_text(f"{int(QUOTA * 100000)} 100000")
        (group / "cgroup.procs").write_text(str(process))
        yield
    finally:
        (group.parent / "cgroup.procs").write_text(str(process))
        group.rmdir()


def _measure(
    load: Load, model: str, options: argparse.Namespace
) -> tuple[list[float], list[float]]:
    """Return the seconds of the steps alone and under the load, which take turns."""
    target = "bench.busy:Steps"
    with (
        Worker("alone", target, options.threads, beside="") as alone,
        Worker("loaded", target, load.threads or options.threads, beside=load.library) as loaded,
    ):
        alone.invoke("prepare", model)
        process = loaded.invoke("prepare", model)
        free: list[float] = []
        busy: list[float] = []
        for _ in range(options.rounds):
            free += alone.invoke("seconds", options.calls)
            with (
                _programs(load, model, options.threads),
                _quota(process) if load.quota else contextlib.nullcontext(),
            ):
                busy += loaded.invoke("seconds", options.calls)
    return free, busy


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure and print what `options` ask for; return it as JSON values."""
    facts = report.environment(options.threads)
    print(report.headline(facts))
    results = []
    for model in options.models:
        rows = []
        for load in LOADS:
            if options.match not in load.name:
                continue
            report.progress(f"{model}: {load.name}")
            cpus = min(facts["cpus"], options.threads)
            try:
                free, busy = _measure(load, model, options)
            except OSError as error:
                report.progress(f"left out, as it cannot be made here: {error}")
                continue
            ideal = statistics.median(free) * cpus / load.left(cpus)
            mean, median = statistics.fmean(busy), statistics.median(busy)
            rows.append(
                [
                    load.name,
                    f"{load.left(cpus):.3g}",
                    report.milliseconds(statistics.median(free)),
                    report.milliseconds(mean),
                    f"{mean / ideal:.2f}",
                    f"{max(busy) / median:.1f}",
                ]
            )
            results.append({"model": model, "load": load.name, "alone": free, "loaded": busy})
        print(f"\n## {model}, training step beside others")
        header = ["", "CPUs left", "alone, ms", "mean, ms", "of its share", "slowest / median"]
        print(report.table(header, rows), flush=True)
    return {"command": "busy", "environment": facts, "results": results}
