"""PyTorch's training step with `fastconv.torch.accelerate(module)` and without that line."""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from typing import Any

from . import report
from .harness import Timing, calls_within, geometric_mean

PLAIN, CHANNELS_LAST = "PyTorch", "PyTorch, channels_last"
OURS = {PLAIN: "accelerated", CHANNELS_LAST: "accelerated, channels_last"}
CHAPTER = ("model1", "model2", "model3", "model4")
TOLERANCE = 1e-4


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure and print what `options` ask for; return the results as JSON values."""
    import torch

    import fastconv

    torch.set_num_threads(options.threads)
    torch.set_num_interop_threads(1)
    fastconv.set_num_threads(options.threads)
    facts = report.environment(options.threads)
    print(report.headline(facts))
    measurements = []
    for name in options.networks:
        report.progress(f"{name}: {options.rounds} rounds")
        found = _measured(name, options)
        measurements.append(found)
        print(f"\n### {name}, a training step\n{_table(found)}", flush=True)
    print(f"\n{summarize(measurements)}")
    return {"command": "torch", "environment": facts, "measurements": measurements}


def _measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the times of one network's steps, form by form, and the gradients' difference."""
    import torch

    from fastconv.torch import accelerate

    from .torch_networks import NETWORKS

    torch.manual_seed(options.seed)
    make, (size, batch) = NETWORKS[name]
    batch = options.batch_size or batch
    first = make()
    x = torch.rand(batch, 3, size, size)
    steps, gradients = {}, {}
    for label, memory_format in (
        (PLAIN, torch.contiguous_format),
        (CHANNELS_LAST, torch.channels_last),
    ):
        images = x.clone(memory_format=memory_format)
        for key, faster in ((label, False), (OURS[label], True)):
            module = copy.deepcopy(first).to(memory_format=memory_format)
            if faster:
                accelerate(module, verbose=False)
            gradients[key] = _gradients(module, images)
            steps[key] = _step(module, images)
    seconds = _interleaved(steps, options.rounds, options.budget)
    return {
        "network": name,
        "batch": batch,
        "size": size,
        "gradients": {
            ours: _difference(gradients[ours], gradients[label]) for label, ours in OURS.items()
        },
        "contenders": {
            label: {"median": Timing(found).median, "seconds": found}
            for label, found in seconds.items()
        },
    }


def _task(module: Any, images: Any) -> tuple[Any, Callable[[Any, Any], Any]]:
    """Return targets for what a module gives, and the loss."""
    import torch
    from torch.nn import functional

    with torch.no_grad():
        shape = copy.deepcopy(module).eval()(images).shape
    generator = torch.Generator().manual_seed(1)
    if len(shape) == 2 and shape[1] > 1:
        return torch.randint(shape[1], shape[:1], generator=generator), functional.cross_entropy
    targets = torch.randint(2, shape, generator=generator).float()
    return targets, functional.binary_cross_entropy_with_logits


def _gradients(module: Any, images: Any) -> list[Any]:
    """Return the gradients of one step, without what is drawn."""
    from torch import nn

    copied = copy.deepcopy(module)
    for one in copied.modules():
        if isinstance(one, nn.Dropout):
            one.p = 0.0
    targets, loss = _task(copied, images)
    loss(copied(images), targets).backward()
    return [parameter.grad for parameter in copied.parameters()]


def _difference(ours: list[Any], theirs: list[Any]) -> float:
    """Return the largest difference of two networks' gradients, in units of the largest one."""
    largest = max(float(one.abs().max()) for one in theirs)
    return max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True)) / largest


def _step(module: Any, images: Any) -> Callable[[], None]:
    import torch

    targets, loss = _task(module, images)
    optimizer = torch.optim.Adam(module.parameters(), 1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        loss(module(images), targets).backward()
        optimizer.step()

    return step


def _interleaved(
    steps: dict[str, Callable[[], None]], rounds: int, budget: float
) -> dict[str, tuple[float, ...]]:
    """Return the seconds of all steps, one after the other in each round."""
    seconds: dict[str, list[float]] = {label: [] for label in steps}
    first = [_seconds(step, 1)[0] for step in steps.values() if step() is None]
    calls = calls_within(max(first), budget)
    for _ in range(rounds):
        for label, step in steps.items():
            step()  # caches, clocks, threads that sleep
            seconds[label] += _seconds(step, calls)
    return {label: tuple(found) for label, found in seconds.items()}


def _seconds(step: Callable[[], None], calls: int) -> list[float]:
    found = []
    for _ in range(calls):
        start = time.perf_counter()
        step()
        found.append(time.perf_counter() - start)
    return found


def _ratio(measurement: dict[str, Any], label: str) -> float:
    """Return how many times faster the accelerated module is than the same without the line."""
    found = measurement["contenders"]
    ratio: float = found[label]["median"] / found[OURS[label]]["median"]
    return ratio


def _table(measurement: dict[str, Any]) -> str:
    rows = []
    for label, found in measurement["contenders"].items():
        low, high = Timing(tuple(found["seconds"])).quartiles
        rows.append(
            [
                label,
                report.milliseconds(found["median"]),
                f"{report.milliseconds(low)}-{report.milliseconds(high)}",
                report.milliseconds(min(found["seconds"])),
            ]
        )
    return report.table(["", "ms", "quartiles", "least"], rows)


def summarize(measurements: list[dict[str, Any]]) -> str:
    """Return a row for each network, and geometric means of the chapter's and of the others."""
    rows = []
    for one in measurements:
        least = {label: min(found["seconds"]) for label, found in one["contenders"].items()}
        difference = max(one["gradients"].values())
        rows.append(
            [
                one["network"],
                *(f"{_ratio(one, label):.2f}" for label in OURS),
                *(f"{least[label] / least[ours]:.2f}" for label, ours in OURS.items()),
                f"{difference:.0e}{'' if difference < TOLERANCE else ' (too much)'}",
            ]
        )
    header = ["ratio of medians", *OURS, "of the least", "of the least, channels_last", "gradients"]
    lines = [report.table(header, rows)]
    for what, chapter in (("the chapter's models", True), ("the networks", False)):
        group = [one for one in measurements if (one["network"] in CHAPTER) is chapter]
        if group:
            means = [geometric_mean(_ratio(one, label) for one in group) for label in OURS]
            text = ", ".join(
                f"{mean:.2f} to {label}" for mean, label in zip(means, OURS, strict=True)
            )
            lines.append(f"{what}, geometric means: {text}")
    return "\n\n".join(lines)
