"""Whole networks with branches: a training step, a batch predicted, one image, beside peers."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import report
from .contenders import NETWORK, NETWORK_PEERS, PREDICT, TRAIN, Entry, available
from .contenders.base import TRAINING_STEP, prediction
from .graph import NetworkTask
from .harness import Timing, best, calls_within, geometric_mean, interleave
from .preparing import prepared
from .worker import ContenderError, Worker

SIZES = {
    "resnet20": (32, 128),
    "small_xception": (100, 32),
    "mobilenet_v2_like": (100, 32),
    "unet": (96, 8),
}
"""Rows and columns of the images, and images in the batch, of each network."""
_PEER_LABELS = tuple(peer.label for peer in NETWORK_PEERS)
TORCH_LABELS = tuple(peer.label for peer in NETWORK_PEERS if peer.key == "torch")


@dataclass
class Measurement:
    """What one operation of one network took, contender by contender."""

    network: str
    operation: str
    timings: dict[str, Timing]
    memory: dict[str, int]
    notes: dict[str, str]

    @property
    def title(self) -> str:
        """What was measured."""
        return f"{self.network}, {self.operation}"

    @property
    def ours(self) -> Timing:
        """The times of fastconv."""
        return self.timings[NETWORK.label]

    def best(self, labels: Sequence[str] = _PEER_LABELS) -> str:
        """Return the fastest contender among `labels`, "" where there is none."""
        there = {label: self.timings[label] for label in labels if label in self.timings}
        return best(there) if there else ""

    def ratio(self, label: str) -> float:
        """Return a contender's median over fastconv's."""
        return self.timings[label].median / self.ours.median

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values, raw times in seconds included."""
        return {
            "model": self.network,
            "operation": self.operation,
            "contenders": {
                label: {
                    "median": timing.median,
                    "quartiles": timing.quartiles,
                    "seconds": timing.seconds,
                    "times fastconv's": self.ratio(label),
                    "peak memory": self.memory[label],
                    "note": self.notes.get(label, ""),
                }
                for label, timing in self.timings.items()
            },
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Measurement:
        """Return the measurement that `to_json` gave."""
        found = values["contenders"]
        return cls(
            values["model"],
            values["operation"],
            {label: Timing(tuple(one["seconds"])) for label, one in found.items()},
            {label: one["peak memory"] for label, one in found.items()},
            {label: one["note"] for label, one in found.items()},
        )


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure and print what `options` ask for; return the results as JSON values."""
    results = _read(options.results) if options.results else _measured(options)
    measurements = [Measurement.from_json(values) for values in results["measurements"]]
    summary = summarize(measurements)
    print(f"\n{summary}")
    if options.markdown:
        lines = [report.headline(results["environment"]), *map(": ".join, results["tasks"].items())]
        text = "\n\n".join([*lines, comparison(measurements), summary])
        Path(options.markdown).write_text(f"{text}\n")
        report.progress(f"wrote {options.markdown}")
    return results


def _read(paths: Sequence[str]) -> dict[str, Any]:
    """Return the results of several runs as those of one; all must be of one machine."""
    first, *others = (json.loads(Path(path).read_text()) for path in paths)
    for path, other in zip(paths[1:], others, strict=True):
        if other["environment"] != first["environment"] or other["command"] != first["command"]:
            raise ContenderError(f"{path} is of another machine, or of other versions or threads")
        first["tasks"].update(other["tasks"])
        first["measurements"] += other["measurements"]
    return first


def _measured(options: argparse.Namespace) -> dict[str, Any]:
    """Measure what `options` ask for, print it, and return the results as JSON values."""
    peers, notes = available(tuple(options.peers), NETWORK_PEERS)
    facts = report.environment(options.threads)
    print(report.headline(facts))
    for note in notes:
        print(f"note: {note}")
    print("note: dropout is there with rate 0, so that losses of all libraries are the same")
    entries = [NETWORK, *(_checkout(path) for path in options.beside), *peers]
    measurements, tasks = [], {}
    for name in options.networks:
        task, tasks[name] = _task(name, options)
        print(f"\n## {name}: {tasks[name]}")
        for mode in options.modes:
            for measurement in _measure(task, mode, entries, options):
                print_measurement(measurement)
                measurements.append(measurement)
    return {
        "command": "networks",
        "environment": facts,
        "tasks": tasks,
        "measurements": [measurement.to_json() for measurement in measurements],
    }


def _checkout(path: str) -> Entry:
    """Return fastconv as it is in another folder."""
    root = Path(path).resolve()
    return replace(NETWORK, label=f"fastconv of {root.name}", paths=(str(root), str(root / "pyx")))


def _task(name: str, options: argparse.Namespace) -> tuple[NetworkTask, str]:
    """Return the network, its batch and a note on both; made in a process of its own."""
    report.progress(f"{name}: {options.trained or 'settling'} steps")
    size, batch = SIZES[name]
    target = "bench.contenders.fastconv_network:NetworkMaker"
    with Worker("set-up", target, options.threads) as maker:
        arguments = (options.photos, options.trained, options.seed)
        return maker.invoke("make", name, options.batch_size or batch, size, *arguments)


def _measure(
    task: NetworkTask, mode: str, entries: Sequence[Entry], options: argparse.Namespace
) -> list[Measurement]:
    """Return the measurements of one network in one mode, all contenders in turn."""
    sizes = tuple(dict.fromkeys((1, len(task.x)))) if mode == PREDICT else (len(task.x),)
    operations = [prediction(size) for size in sizes] if mode == PREDICT else [TRAINING_STEP]
    with contextlib.ExitStack() as stack:
        workers = prepared(task, mode, sizes, entries, options.threads, stack)
        timings: dict[tuple[str, str], Timing] = {}
        for operation in operations:
            report.progress(f"{task.name} {mode}: timing {operation}")
            first = [worker.time(operation, 1)[0] for worker in workers]
            calls = calls_within(float(np.median(first)), options.budget)
            turns = [(worker, operation) for worker in workers]
            timings |= interleave(turns, options.rounds, calls, restore=mode == TRAIN)
        memory = {worker.label: worker.peak_memory() for worker in workers}
        notes = {worker.label: worker.invoke("facts").get("notes", "") for worker in workers}
    labels = list(memory)
    return [
        Measurement(
            task.name,
            operation,
            {label: timings[label, operation] for label in labels},
            memory,
            notes,
        )
        for operation in operations
    ]


def print_measurement(measurement: Measurement) -> None:
    """Print the table of one operation."""
    print(f"\n### {measurement.title}")
    rows = []
    for label, timing in measurement.timings.items():
        low, high = timing.quartiles
        note = measurement.notes.get(label)
        rows.append(
            [
                f"{label} ({note})" if note else label,
                report.milliseconds(timing.median),
                f"{report.milliseconds(low)}-{report.milliseconds(high)}",
                f"{measurement.ratio(label):.2f}",
                report.megabytes(measurement.memory[label]),
            ]
        )
    header = ["contender", "ms", "quartiles", "x fastconv", "peak memory"]
    print(report.table(header, rows), flush=True)


def comparison(measurements: Sequence[Measurement]) -> str:
    """Return a table of all peers' times over fastconv's, PyTorch's the best of its forms."""
    others = [peer.label for peer in NETWORK_PEERS if peer.key != "torch"]
    others = [label for label in others if any(label in m.timings for m in measurements)]
    rows = []
    for measurement in measurements:
        labels = [measurement.best(TORCH_LABELS), *others]
        rows.append(
            [
                measurement.title,
                f"{report.milliseconds(measurement.ours.median)} ms",
                *(
                    f"{measurement.ratio(label):.2f} x" if label in measurement.timings else ""
                    for label in labels
                ),
                report.megabytes(measurement.memory[NETWORK.label]),
                _leanest(measurement),
            ]
        )
    header = ["", "fastconv", "PyTorch, best", *others, "peak memory", "leanest peer's"]
    return report.table(header, rows)


def summarize(measurements: Sequence[Measurement]) -> str:
    """Return a row for each operation, fastconv beside the best peer, and geometric means."""
    rows = []
    for measurement in measurements:
        name, torch = measurement.best(), measurement.best(TORCH_LABELS)
        median = report.milliseconds(measurement.timings[name].median) if name else ""
        rows.append(
            [
                measurement.title,
                report.milliseconds(measurement.ours.median),
                f"{median} ({name})" if name else "-",
                f"{measurement.ratio(name):.2f}" if name else "-",
                f"{measurement.ratio(torch):.2f}" if torch else "-",
                report.megabytes(measurement.memory[NETWORK.label]),
                _leanest(measurement),
            ]
        )
    header = ["", "fastconv ms", "best peer ms", "ratio", "to PyTorch", "peak memory"]
    legend = (
        "ratio: best peer's median over fastconv's, to PyTorch: that of PyTorch's best form; "
        "peak memory: of the process"
    )
    table = report.table([*header, "leanest peer's"], rows)
    return "\n\n".join([table, legend, *_means(measurements)])


def _leanest(measurement: Measurement) -> str:
    """Return the peak memory of the peer that needs least, and its name."""
    memory = measurement.memory
    there = [peer.label for peer in NETWORK_PEERS if peer.label in memory]
    if not there:
        return "-"
    label = min(there, key=memory.__getitem__)
    return f"{report.megabytes(memory[label])} ({label})"


def _means(measurements: Sequence[Measurement]) -> Iterator[str]:
    """Yield a line on each kind of operation: how many times fastconv's the peers' times are."""
    kinds: dict[str, list[Measurement]] = {}
    names = {TRAINING_STEP: "training step", prediction(1): "prediction of one image"}
    for measurement in measurements:
        kind = names.get(measurement.operation, "prediction of a batch")
        kinds.setdefault(kind, []).append(measurement)
    for kind, group in kinds.items():
        means = []
        for labels, whose in ((_PEER_LABELS, "the best peer"), (TORCH_LABELS, "PyTorch")):
            found = [m.ratio(m.best(labels)) for m in group if m.best(labels)]
            if found:
                means.append(f"{geometric_mean(found):.2f} to {whose} (of {len(found)})")
        if means:
            yield f"{kind}, geometric means: {', '.join(means)}"
