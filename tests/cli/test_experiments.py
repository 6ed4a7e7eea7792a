"""`python -m fastconv.experiments`, as a process."""

from __future__ import annotations

import csv
import signal

import pytest
from command_runs import start, wait_for, write_squares

from fastconv.cli.run_files import locked


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
    some = ("--data", photos, "--epochs", 1, "--only", "model1")
    assert run(tmp_path, *some, "--seeds", 2)[0] == 0
    path = tmp_path / "chapter/runs/model1-seed-0.csv"
    before = path.read_bytes(), path.stat().st_mtime_ns
    code, out, error = run(tmp_path, *some, "model2", "--seeds", 1)
    assert code == 0, error
    assert "1/2 model1, seed 0: done before" in out
    assert before == (path.read_bytes(), path.stat().st_mtime_ns)
    # The report has all that is done, not only what was asked for now.
    lines = (tmp_path / "chapter/report.md").read_text().splitlines()
    each = {line.split("|")[1].strip(): line.split("|")[4] for line in lines if "**" in line}
    assert [len(each[name].split(",")) for name in ("model1", "model2")] == [2, 1]


def test_a_run_has_the_bits_of_train_with_the_chapters_patience(photos, tmp_path):
    code, _, error = run(tmp_path, "--data", photos, "--only", "model3", "--seeds", 1)
    assert code == 0, error
    options = ["--arch", "model3", "--seed", "0", "--patience", "2", "--history", "h.csv"]
    process = start(["fastconv.train", "--data", str(photos), *options], tmp_path)
    said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    with open(tmp_path / "h.csv", newline="") as file:
        trained = list(csv.DictReader(file))
    rows = without_seconds(tmp_path / "chapter/runs/model3-seed-0.csv")
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    assert [[f"{float(row[name]):.6g}" for name in names] for row in trained] == [
        [row[name] for name in names] for row in rows
    ]


def test_a_run_that_another_command_is_at_is_left_to_it(photos, tmp_path):
    table = tmp_path / "chapter/runs/model1-seed-0.csv"
    table.parent.mkdir(parents=True)
    some = ("--data", photos, "--only", "model1", "--seeds", 1, "--epochs", 1)
    with locked(str(table)) as free:
        assert free
        code, _, error = run(tmp_path, *some)
    assert code == 2 and "another command is at model1-seed-0" in error
    assert run(tmp_path, *some)[0] == 0


def test_a_killed_run_goes_on_with_the_same_bits(photos, tmp_path):
    # The large model, whose epochs last: it is killed before all are done.
    some = ["fastconv.experiments", "chapter", "--data", str(photos), "--only", "model4"]
    some += ["--seeds", "1", "--epochs", "4"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    process = start(some, whole)
    said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    process = start(some, broken)
    kept = broken / "chapter/runs/model4-seed-0.unfinished/latest.npz"
    wait_for(kept.exists, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (broken / "chapter/runs/model4-seed-0.csv").exists()
    process = start(some, broken)
    said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    name = "chapter/runs/model4-seed-0.csv"
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


def test_what_nothing_can_be_trained_on_is_refused_at_once(photos, tmp_path):
    code, _, error = run(tmp_path, "--data", photos / "train/cat")
    assert code == 2 and "no sub-folders" in error
    assert not (tmp_path / "chapter").exists()
    code, _, error = run(tmp_path, "--data", photos, "--seeds", 10**9)
    assert code == 2 and "at most 1000" in error


def test_photos_without_a_part_for_validation_are_shared_and_it_is_said(photos, tmp_path):
    some = ("--data", photos / "train", "--only", "model1", "--seeds", 1, "--epochs", 1)
    code, _, error = run(tmp_path, *some)
    assert code == 0, error
    report = (tmp_path / "chapter/report.md").read_text()
    assert "of each class kept for validation" in report and "of other photos" in report
