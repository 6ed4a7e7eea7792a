"""Whole models: a training step, a batch predicted, one image predicted, beside every peer."""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import machine, report
from .contenders import FASTCONV, PEERS, PREDICT, TRAIN, Entry, available
from .contenders.base import TRAINING_STEP, prediction
from .harness import Timing, best, interleave
from .preparing import prepared
from .spec import ModelTask, compulsory_bytes, forward_flops, training_flops
from .worker import Worker

ONE_THREAD = "fastconv, 1 thread"
TORCH_LABELS = tuple(peer.label for peer in PEERS if peer.key == "torch")


@dataclass
class Measurement:
    """What one operation of one model took, contender by contender."""

    model: str
    operation: str
    flops: int
    bytes: int
    timings: dict[str, Timing]
    memory: dict[str, int]
    notes: dict[str, str]
    alive: dict[str, dict[str, float]]

    @property
    def peers(self) -> dict[str, Timing]:
        """The times of all but fastconv."""
        return {
            label: timing
            for label, timing in self.timings.items()
            if label not in (FASTCONV.label, ONE_THREAD)
        }

    def to_json(self, peak: float) -> dict[str, Any]:
        """Return everything as JSON values, raw times in seconds included."""
        ours = self.timings[FASTCONV.label].median
        return {
            "model": self.model,
            "operation": self.operation,
            "flops": self.flops,
            "bytes": self.bytes,
            "living units": self.alive,
            "contenders": {
                label: {
                    "median": timing.median,
                    "quartiles": timing.quartiles,
                    "seconds": timing.seconds,
                    "times fastconv's": timing.median / ours,
                    "flops/s": self.flops / timing.median,
                    "share of sgemm": self.flops / timing.median / peak,
                    "peak memory": self.memory.get(label),
                    "note": self.notes.get(label, ""),
                }
                for label, timing in self.timings.items()
            },
        }


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure and print what `options` ask for; return the results as JSON values."""
    peers, notes = available(tuple(options.peers))
    facts = report.environment(options.threads)
    print(report.headline(facts))
    for note in notes:
        print(f"note: {note}")
    with contextlib.ExitStack() as stack:
        gauges = [stack.enter_context(worker) for worker in machine.start(options.threads)]
        samples = [machine.rates(gauges, options.rounds, 3)]
        measurements = []
        for name in options.models:
            task, note = make_task(name, options)
            print(f"\n## {name}: {sum(w.size for w in task.weights):,} parameters, {note}")
            for mode in options.modes:
                measured = measure(task, mode, peers, options)
                # Again after each model: clocks and neighbours change over minutes.
                samples.append(machine.rates(gauges, options.rounds, 3))
                for measurement in measured:
                    print_measurement(measurement, samples[-1][machine.SGEMM])
                measurements += measured
    rates = {key: float(np.median([sample[key] for sample in samples])) for key in samples[0]}
    print(
        f"\nsgemm {rates[machine.SGEMM] / 1e9:.1f} GFLOP/s, copy {rates[machine.COPY] / 1e9:.1f} "
        f"GB/s on {options.threads} threads (medians of the run)\n"
    )
    print_summary(measurements, rates[machine.SGEMM])
    return {
        "command": "models",
        "environment": facts,
        "rates": rates,
        "measurements": [m.to_json(rates[machine.SGEMM]) for m in measurements],
    }


def make_task(name: str, options: argparse.Namespace) -> tuple[ModelTask, str]:
    """Return the model, its batch and a note on both; made in a process of its own."""
    if options.trained:
        report.progress(f"{name}: {options.trained} training steps on photos")
    with Worker("set-up", "bench.contenders.fastconv_model:TaskMaker", options.threads) as maker:
        task = maker.invoke(
            "make",
            name,
            options.batch_size,
            options.image_size,
            options.photos,
            options.trained,
            options.seed,
        )
    batch = "photos" if options.photos else "random images"
    state = f"after {options.trained} steps on photos" if options.trained else "fresh weights"
    return task, f"{state}, {options.batch_size} {batch} of {options.image_size} x " + (
        f"{options.image_size}"
    )


def measure(
    task: ModelTask, mode: str, peers: list[Entry], options: argparse.Namespace
) -> list[Measurement]:
    """Return the measurements of one model in one mode, all contenders in turn."""
    batch_sizes = (len(task.x), *((1,) if len(task.x) > 1 else ()))
    predictions = [prediction(size) for size in batch_sizes]
    operations = predictions if mode == PREDICT else [TRAINING_STEP]
    one = [replace(FASTCONV, label=ONE_THREAD, threads=1)] if options.threads > 1 else []
    entries = [FASTCONV, *one, *peers]
    with contextlib.ExitStack() as stack:
        workers = prepared(task, mode, batch_sizes, entries, options.threads, stack)
        notes: dict[str, str] = {}
        alive: dict[str, dict[str, float]] = {}
        timings: dict[tuple[str, str], Timing] = {}
        for operation in operations:
            report.progress(f"{task.name} {mode}: timing {operation}")
            turns = [(worker, operation) for worker in workers]
            calls = options.calls if operation != prediction(1) else 10 * options.calls
            timings |= interleave(turns, options.rounds, calls, restore=mode == TRAIN)
        memory = {worker.label: worker.peak_memory() for worker in workers}
        for worker in workers:
            found = worker.invoke("facts")
            notes[worker.label] = found.get("notes", "")
            if worker.label == FASTCONV.label:
                alive = {"at the end": found["alive"]}
                if mode == TRAIN:
                    # The task's weights again: what a round starts from.
                    worker.invoke("restore")
                    alive = {"at the start": worker.invoke("facts")["alive"], **alive}
    return [
        Measurement(
            model=task.name,
            operation=operation,
            flops=_flops(task, operation),
            bytes=compulsory_bytes(task.layers, 1 if operation == prediction(1) else len(task.x)),
            timings={worker.label: timings[worker.label, operation] for worker in workers},
            memory=memory,
            notes=notes,
            alive=alive,
        )
        for operation in operations
    ]


def _flops(task: ModelTask, operation: str) -> int:
    if operation == TRAINING_STEP:
        return training_flops(task.layers, len(task.x))
    return forward_flops(task.layers, 1 if operation == prediction(1) else len(task.x))


def print_measurement(measurement: Measurement, peak: float) -> None:
    """Print the table of one operation."""
    ours = measurement.timings[FASTCONV.label]
    print(f"\n### {measurement.model}, {measurement.operation}")
    if measurement.alive:
        shares = "; ".join(
            f"{when} " + ", ".join(f"{name} {share:.2f}" for name, share in layers.items())
            for when, layers in measurement.alive.items()
        )
        print(f"living units: {shares}")
    rows = []
    for label, timing in measurement.timings.items():
        low, high = timing.quartiles
        rate = measurement.flops / timing.median
        rows.append(
            [
                label + (f" ({measurement.notes[label]})" if measurement.notes.get(label) else ""),
                report.milliseconds(timing.median),
                f"{report.milliseconds(low)}-{report.milliseconds(high)}",
                f"{timing.median / ours.median:.2f}",
                f"{rate / 1e9:.1f}",
                f"{rate / peak:.2f}",
                report.megabytes(measurement.memory[label]),
            ]
        )
    header = ["contender", "ms", "quartiles", "x fastconv", "GFLOP/s", "/ sgemm", "peak memory"]
    print(report.table(header, rows), flush=True)


def print_summary(measurements: list[Measurement], peak: float) -> None:
    """Print one row for each operation: fastconv beside the best peer and the best PyTorch."""
    rows = []
    for measurement in measurements:
        ours, peers = measurement.timings[FASTCONV.label], measurement.peers
        name = best(peers) if peers else ""
        torches = {label: peers[label] for label in peers if label in TORCH_LABELS}
        one = measurement.timings.get(ONE_THREAD)
        rate = measurement.flops / ours.median
        leanest = min((measurement.memory[label] for label in peers), default=None)
        rows.append(
            [
                f"{measurement.model}, {measurement.operation}",
                report.milliseconds(ours.median),
                f"{report.milliseconds(peers[name].median)} ({name})" if name else "-",
                f"{peers[name].median / ours.median:.2f}" if name else "-",
                f"{torches[best(torches)].median / ours.median:.2f}" if torches else "-",
                f"{rate / 1e9:.0f}",
                f"{rate / peak:.2f}",
                f"{one.median / ours.median:.2f}" if one else "-",
                f"{leanest / measurement.memory[FASTCONV.label]:.1f}" if leanest else "-",
            ]
        )
    header = ["", "fastconv ms", "best peer ms", "ratio", "to PyTorch", "GFLOP/s", "/ sgemm"]
    header += ["threads", "memory"]
    print(report.table(header, rows))
    print(
        "ratio: best peer's median over fastconv's, to PyTorch: that of PyTorch's best form; "
        "threads: one thread's median over that of all; memory: peak of the leanest peer's process "
        "over that of fastconv's"
    )
