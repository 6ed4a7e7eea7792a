"""The sweep of `fastconv.ops`: each operation beside its layer, PyTorch and SciPy."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

from . import ops_cases, report
from .contenders.layer_data import BACKWARD, FORWARD
from .harness import Timing, best, calls_within, geometric_mean, interleave
from .layers import check_same
from .ops_cases import AnyCase, FilterCase, PoolCase
from .worker import ContenderError, Worker

WORST = 8
SLOWER = 1.10
"""Times a layer's time: an operation that takes longer is counted."""
SCIPY = "scipy.ndimage"


@dataclass(frozen=True)
class Result:
    """One direction of one case: times of the operation, of the layer, and of peers by name."""

    case: AnyCase
    direction: str
    operation: Timing
    layer: Timing
    peers: dict[str, Timing]

    @property
    def family(self) -> str:
        """What summaries count it under."""
        if isinstance(self.case, FilterCase):
            return "filter2d"
        kind = f"{self.case.kind} pool" if isinstance(self.case, PoolCase) else "conv2d"
        return f"{kind}, {self.direction}"

    @property
    def beside_layer(self) -> float:
        """The operation's time over the layer's."""
        return self.operation.median / self.layer.median

    def beside(self, *, scipy: bool = False) -> float | None:
        """Return how many times faster it is than SciPy, or than PyTorch's better format."""
        peers = {name: time for name, time in self.peers.items() if (SCIPY in name) == scipy}
        return peers[best(peers)].median / self.operation.median if peers else None

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values, times in seconds."""
        return {
            "case": {"name": self.case.name, **asdict(self.case)},
            "direction": self.direction,
            "operation": self.operation.seconds,
            "layer": self.layer.seconds,
            "peers": {name: timing.seconds for name, timing in self.peers.items()},
        }


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure and print what `options` ask for; return the results as JSON values."""
    for module in ("torch", "scipy"):
        if find_spec(module) is None:
            raise ContenderError(f"the sweep needs {module}: `pip install {module}`")
    chosen = [*ops_cases.named(), *ops_cases.drawn(options.cases, options.seed)]
    chosen += [case for name in options.networks for case in ops_cases.network(name)]
    chosen = [case for case in chosen if options.match in case.name]
    facts = report.environment(options.threads)
    print(report.headline(facts))
    results, failures = [], []
    with (
        Worker("fastconv", "bench.contenders.fastconv_ops:FastconvOps", options.threads) as own,
        Worker("PyTorch", "bench.contenders.torch_ops:TorchOps", options.threads) as torch,
        Worker("SciPy", "bench.contenders.scipy_filter:ScipyFilter", options.threads) as scipy,
    ):
        for number, case in enumerate(chosen, 1):
            peers = [torch, scipy] if isinstance(case, FilterCase) else [torch]
            try:
                measured = measure(case, own, peers, options.rounds, options.budget)
            except ContenderError as error:
                failures.append(f"{case.name}: {error}")
                print(f"FAILED {failures[-1]}", flush=True)
                continue
            results += measured
            for result in measured:
                print(f"{number:4d}/{len(chosen)} {case.name}: {_line(result)}", flush=True)
    print_summary(results)
    return {
        "command": "ops",
        "environment": facts,
        "results": [result.to_json() for result in results],
        "failures": failures,
    }


def measure(
    case: AnyCase, own: Worker, peers: Sequence[Worker], rounds: int, budget: float
) -> list[Result]:
    """Return the results of one case, all directions; raise ContenderError if it goes wrong."""
    ours = own.invoke("prepare", case)
    seconds = {own: ours["seconds"]}
    for peer in peers:
        theirs = peer.invoke("prepare", case)
        check_same(ours["samples"], theirs["samples"])
        seconds[peer] = theirs["seconds"]
    results = []
    for direction in (FORWARD, BACKWARD):
        turns = [(one, name) for one in seconds for name in seconds[one] if direction in name]
        if turns:
            slowest = max(seconds[one][name] for one, name in turns)
            timings = interleave(turns, rounds, calls_within(slowest, budget))
            operation = timings.pop((own.label, direction))
            layer = timings.pop((own.label, f"{direction} layer"))
            theirs = {name: timing for (_, name), timing in timings.items()}
            results.append(Result(case, direction, operation, layer, theirs))
    return results


def print_summary(results: Sequence[Result]) -> None:
    """Print geometric means by family, and the worst cases beside layer and peer."""
    families: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        families[result.family].append(result)
    header = ["", "cases", "/ layer, mean", "most", f"above {SLOWER:.2f}"]
    header += ["x PyTorch, mean", "least", "x SciPy, mean", "least"]
    print("\n" + report.table(header, [_family(*one) for one in sorted(families.items())]))
    by_layer = sorted(results, key=lambda result: -result.beside_layer)[:WORST]
    by_peer = sorted(results, key=lambda result: result.beside() or 0.0)[:WORST]
    for title, worst in (("worst beside the layer", by_layer), ("beside PyTorch", by_peer)):
        print(f"\n{title}:")
        for result in worst:
            print(f"  {result.case.name}: {_line(result)}")


def _family(name: str, results: Sequence[Result]) -> list[str]:
    ratios = [result.beside_layer for result in results]
    row = [name, str(len(ratios)), f"{geometric_mean(ratios):.3f}", f"{max(ratios):.2f}"]
    row.append(str(sum(ratio > SLOWER for ratio in ratios)))
    for scipy in (False, True):
        found = [result.beside(scipy=scipy) for result in results]
        speeds = [speed for speed in found if speed is not None]
        row += [f"{geometric_mean(speeds):.2f}", f"{min(speeds):.2f}"] if speeds else ["", ""]
    return row


def _line(result: Result) -> str:
    scipy = result.beside(scipy=True)
    return (
        f"{result.direction} {report.milliseconds(result.operation.median)} ms, "
        f"{result.beside_layer:.2f} of the layer, {result.beside():.2f}x PyTorch"
        + ("" if scipy is None else f", {scipy:.1f}x SciPy")
    )
