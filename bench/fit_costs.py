"""`python -m bench.fit_costs`: fit the costs by which plans choose their algorithms.

    python -m bench.fit_costs --output costs.json
    FASTCONV_COSTS=costs.json python -m bench.fit_costs --timings timings.json --output costs.json

Times every algorithm that serves a layer, each forced, on layers of the sweep's draw; fits the
costs to the times by non-negative least squares; and writes a file like `costs.json` of
`fastconv/ops/plans`, in which the row of the SIMD level in use is new.  FASTCONV_SIMD names another
level, FASTCONV_COSTS the file to begin with.  Times that were kept (`--record`) can be fitted again
(`--timings`); `tests/ops/plans/choice_timings.json` is such a file, made by

    python -m bench.fit_costs --cases 40 --budget 0.5 --record tests/ops/plans/choice_timings.json

Run it from the project's root on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

import fastconv
from fastconv._core import runtime
from fastconv._core.geometry import conv2d_window
from fastconv.ops.plans import Conv2DPlan, ConvPoolPlan, choice, costs, select
from fastconv.ops.plans.depthwise import DepthwisePlan
from fastconv.ops.plans.select import forced

from . import cases, report
from .cases import Case

COMPETITORS = {
    "output": ("direct", "winograd", "winograd_narrow", "depthwise"),
    "input_gradient": ("direct", "overlap_add", "winograd", "depthwise"),
    "kernel_gradient": ("product", "patch", "winograd", "winograd_narrow", "depthwise"),
}
UNITS = {"winograd_point", "product"}
KEPT = UNITS | {"latency", "narrow_channels", "narrow_gradient_channels"}
"""Units, and what decides by a threshold: not fitted."""
ITERATIONS = 8
RIDGE = 1.0
"""Weight, in cases, of the costs as they were: those that no layer tells of stay."""
MOST_CHANGE = 2.0
"""Of a cost in one iteration, as what competes changes with it."""


@dataclass(frozen=True)
class Row:
    """One direction of a layer, and the seconds that each algorithm took."""

    case: Case
    direction: str
    pooled: bool
    seconds: dict[str, float]

    def plan(self) -> Conv2DPlan | ConvPoolPlan:
        """Return the layer's plan."""
        case = self.case
        options: dict[str, Any] = {"strides": case.stride, "padding": case.padding}
        options |= {} if self.pooled else {"groups": case.groups}
        return (ConvPoolPlan if self.pooled else Conv2DPlan)(*shapes(case), **options)

    def taken(self) -> str:
        """Return the algorithm that its plan takes."""
        algorithm = self.plan().describe()[self.direction]["algorithm"]
        return algorithm if algorithm in self.seconds else "direct"

    def regret(self) -> float:
        """Return by how much more time it takes than the fastest, as a share."""
        return self.seconds[self.taken()] / min(self.seconds.values()) - 1


