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
    forms = {}
    for label, memory_format in (
        (PLAIN, torch.contiguous_format),
        (CHANNELS_LAST, torch.channels_last),
    ):
        images = x.clone(memory_format=memory_format)
        for key, faster in ((label, False), (OURS[label], True)):
            module = copy.deepcopy(first).to(memory_format=memory_format)
            if faster:
                accelerate(module, verbose=False)
            forms[key] = module, images
    errors = _errors(first, forms)
    steps = {key: _step(*form) for key, form in forms.items()}
    seconds = _interleaved(steps, options.rounds, options.budget)
    return {
        "network": name,
        "batch": batch,
        "size": size,
        "gradients": errors,
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


def _gradients(module: Any, images: Any) -> Any:
    """Return all gradients of one step as a vector, without what is drawn."""
    import torch
    from torch import nn

    copied = copy.deepcopy(module)
    for one in copied.modules():
        if isinstance(one, nn.Dropout):
            one.p = 0.0
    targets, loss = _task(copied, images)
    outputs = copied(images)
    loss(outputs, targets if targets.dtype is torch.long else targets.to(outputs.dtype)).backward()
    return torch.cat([parameter.grad.flatten().double() for parameter in copied.parameters()])


def _errors(first: Any, forms: dict[str, tuple[Any, Any]]) -> dict[str, float]:
    """Return how far the gradients of each form are from float64's, as a share of their norm.

    A sum near 0 that rounding puts on the other side of a ReLU changes a gradient by more than
    rounding does, whoever computes it: so PyTorch's own figure stands beside.
    """
    few = 8
    exact = _gradients(copy.deepcopy(first).double(), forms[PLAIN][1][:few].double())
    return {
        label: float((_gradients(module, images[:few]) - exact).norm() / exact.norm())
        for label, (module, images) in forms.items()
    }


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
        rows.append(
            [
                one["network"],
                *(f"{_ratio(one, label):.2f}" for label in OURS),
                *(f"{least[label] / least[ours]:.2f}" for label, ours in OURS.items()),
                f"{one['gradients'][OURS[PLAIN]]:.0e}",
                f"{one['gradients'][PLAIN]:.0e}",
            ]
        )
    header = ["ratio of medians", *OURS, "of the least", "of the least, channels_last"]
    header += ["gradients", "PyTorch's"]
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
