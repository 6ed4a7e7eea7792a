"""`python -m bench.compare`: what it prints and writes of networks, and of models by new peers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

contenders = pytest.importorskip("bench.contenders")
ROOT = Path(contenders.__file__).parents[2]


def compare(*arguments):
    command = [sys.executable, "-m", "bench.compare", *arguments]
    environment = {**os.environ, "FASTCONV_DOG_VS_CAT": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def installed(*keys):
    peers = (*contenders.PEERS, *contenders.NETWORK_PEERS)
    there = {peer.key for peer in peers if not peer.missing}
    return [key for key in keys if key in there]


def test_networks_are_compared_written_and_read_again(tmp_path):
    written, document = tmp_path / "found.json", tmp_path / "found.md"
    options = ["--networks", "unet", "--rounds", "1", "--budget", "0.001", "--batch-size", "2"]
    options += ["--peers", *installed("onnxruntime"), "--json", str(written)]
    # Kernels built in the checkout: an installed package has none there.
    built = [str(ROOT)] if any((ROOT / "pyx" / "_fastconv").glob("cpu*.so")) else []
    options += ["--beside", *built]
    printed = compare("networks", *options)
    assert "random images" in printed and "left out" not in printed
    results = json.loads(written.read_text())
    operations = [found["operation"] for found in results["measurements"]]
    assert operations == ["training step", "prediction of 1", "prediction of 2"]
    for found in results["measurements"]:
        checkouts = {f"fastconv of {ROOT.name}"} if built else set()
        assert {"fastconv", *checkouts} <= found["contenders"].keys()
        assert all(one["peak memory"] and one["median"] for one in found["contenders"].values())
    again = compare("networks", "--results", str(written), "--markdown", str(document))
    assert again.strip() in printed
    assert "| unet, prediction of 2" in document.read_text()


def test_results_of_another_machine_are_not_mixed(tmp_path):
    facts = {"command": "networks", "tasks": {}, "measurements": []}
    paths = []
    for threads in (1, 2):
        paths.append(tmp_path / f"{threads}.json")
        paths[-1].write_text(json.dumps({**facts, "environment": {"threads": threads}}))
    command = [sys.executable, "-m", "bench.compare", "networks", "--results", *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "is of another machine" in done.stderr


def test_the_models_peers_are_exact_too():
    peers = installed("jax", "onnxruntime", "ncnn")
    if not peers:
        pytest.skip("none of the peers is installed")
    options = ["--models", "model1", "model4", "--image-size", "40", "--batch-size", "2"]
    printed = compare("models", *options, "--rounds", "1", "--calls", "1", "--peers", *peers)
    assert "left out" not in printed
    labels = {peer.label for peer in contenders.PEERS if peer.key in peers}
    assert all(f"| {label}" in printed for label in labels)
