"""Costs are data: a file's are used whole, or it is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict

import pytest

from fastconv.ops.plans import costs

LEVELS = ("baseline", "avx2", "avx512")


def changed(**values):
    table = json.loads(costs.SHIPPED.read_text("utf-8"))
    for row in table:
        row["costs"] |= values
    return table


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_has_a_row_that_says_where_it_is_from(level):
    found = costs.load(costs.SHIPPED, level)
    assert found.winograd_point == 1 and found.winograd_transform[4] > 0
    row = next(row for row in json.loads(costs.SHIPPED.read_text()) if row["level"] == level)
    assert row["provenance"] and row.keys() >= {"cpu", "date", "compiler", "residuals"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"another": 1}, "missing or unknown costs: another"),
        ({"direct": 0}, "direct is 0; it must be a positive number"),
        ({"direct": "1"}, "direct is '1'"),
        ({"winograd_transform": {"4": -1}}, "winograd_transform is -1"),
    ],
    ids=str,
)
def test_a_file_with_other_costs_is_refused(change, message, tmp_path):
    path = tmp_path / "costs.json"
    path.write_text(json.dumps(changed(**change)))
    with pytest.raises(ValueError, match=f"{path}.*{message}"):
        costs.load(path, "avx2")


def test_a_missing_level_and_nonsense_are_refused(tmp_path):
    path = tmp_path / "costs.json"
    for text in ("[]", "7", "no JSON", '[{"level": "avx2"}]'):
        path.write_text(text)
        with pytest.raises(ValueError, match="no table of costs for 'avx2'"):
            costs.load(path, "avx2")


def test_a_file_that_the_environment_names_decides(tmp_path):
    """Direct kernels at no cost are always chosen."""
    path = tmp_path / "costs.json"
    path.write_text(json.dumps(changed(direct=1e-6, direct_kernel=1e-6)))
    code = (
        "from fastconv.ops.plans import Conv2DPlan\n"
        "print(Conv2DPlan((8, 49, 49, 64), (3, 3, 64, 64)).describe()['output']['algorithm'])"
    )
    found = []
    for environment in ({}, {"FASTCONV_COSTS": str(path)}):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(done.stdout.strip())
    assert found[0] == "winograd" and found[1] in {"panels", "batch_tiles"}


def test_a_table_of_one_level_is_what_is_loaded():
    assert asdict(costs.load(costs.SHIPPED, "avx512"))["narrow_channels"] == 6
    assert asdict(costs.load(costs.SHIPPED, "baseline"))["narrow_channels"] == 17