def shapes(case: Case) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of a layer's input and kernel."""
    kernel = (case.kernel, case.kernel, case.channels // case.groups, case.filters)
    return (case.batch, case.size, case.size, case.channels), kernel


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, fit and write as the command line says."""
    options = parser().parse_args(arguments)
    fastconv.set_num_threads(options.threads)
    rows = recorded(options.timings) if options.timings else list(measure(options))
    facts = {
        "level": runtime.kernels.simd_level,
        "cpu": report.environment(options.threads)["cpu"],
        "date": datetime.date.today().isoformat(),
        "compiler": runtime.kernels.cpu.compiler(),
    }
    if options.record:
        write(options.record, facts | {"threads": options.threads, "rows": list(map(asdict, rows))})
    competing = [row for row in rows if len(row.seconds) > 1]
    before = summary(competing)
    fitted, residuals = fit(rows)
    after = summary(competing)
    print(f"mean regret of {len(competing)} choices: {before:.1%} before, {after:.1%} after")
    print(
        report.table(
            ["", "cases", "median error"],
            [[k, *map(str, v.values())] for k, v in residuals.items()],
        )
    )
    if options.output:
        source = Path(os.environ.get("FASTCONV_COSTS", costs.SHIPPED))
        table = [row for row in json.loads(source.read_text()) if row["level"] != facts["level"]]
        new = {
            "provenance": f"bench/fit_costs.py, {len(rows)} directions of layers",
            "residuals": residuals | {"mean regret": {"before": before, "after": after}},
            "costs": fitted,
        }
        write(options.output, [*table, facts | new])


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    formatter = argparse.ArgumentDefaultsHelpFormatter
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=formatter)
    made.add_argument("--cases", type=int, default=300, help="layers")
    made.add_argument("--seed", type=int, default=0, help="of the draw")
    made.add_argument("--budget", type=float, default=0.2, help="seconds of an algorithm's calls")
    made.add_argument("--threads", type=int, default=1, help="of the kernels")
    made.add_argument("--most-flops", type=float, default=1e9, help="of a layer's output")
    made.add_argument("--record", type=Path, metavar="FILE", help="keep the times")
    made.add_argument("--timings", type=Path, metavar="FILE", help="fit times that were kept")
    made.add_argument("--output", type=Path, metavar="FILE", help="write the costs")
    return made


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the times of all directions of the layers that are drawn."""
    chosen = [
        case
        for case in cases.drawn(4 * options.cases, options.seed)
        if case.forward_flops <= options.most_flops
    ][: options.cases]
    for number, case in enumerate(chosen, 1):
        report.progress(f"{number}/{len(chosen)} {case.name}")
        for direction in COMPETITORS:
            yield timed(case, direction, False, options.budget)
        if case.groups == 1 and case.rows > 1:
            yield timed(case, "output", True, options.budget)


def timed(case: Case, direction: str, pooled: bool, budget: float) -> Row:
    """Return the least times of a direction's algorithms, which take turns."""
    calls: dict[str, Callable[[], None]] = {}
    for algorithm in COMPETITORS[direction]:
        try:
            with forced(algorithm, direction):
                plan = Row(case, direction, pooled, {}).plan()
                plan.describe()
        except ValueError:
            continue  # does not serve this layer
        calls[algorithm] = operation(plan, case, direction, pooled)
    seconds = {algorithm: math.inf for algorithm in calls}
    spent, rounds = 0.0, 0
    while rounds < 3 or spent < budget * len(calls):
        for algorithm, call in calls.items():
            start = time.perf_counter()
            call()
            took = time.perf_counter() - start
            spent += took
            seconds[algorithm] = min(seconds[algorithm], took)
        rounds += 1
    return Row(case, direction, pooled, {name: rounded(least) for name, least in seconds.items()})


def operation(
    plan: Conv2DPlan | ConvPoolPlan, case: Case, direction: str, pooled: bool
) -> Callable[[], None]:
    """Return a call that computes one direction of a layer of random numbers."""
    random = np.random.default_rng(0)
    x, kernel = (random.standard_normal(shape, np.float32) for shape in shapes(case))
    y = random.standard_normal(plan.output_shape, np.float32)
    if direction == "output":
        argmax = (np.empty(y.shape, np.uint8),) if pooled else ()

        def call() -> None:
            # In training each call finds another kernel, and transforms it.
            kernel[0, 0, 0, 0] += 1
            plan.forward(x, kernel, None, y, *argmax)

        return call
    if direction == "input_gradient":
        return lambda: plan.input_gradient(y, kernel, x)
    return lambda: plan.backward(y, x, kernel, None, kernel, None)


def recorded(path: Path) -> list[Row]:
    """Return the rows of a file that `--record` wrote."""
    table = json.loads(path.read_text())
    if table["level"] != runtime.kernels.simd_level:
        raise SystemExit(f"{path}: the times are of {table['level']}; set FASTCONV_SIMD to it")
    return [Row(**row | {"case": Case(**row["case"] | {"pool": None})}) for row in table["rows"]]


def summary(rows: Sequence[Row]) -> float:
    """Return the mean regret."""
    return float(np.mean([row.regret() for row in rows])) if rows else 0.0


class Model:
    """What the costs in use say of the rows' algorithms, as one vector."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._problems = [problem_of(row) for row in rows]
        self.pairs = [
            (number, row, algorithm)
            for number, row in enumerate(rows)
            for algorithm, cost in self._costs(number, row).items()
            if algorithm in row.seconds and cost > 0  # nothing competes with true depthwise planes
        ]
        self.seconds = np.array([row.seconds[name] for _, row, name in self.pairs])
        self.gradients = np.array([row.direction == "kernel_gradient" for _, row, _ in self.pairs])

    def _costs(self, number: int, row: Row) -> dict[str, float]:
        problem, planes = self._problems[number]
        options = {"pooled": row.pooled} if row.direction == "output" else {}
        # Whatever can be made at no expense: it is only asked for its costs.
        wanted = "product" if row.direction == "kernel_gradient" else "direct"
        return getattr(choice, row.direction)(problem, planes, wanted=wanted, **options).costs

    def __call__(self) -> np.ndarray:
        """Return the rows' costs in seconds, by the scales that fit best."""
        found = {number: self._costs(number, row) for number, row, _ in self.pairs}
        values = np.array([found[number].get(name, np.nan) for number, _, name in self.pairs])
        for chosen in (self.gradients, ~self.gradients):
            share = (values / self.seconds)[chosen & np.isfinite(values)]
            values[chosen] *= share.sum() / (share**2).sum() if share.size else 1
        return values


def problem_of(row: Row) -> tuple[select.Problem, DepthwisePlan | None]:
    """Return what `choice` decides about."""
    case, (x, kernel) = row.case, shapes(row.case)
    window, groups = conv2d_window(x, kernel, case.stride, case.padding, 1, case.groups)
    problem = select.Problem(x, kernel, window, groups, np.dtype(np.float32))
    return problem, DepthwisePlan(problem) if groups > 1 else None


def fit(rows: Sequence[Row]) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """Set the costs in use to those that fit the times; return them, and what errors are left.

    Costs compete and some are shares of others: each iteration is a linear step, in which no cost
    gets negative.
    """
    model, names = Model(rows), list(parameters())
    for _ in range(ITERATIONS):
        base = model()
        sensitivity = np.array([changed(model, name) - base for name in names]).T / 0.01
        weighted = np.nan_to_num(sensitivity / model.seconds[:, None])
        target = np.nan_to_num(1 - base / model.seconds) + weighted.sum(axis=1)
        matrix = np.concatenate([weighted, RIDGE * np.eye(len(names))])
        factors, _ = nnls(matrix, np.concatenate([target, np.full(len(names), RIDGE)]))
        for name, factor in zip(names, factors, strict=True):
            scale(name, float(np.clip(factor, 1 / MOST_CHANGE, MOST_CHANGE)))
    errors = defaultdict(list)
    for (_, row, algorithm), error in zip(model.pairs, model() / model.seconds - 1, strict=True):
        errors[f"{row.direction}: {algorithm}"].append(abs(error))
    residuals = {
        name: {"cases": len(some), "median error": round(float(np.nanmedian(some)), 3)}
        for name, some in sorted(errors.items())
    }
    return {name: rounded(value) for name, value in asdict(costs.COSTS).items()}, residuals


def rounded(value: Any) -> Any:
    """Return a cost with the digits that mean something."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def parameters() -> Iterator[tuple[str, int | None]]:
    """Yield the costs that are fitted, by name and, of those by taps, key."""
    for name, value in asdict(costs.COSTS).items():
        if name not in KEPT:
            yield from ((name, key) for key in value) if isinstance(value, dict) else [(name, None)]


def scale(parameter: tuple[str, int | None], factor: float) -> None:
    """Multiply a cost in use."""
    name, key = parameter
    value = getattr(costs.COSTS, name)
    if key is None:
        setattr(costs.COSTS, name, value * factor)
    else:
        value[key] *= factor


def changed(model: Model, parameter: tuple[str, int | None]) -> np.ndarray:
    """Return what the model says with a cost that is larger by a hundredth."""
    name, key = parameter
    before = getattr(costs.COSTS, name) if key is None else getattr(costs.COSTS, name)[key]
    scale(parameter, 1.01)
    values = model()
    if key is None:
        setattr(costs.COSTS, name, before)
    else:
        getattr(costs.COSTS, name)[key] = before
    return values


def write(path: Path, value: Any) -> None:
    """Write JSON; of timings, each row on a line."""
    text = json.dumps(value, indent=1)
    if "rows" in value:
        rows = ",\n".join(map(json.dumps, value["rows"]))
        text = f"{json.dumps(value | {'rows': []})[:-2]}\n{rows}\n]}}"
    path.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
