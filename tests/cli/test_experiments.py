"""`python -m fastconv.experiments`, as a process."""

from __future__ import annotations

import csv
import signal

import pytest
from command_runs import start, wait_for, write_squares


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_squares(tmp_path_factory.mktemp("photos"), 8, 4)


def run(folder, *arguments):
    process = start(["fastconv.experiments", "chapter", *map(str, arguments)], folder)
    out, error = process.communicate(timeout=300)
    return process.returncode, out, error


def without_seconds(path):
    with open(path, newline="") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def test_every_experiment_leaves_its_rows_and_its_line(photos, tmp_path):
    code, _, error = run(tmp_path, "--data", photos, "--seeds", 1, "--epochs", 2)
    assert code == 0, error
    names = ["model1", "model2", "model3", "model3-as-listed", "model4"]
    folder = tmp_path / "chapter"
    assert sorted(path.name for path in (folder / "runs").iterdir()) == sorted(
        f"{name}-seed-0.csv" for name in names
    )
    report = (folder / "report.md").read_text()
    assert all(f"\n| {name} |" in report for name in names)
    assert "Epochs at most: 2, where the chapter has 30." in report
    listed = without_seconds(folder / "runs/model3-as-listed-seed-0.csv")
    assert [row["epoch"] for row in listed] == ["1", "2"]
    # Augmentation is all that sets the two apart.
    assert without_seconds(folder / "runs/model3-seed-0.csv") != listed
    assert without_seconds(folder / "runs/model2-seed-0.csv") == listed


def test_what_is_done_is_not_run_again(photos, tmp_path):
    some = ("--data", photos, "--only", "model1", "--epochs", 1)
    assert run(tmp_path, *some, "--seeds", 1)[0] == 0
    path = tmp_path / "chapter/runs/model1-seed-0.csv"
    before = path.read_bytes(), path.stat().st_mtime_ns
    code, out, error = run(tmp_path, *some, "--seeds", 2)
    assert code == 0, error
    assert "1/2 model1, seed 0: done before" in out
    assert before == (path.read_bytes(), path.stat().st_mtime_ns)


def test_a_killed_run_goes_on_with_the_same_bits(photos, tmp_path):
    some = ["fastconv.experiments", "chapter", "--data", str(photos), "--only", "model3"]
    some += ["--seeds", "1", "--epochs", "12"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    process = start(some, whole)
    said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    process = start(some, broken)
    kept = broken / "chapter/runs/model3-seed-0.unfinished/latest.npz"
    wait_for(kept.exists, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (broken / "chapter/runs/model3-seed-0.csv").exists()
    process = start(some, broken)
    said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    name = "chapter/runs/model3-seed-0.csv"
    assert without_seconds(broken / name) == without_seconds(whole / name)
    assert not kept.parent.exists()


def test_ctrl_c_tells_that_the_same_command_goes_on(photos, tmp_path):
    some = ["fastconv.experiments", "chapter", "--data", str(photos), "--seeds", "40"]
    process = start(some, tmp_path)
    wait_for(list_of(tmp_path / "chapter/runs"), process)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "the same command goes on" in error and len(error.splitlines()) == 1


def list_of(folder):
    return lambda: folder.exists() and list(folder.glob("*.csv"))


@pytest.mark.parametrize("change", ["photos", "epochs"])
def test_runs_of_something_else_are_not_mixed_in(photos, tmp_path, change):
    some = ("--only", "model1", "--seeds", 1)
    assert run(tmp_path, *some, "--data", photos, "--epochs", 1)[0] == 0
    other = write_squares(tmp_path / "other", 8, 4, size=30) if change == "photos" else photos
    epochs = 2 if change == "epochs" else 1
    code, _, error = run(tmp_path, *some, "--data", other, "--epochs", epochs)
    assert code == 2 and "give another folder" in error


def test_a_damaged_table_of_a_run_is_named(photos, tmp_path):
    some = ("--data", photos, "--only", "model1", "--seeds", 1, "--epochs", 1)
    assert run(tmp_path, *some)[0] == 0
    (tmp_path / "chapter/runs/model1-seed-0.csv").write_text("epoch,loss\n1,nan\n")
    code, _, error = run(tmp_path, *some)
    assert code == 2 and "model1-seed-0.csv" in error and "remove it" in error


def test_photos_that_are_not_there_are_named(tmp_path):
    code, _, error = run(tmp_path, "--data", "nowhere")
    assert code == 2 and "nowhere" in error and len(error.splitlines()) == 1
