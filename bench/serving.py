"""`python -m bench.serving`: one model, and several threads that each ask for one image.

    python -m bench.serving --models model2 mobilenet_v2_like --clients 1 2 8

As in a server with a thread for each request: the main thread loads the model and predicts once,
then new threads call without a pause.  fastconv's `predict` and `predict_on_batch` and ONNX Runtime
have a process each and take turns.  Throughput is the calls of all clients by the time from the
first to the last; p50 and p99 are of the time that a call took its client, waiting included;
"first" is the slowest first call of a client, "growth" what the process holds more at the end than
after the first turn.  Every answer is compared, bit by bit, with that of the main thread.

Run it from the project's root on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from . import report
from .worker import Worker

_SERVED = "bench.contenders.served"
MODELS = ("model2", "mobilenet_v2_like")
Answers = dict[tuple[str, int], list[dict[str, Any]]]
"""What `serve` returned, in the rounds' order, by contender and number of clients."""
TOLERANCE = 1e-4
"""Largest difference between the libraries' probabilities."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print what the command line asks for."""
    options = parser().parse_args(arguments)
    facts = report.environment(options.threads)
    print(report.headline(facts))
    results = [result for name in options.models for result in measure(name, options)]
    if options.json:
        report.save_json(
            options.json, {"command": "serving", "environment": facts, "results": results}
        )


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    formatter = argparse.ArgumentDefaultsHelpFormatter
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=formatter)
    made.add_argument("--models", nargs="+", default=list(MODELS), metavar="NAME")
    made.add_argument("--clients", nargs="+", type=int, default=[1, 2, 8], metavar="N")
    made.add_argument("--calls", type=int, default=2000, help="of all clients, in each round")
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--threads", type=int, default=2, help="of the kernels")
    made.add_argument("--json", metavar="FILE", help="keep the figures")
    return made


def measure(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Print how the contenders serve the model `name`; return it as JSON values."""
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(worker) for worker in _prepared(name, options.threads)]
        answers: Answers = {}
        held: dict[str, list[int]] = {worker.label: [] for worker in workers}
        for number in range(options.rounds):
            for clients in options.clients:
                report.progress(f"{name}: round {number + 1}, {clients} clients")
                for worker in workers:
                    answer = worker.invoke("serve", clients, options.calls)
                    answers.setdefault((worker.label, clients), []).append(answer)
                    held[worker.label].append(answer["memory"])
    results = [
        _result(name, label, clients, turns, held[label])
        for clients in options.clients
        for (label, own), turns in answers.items()
        if own == clients
    ]
    print(f"\n## {name}, one image, {options.threads} threads")
    print(report.table(_HEADER, [_row(result) for result in results]), flush=True)
    return results


def _prepared(name: str, threads: int) -> list[Worker]:
    """Return workers that have predicted once, and whose outputs agree."""
    workers = [
        Worker(f"fastconv, {call}", f"{_SERVED}:ServedFastconv", threads, call=call)
        for call in ("predict", "predict_on_batch")
    ]
    sources: list[Any] = [name, name]
    if find_spec("onnx") and find_spec("onnxruntime"):
        with Worker("converter", f"{_SERVED}:Converter", threads) as converter:
            sources.append(converter.invoke("prepare", name))
        workers.append(Worker("ONNX Runtime", f"{_SERVED}:ServedOnnxRuntime", threads))
    else:
        report.progress("ONNX Runtime: not installed; `pip install onnx onnxruntime` adds it")
    image = np.random.default_rng(0).random((1, 100, 100, 3), np.float32)
    outputs = [
        worker.invoke("prepare", (source, image))
        for worker, source in zip(workers, sources, strict=True)
    ]
    for worker, output in zip(workers, outputs, strict=True):
        difference = float(np.abs(output - outputs[0]).max())
        if not difference <= TOLERANCE:
            raise SystemExit(f"{name}: {worker.label} differs from fastconv by {difference:.2g}")
    return workers


def _result(
    name: str, label: str, clients: int, turns: list[dict[str, Any]], held: list[int]
) -> dict[str, Any]:
    seconds = np.concatenate([turn["seconds"] for turn in turns])
    rates = [(len(turn["seconds"]) + clients) / turn["wall"] for turn in turns]
    return {
        "model": name,
        "contender": label,
        "clients": clients,
        "calls/s": statistics.median(rates),
        "p50": float(np.percentile(seconds, 50)),
        "p99": float(np.percentile(seconds, 99)),
        "first": statistics.median(max(turn["first"]) for turn in turns),
        "growth": held[-1] - held[0],
        "same bits": all(turn["same bits"] for turn in turns),
    }


_HEADER = ["clients", "", "calls/s", "p50 ms", "p99 ms", "first ms", "growth", "same bits"]


def _row(result: dict[str, Any]) -> list[str]:
    return [
        str(result["clients"]),
        result["contender"],
        f"{result['calls/s']:.0f}",
        *(report.milliseconds(result[key]) for key in ("p50", "p99", "first")),
        f"{result['growth'] / 1e6:.1f} MB",
        "yes" if result["same bits"] else "NO",
    ]


if __name__ == "__main__":
    main()
