"""Curves: fastconv's training step over threads, batch and image size."""

from __future__ import annotations

import argparse
from typing import Any

from . import report
from .contenders import FASTCONV, TRAIN
from .contenders.base import TRAINING_STEP
from .harness import Timing, interleave
from .models import make_task
from .spec import training_flops
from .worker import Worker

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
IMAGE_SIZES = (32, 64, 100, 150, 224)
MOST_PIXELS = 64 * 224 * 224
"""Of a batch; more would take memory and minutes."""


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure and print the curves that `options` ask for; return them as JSON values."""
    facts = report.environment(options.threads)
    print(report.headline(facts))
    curves = []
    for name in options.models:
        size, batch = options.image_size, options.batch_size
        threads = sorted({*range(1, options.threads + 1), max(1, facts["cpus"])})
        axes = {
            "threads": [(count, batch, size) for count in threads],
            "batch": [(options.threads, count, size) for count in BATCHES],
            "image size": [(options.threads, batch, pixels) for pixels in IMAGE_SIZES],
        }
        for axis, points in axes.items():
            points = [point for point in points if point[1] * point[2] ** 2 <= MOST_PIXELS]
            measured = _curve(name, points, options)
            curves += _print_curve(name, axis, measured)
    return {"command": "scaling", "environment": facts, "curves": curves}


def _curve(
    name: str, points: list[tuple[int, int, int]], options: argparse.Namespace
) -> list[tuple[tuple[int, int, int], Timing, int]]:
    """Return time and operations at each (threads, batch, image size)."""
    measured = []
    for threads, batch, size in points:
        report.progress(f"{name}: {threads} threads, batch {batch}, {size} x {size}")
        changed = {**vars(options), "batch_size": batch, "image_size": size}
        task, _ = make_task(name, argparse.Namespace(**changed))
        with Worker(FASTCONV.label, FASTCONV.target, threads, mode=TRAIN) as worker:
            worker.invoke("prepare", task)
            turns = [(worker, TRAINING_STEP)]
            timing = interleave(turns, options.rounds, options.calls, restore=True)
        step = timing[FASTCONV.label, TRAINING_STEP]
        measured.append(((threads, batch, size), step, training_flops(task.layers, batch)))
    return measured


def _print_curve(name: str, axis: str, measured: list[Any]) -> list[dict[str, Any]]:
    column = ("threads", "batch", "image size").index(axis)
    rows, curve = [], []
    for point, timing, flops in measured:
        images = point[1] / timing.median
        rows.append(
            [
                str(point[column]),
                report.milliseconds(timing.median),
                "-".join(report.milliseconds(quartile) for quartile in timing.quartiles),
                f"{flops / timing.median / 1e9:.1f}",
                f"{images:.0f}",
            ]
        )
        curve.append(
            {
                "model": name,
                "axis": axis,
                "value": point[column],
                "median": timing.median,
                "seconds": timing.seconds,
                "flops/s": flops / timing.median,
                "images/s": images,
            }
        )
    print(f"\n## {name}, training step over {axis}")
    print(report.table([axis, "ms", "quartiles", "GFLOP/s", "images/s"], rows), flush=True)
    return curve
