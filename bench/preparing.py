"""Contenders made ready to be timed: files written for them, outputs held against fastconv's."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from . import report
from .contenders import Entry
from .graph import network_of
from .spec import ModelTask
from .worker import ContenderError, Worker

TOLERANCE = 1e-4
"""Largest difference to fastconv's outputs, probabilities, and loss."""
NEXT_SHARE = 0.1
"""The same of the loss after one step, as a share of what the step changes.

Adam's first update is near the sign of each gradient, whatever its size, so that rounding in deep
networks shows: up to 4 % in MobileNetV2's.  Another update or a lacking gradient is far more.
"""

Task = Any  # ModelTask, NetworkTask or another with its name, images and weights


def prepared(
    task: Task,
    mode: str,
    sizes: tuple[int, ...],
    entries: Sequence[Entry],
    threads: int,
    stack: contextlib.ExitStack,
) -> list[Worker]:
    """Return the workers that compute what the first entry does, fastconv's, ready to be timed.

    `sizes` are the batches that are predicted.  A contender that fails, or computes something
    else, is left out with a printed note.
    """
    workers: list[Worker] = []
    files = Files(task, sizes, threads)
    expected: dict[str, Any] | None = None
    for entry in entries:
        if mode not in entry.modes:
            continue
        report.progress(f"{task.name} {mode}: {entry.label}")
        attempts = [entry.options, *([{**entry.options, **entry.exact}] if entry.exact else [])]
        for options in attempts:
            arguments = {"mode": mode, "batch_sizes": sizes, **options}
            worker = Worker(
                entry.label,
                entry.target,
                entry.threads or threads,
                paths=entry.paths,
                **arguments,
            )
            stack.enter_context(worker)
            try:
                # What was converted has the weights: they are not to count twice as its memory.
                given = replace(task, weights=()) if entry.converter else task
                answer = worker.invoke("prepare", given, files.of(entry))
                expected = expected or answer
                check_same(entry.label, answer, expected)
            except ContenderError as error:
                if expected is None:
                    raise
                worker.close()
                if options is attempts[-1]:
                    print(f"note: left out, {error}")
            else:
                workers.append(worker)
                break
    return workers


class Files:
    """What peers read of a task, each kind written once, in a process of its own."""

    def __init__(self, task: Task, sizes: tuple[int, ...], threads: int) -> None:
        self.task, self.sizes, self.threads = task, sizes, threads
        self._written: dict[str, dict[int, Any]] = {}

    def of(self, entry: Entry) -> dict[int, Any] | None:
        """Return an entry's files by batch sizes, None if it reads none."""
        if not entry.converter:
            return None
        if entry.converter not in self._written:
            task = network_of(self.task) if isinstance(self.task, ModelTask) else self.task
            with Worker(f"{entry.label}: conversion", entry.converter, self.threads) as converter:
                self._written[entry.converter] = {
                    size: converter.invoke("convert", task, size) for size in self.sizes
                }
        return self._written[entry.converter]


def check_same(label: str, answer: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raise ContenderError if a contender computes something else than fastconv does."""
    pairs = [(f"prediction of {size}", answer["outputs"][size], expected["outputs"][size])
             for size in expected["outputs"]]  # fmt: skip
    tolerances = {}
    if "loss" in expected:
        pairs += [(what, answer[what], expected[what]) for what in ("loss", "next loss")]
        change = abs(expected["next loss"] - expected["loss"])
        tolerances["next loss"] = max(TOLERANCE, NEXT_SHARE * change)
    for what, given, wanted in pairs:
        if np.shape(given) != np.shape(wanted):
            raise ContenderError(f"{label}: {what} has shape {np.shape(given)}")
        difference = float(np.max(np.abs(np.subtract(given, wanted))))
        if not difference < tolerances.get(what, TOLERANCE):
            raise ContenderError(f"{label}: {what} differs from fastconv's by {difference:.1e}")
