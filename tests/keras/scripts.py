"""Runs scripts by `python -m fastconv.keras`, in a folder of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent


def run(folder: Path, *arguments: str, code: str = "", **environment: str):
    """Run `code` as script.py with the arguments, or the arguments alone; return what was done."""
    if code:
        (folder / "script.py").write_text(dedent(code).lstrip(), encoding="utf-8")
        arguments = ("script.py", *arguments)
    return subprocess.run(
        [sys.executable, "-m", "fastconv.keras", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "KERAS_HOME": str(folder / "home"), **environment},
    )
