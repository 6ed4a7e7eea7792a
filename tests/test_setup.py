"""The build script's own mistakes: what it says before anything is built."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("levels", ["avx3", "avx2,avx3", "baseline, avx3"])
def test_unknown_levels_are_named(levels):
    pytest.importorskip("setuptools")
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=ROOT,
        env={**os.environ, "FASTCONV_LEVELS": levels},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "FASTCONV_LEVELS: unknown 'avx3'" in done.stderr and "baseline" in done.stderr
