"""What several runs come to."""

from __future__ import annotations

import pytest
from PIL import Image

from fastconv.studies import summary
from fastconv.studies.chapter import CHAPTER


def rows(*accuracies, seconds=1.0):
    return [
        {
            "epoch": n + 1.0,
            "loss": 1 / (n + 1),
            "accuracy": 0.5,
            "val_loss": 0.7,
            "val_accuracy": accuracy,
            "seconds": seconds,
        }
        for n, accuracy in enumerate(accuracies)
    ]


@pytest.mark.parametrize("count", [2, 3, 5, 20, 31, 60])
def test_the_interval_is_students(count):
    stats = pytest.importorskip("scipy.stats", reason="the figures to compare with")
    values = [0.7 + 0.01 * (n % 7) for n in range(count)]
    mean, half = sum(values) / count, stats.sem(values) * stats.t.ppf(0.975, count - 1)
    found = summary.estimate(values)
    assert found.mean == pytest.approx(mean)
    assert found.half_width == pytest.approx(half, rel=1e-3 if count <= 31 else 0.03)


def test_a_single_run_has_no_interval():
    assert summary.estimate([0.5]).text(3) == "0.500"


def test_the_best_epoch_is_the_first_of_equals():
    assert summary.best(rows(0.6, 0.7, 0.7))["epoch"] == 2


def test_the_table_tells_figures_beside_the_chapters():
    results = {
        CHAPTER["model1"]: {0: rows(0.6, 0.7), 1: rows(0.72)},
        CHAPTER["model3"]: {0: rows(0.7)},
        CHAPTER["model4"]: {},
    }
    lines = summary.table(results)
    assert lines[2].startswith("| model1 | 0.684 (epoch 2) | **0.710 ± 0.127** | 0.700, 0.720 |")
    assert lines[3].startswith("| model3 |  | **0.700** | 0.700 |")
    assert len(lines) == 4


def test_curves_are_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="draws the curves")
    path = tmp_path / "curves.png"
    summary.draw_curves({CHAPTER["model1"]: {0: rows(0.6, 0.7), 1: rows(0.5)}}, str(path))
    with Image.open(path) as picture:
        assert picture.size[0] > 200
