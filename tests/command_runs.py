"""Commands as processes, and folders of photos small enough for them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def write_squares(root: Path, train: int = 12, validation: int = 6, size: int = 24) -> Path:
    """Write so many JPEGs of noise (cat) and of stripes (dog) each; return `root`."""
    rng = np.random.default_rng(0)
    for part, count in (("train", train), ("validation", validation)):
        for kind in ("cat", "dog"):
            folder = root / part / kind
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 120, (size, size, 3))
                if kind == "dog":
                    pixels[:, ::4] += 120
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{kind}.{number}.jpg")
    return root


def start(arguments: Sequence[str], folder: Path, **options) -> subprocess.Popen:
    """Start `python -m` with these arguments in a folder."""
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop("PYTHONUNBUFFERED", None)
    command = [sys.executable, "-m", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, **{**streams, **options})


def wait_for(condition: Callable[[], object], process: subprocess.Popen, seconds: float = 60):
    """Wait until `condition` holds; fail if the process ends before or the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.002)
