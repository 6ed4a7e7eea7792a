"""The programme that fits the costs: what it writes is a table that plans can use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastconv._core import runtime
from fastconv.ops.plans import costs

pytest.importorskip("scipy")
ROOT = Path(__file__).parents[1]


def run(*arguments, **environment):
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_costs_are_measured_fitted_and_used(tmp_path):
    path, times = tmp_path / "costs.json", tmp_path / "times.json"
    options = ["--cases", "3", "--budget", "0.001", "--most-flops", "1e7"]
    run("-m", "bench.fit_costs", *options, "--record", str(times), "--output", str(path))
    level = runtime.kernels.simd_level
    shipped = {row["level"]: row for row in json.loads(costs.SHIPPED.read_text())}
    fitted = {row["level"]: row for row in json.loads(path.read_text())}
    assert fitted.keys() == shipped.keys()
    assert [name for name in fitted if fitted[name] != shipped[name]] == [level]
    row = fitted[level]
    assert row["costs"] != shipped[level]["costs"] and row["residuals"]["mean regret"]
    assert row["cpu"] and row["date"] and row["compiler"] == runtime.kernels.cpu.compiler()
    code = "from fastconv.ops.plans.costs import COSTS; print(COSTS.direct)"
    assert float(run("-c", code, FASTCONV_COSTS=str(path))) == row["costs"]["direct"]
    refitted = tmp_path / "again.json"
    run("-m", "bench.fit_costs", "--timings", str(times), "--output", str(refitted))
    again = {row["level"]: row["costs"] for row in json.loads(refitted.read_text())}
    assert again[level] == row["costs"]
