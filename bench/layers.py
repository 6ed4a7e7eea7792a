"""The sweep: one layer after another, forward and backward, beside the better of two PyTorches."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from . import cases, machine, report
from .cases import Case
from .contenders.layer_data import BACKWARD, FORWARD
from .harness import Timing, best, calls_within, geometric_mean, interleave
from .worker import ContenderError, Worker

OUTPUT_TOLERANCE = 1e-4
"""Largest difference of outputs, over the largest output."""
GRADIENT_TOLERANCE = 1e-4
"""Norm of the difference of gradients over their norm; both go by the same ReLU and pooling."""
QUICK_CASES = 24
WORST = 12
FLOORS = (0.7, 0.9, 1.0)
DIRECTIONS = (FORWARD, BACKWARD)


@dataclass(frozen=True)
class Result:
    """One direction of one case: fastconv's time and PyTorch's best."""

    case: Case
    direction: str
    ours: Timing
    peer: Timing
    peer_format: str

    @property
    def ratio(self) -> float:
        """How many times faster fastconv is."""
        return self.peer.median / self.ours.median

    @property
    def flops(self) -> int:
        """Dense operations."""
        return self.case.forward_flops if self.direction == FORWARD else self.case.backward_flops

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values, times in seconds."""
        return {
            "case": asdict(self.case),
            "kind": self.case.kind,
            "direction": self.direction,
            "flops": self.flops,
            "bytes": self.case.bytes,
            "fastconv": self.ours.seconds,
            "torch": self.peer.seconds,
            "torch format": self.peer_format,
            "ratio": self.ratio,
        }


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure and print what `options` ask for; return the results as JSON values."""
    if find_spec("torch") is None:
        raise ContenderError("the sweep needs PyTorch: `pip install torch==2.13.0`")
    chosen = select(options)
    facts = report.environment(options.threads)
    print(report.headline(facts))
    gauges = machine.start(options.threads)
    rates = machine.rates(gauges, options.rounds, 3)
    for gauge in gauges:
        gauge.close()
    peak = rates[machine.SGEMM]
    print(
        f"sgemm {peak / 1e9:.1f} GFLOP/s, copy {rates[machine.COPY] / 1e9:.1f} GB/s; "
        f"{len(chosen)} cases\n"
    )
    results, failures = [], []
    with (
        Worker("fastconv", "bench.contenders.fastconv_layer:FastconvLayer", options.threads) as own,
        Worker("PyTorch", "bench.contenders.torch_layer:TorchLayer", options.threads) as peer,
    ):
        for worker in (own, peer):
            # Fails now, and once, if it cannot even be loaded.
            worker.invoke("restore")
        for number, case in enumerate(chosen, 1):
            try:
                measured = measure(case, own, peer, options.rounds, options.budget)
            except ContenderError as error:
                failures.append(f"{case.name}: {error}")
                print(f"FAILED {failures[-1]}", flush=True)
                continue
            results += measured
            speeds = ", ".join(
                f"{result.direction} {result.ratio:.2f}x "
                f"({report.milliseconds(result.ours.median)} ms, "
                f"{result.flops / result.ours.median / peak:.2f} of sgemm)"
                for result in measured
            )
            print(f"{number:4d}/{len(chosen)} {case.name}: {speeds}", flush=True)
    print_summary(results, peak)
    if failures:
        print(f"\n{len(failures)} cases failed:\n" + "\n".join(failures))
    return {
        "command": "layers",
        "environment": facts,
        "rates": rates,
        "results": [result.to_json() for result in results],
        "failures": failures,
    }


def select(options: argparse.Namespace) -> list[Case]:
    """Return the cases that the command line asks for."""
    chosen = cases.drawn(QUICK_CASES if options.quick else options.cases, options.seed)
    if not options.quick:
        chosen += [case for name in options.networks for case in cases.network(name)]
    return [case for case in chosen if options.match in case.name]


def measure(case: Case, own: Worker, peer: Worker, rounds: int, budget: float) -> list[Result]:
    """Return the results of one case, both directions; raise ContenderError if it goes wrong."""
    theirs = peer.invoke("prepare", case)
    ours = own.invoke("prepare", case, theirs["undecided"])
    check_same(ours["samples"], theirs["samples"])
    results = []
    for direction in DIRECTIONS:
        formats = [name for name in theirs["seconds"] if name.startswith(direction)]
        turns = [(own, direction), *((peer, name) for name in formats)]
        slowest = max(ours["seconds"][direction], *(theirs["seconds"][name] for name in formats))
        timings = interleave(turns, rounds, calls_within(slowest, budget))
        peers = {name: timings[peer.label, name] for name in formats}
        name = best(peers)
        results.append(
            Result(
                case,
                direction,
                timings[own.label, direction],
                peers[name],
                name.removeprefix(f"{direction} "),
            )
        )
    return results


def check_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Raise ContenderError if output or gradients differ by more than rounding explains."""
    for name, (shape, largest, values) in theirs.items():
        own_shape, _, own_values = ours[name]
        if tuple(own_shape) != tuple(shape):
            raise ContenderError(f"{name} has shape {own_shape}, PyTorch's {shape}")
        difference = own_values.astype(np.float64) - values
        if name == "output":
            error, limit = float(np.max(np.abs(difference))) / (largest or 1.0), OUTPUT_TOLERANCE
        else:
            norm = float(np.linalg.norm(values)) or 1.0
            error, limit = float(np.linalg.norm(difference)) / norm, GRADIENT_TOLERANCE
        if not error < limit:
            raise ContenderError(f"{name} differs from PyTorch's by {error:.1e} of its size")


def print_summary(results: Sequence[Result], peak: float) -> None:
    """Print geometric means by family, shares below the floors, and the worst cases."""
    for direction in DIRECTIONS:
        chosen = [result for result in results if result.direction == direction]
        if not chosen:
            continue
        families: dict[str, list[Result]] = defaultdict(list)
        for result in chosen:
            families[result.case.kind].append(result)
        rows = [_family("all", chosen, peak)]
        rows += [_family(name, families[name], peak) for name in sorted(families)]
        header = [direction, "cases", "geometric mean", "least", "most"]
        header += [*(f"under {floor}" for floor in FLOORS), "/ sgemm (median)"]
        print("\n" + report.table(header, rows))
        worst = sorted(chosen, key=lambda result: result.ratio)[:WORST]
        rows = [
            [
                result.case.name,
                f"{result.ratio:.2f}",
                report.milliseconds(result.ours.median),
                report.milliseconds(result.peer.median),
                result.peer_format,
                f"{result.flops / result.ours.median / peak:.2f}",
            ]
            for result in worst
        ]
        header = [f"worst, {direction}", "ratio", "fastconv ms", "PyTorch ms", "format", "/ sgemm"]
        print("\n" + report.table(header, rows))


def _family(name: str, results: Sequence[Result], peak: float) -> list[str]:
    ratios = [result.ratio for result in results]
    shares = [result.flops / result.ours.median / peak for result in results]
    return [
        name,
        str(len(ratios)),
        f"{geometric_mean(ratios):.2f}",
        f"{min(ratios):.2f}",
        f"{max(ratios):.1f}",
        *(str(sum(ratio < floor for ratio in ratios)) for floor in FLOORS),
        f"{np.median(shares):.2f}",
    ]
