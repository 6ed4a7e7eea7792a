"""The programme that serves models to several threads runs, and all threads get the same bits."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["model2", "mobilenet_v2_like"])
def test_threads_are_served_beside_a_peer_of_the_same_model(name, tmp_path):
    path = tmp_path / "served.json"
    options = ["--models", name, "--clients", "1", "3", "--calls", "12", "--rounds", "2"]
    command = [sys.executable, "-m", "bench.serving", *options, "--json", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    results = json.loads(path.read_text())["results"]
    contenders = {result["contender"] for result in results}
    peers = {"ONNX Runtime"} if find_spec("onnx") and find_spec("onnxruntime") else set()
    assert contenders == {"fastconv, predict", "fastconv, predict_on_batch"} | peers
    assert len(results) == 2 * len(contenders) and all(one["same bits"] for one in results)
    assert all(0 < one["p50"] <= one["p99"] and one["calls/s"] > 0 for one in results)
