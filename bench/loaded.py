"""Networks that PyTorch exported to ONNX: fastconv beside libraries that run such files."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import report
from .contenders import LOADED, LOADED_PEERS, PREDICT, available
from .contenders.base import prediction
from .harness import calls_within, geometric_mean, interleave
from .networks import Measurement, print_measurement
from .preparing import prepared

SIZES = {"unet": 96}
"""Rows and columns of the images of a network, 100 unless they stand here."""


@dataclass(frozen=True)
class LoadedTask:
    """A network by its name, with the images to predict; its file has the weights."""

    name: str
    x: np.ndarray
    weights: tuple[np.ndarray, ...] = ()


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure and print what `options` ask for; return the results as JSON values."""
    peers, notes = available(tuple(options.peers), LOADED_PEERS)
    facts = report.environment(options.threads)
    print(report.headline(facts))
    for note in notes:
        print(f"note: {note}")
    measurements: list[Measurement] = []
    for name in options.networks:
        found = _measure(name, [LOADED, *peers], options)
        for measurement in found:
            print_measurement(measurement)
        measurements += found
    summary = comparison(measurements)
    print(f"\n{summary}")
    if options.markdown:
        Path(options.markdown).write_text(f"{report.headline(facts)}\n\n{summary}\n")
        report.progress(f"wrote {options.markdown}")
    return {
        "command": "loaded",
        "environment": facts,
        "measurements": [measurement.to_json() for measurement in measurements],
    }


def _measure(name: str, entries: Sequence[Any], options: argparse.Namespace) -> list[Measurement]:
    """Return the measurements of one network, all contenders in turn."""
    size = SIZES.get(name, 100)
    random = np.random.default_rng(options.seed)
    task = LoadedTask(name, random.random((options.batch_size, size, size, 3), np.float32))
    sizes = tuple(dict.fromkeys((1, options.batch_size)))
    with contextlib.ExitStack() as stack:
        workers = prepared(task, PREDICT, sizes, entries, options.threads, stack)
        timings = {}
        for operation in map(prediction, sizes):
            report.progress(f"{name}: timing {operation}")
            first = [worker.time(operation, 1)[0] for worker in workers]
            calls = calls_within(float(np.median(first)), options.budget)
            turns = [(worker, operation) for worker in workers]
            timings |= interleave(turns, options.rounds, calls)
        memory = {worker.label: worker.peak_memory() for worker in workers}
        notes = {worker.label: worker.invoke("facts").get("notes", "") for worker in workers}
    return [
        Measurement(
            name,
            operation,
            {label: timings[label, operation] for label in memory},
            memory,
            notes,
        )
        for operation in map(prediction, sizes)
    ]


def comparison(measurements: Sequence[Measurement]) -> str:
    """Return a table of the peers' times over fastconv's, and their geometric means."""
    labels = [peer.label for peer in LOADED_PEERS]
    labels = [label for label in labels if any(label in m.timings for m in measurements)]
    rows = [
        [
            measurement.title,
            f"{report.milliseconds(measurement.ours.median)} ms",
            *(
                f"{measurement.ratio(label):.2f} x" if label in measurement.timings else ""
                for label in labels
            ),
        ]
        for measurement in measurements
    ]
    means = []
    for label in labels:
        ratios = [m.ratio(label) for m in measurements if label in m.timings]
        means.append(f"{geometric_mean(ratios):.2f} x")
    rows.append(["geometric mean", "", *means])
    return report.table(["", "fastconv", *labels], rows)
