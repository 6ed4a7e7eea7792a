"""PyTorch beside the chapter's experiments: the same weights and batches."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from command_runs import start, write_squares

from fastconv.datasets.opening import open_data_set
from fastconv.studies import runs
from fastconv.studies.chapter import CHAPTER

pytest.importorskip("torch", reason="what the experiments are compared with")


def test_the_first_epochs_differ_by_rounding_alone(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # what holds `bench`
    name = "model3"  # augmented, and without what PyTorch would drop at random
    data = write_squares(tmp_path / "photos", 12, 6)
    some = ["--data", str(data), "--seeds", "1", "--epochs", "2", "--only", name]
    process = start(["bench.experiments_torch", *some], tmp_path)
    said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    with open(tmp_path / f"torch/runs/{name}-seed-0.csv", newline="") as file:
        theirs = list(csv.DictReader(file))
    ours = runs.train(runs.Run(CHAPTER[name], 0, 2), open_data_set(data), str(tmp_path / "ours"))
    for column in ("loss", "val_loss"):
        assert [float(row[column]) for row in theirs] == pytest.approx(
            [row[column] for row in ours], abs=1e-3
        )
