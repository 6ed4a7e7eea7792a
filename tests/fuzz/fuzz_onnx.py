"""Fuzz the reader of ONNX files: `python tests/fuzz/fuzz_onnx.py CORPUS [OPTIONS]`.

`OPTIONS` are libFuzzer's. Whatever bytes a file holds, it becomes a model or a CheckpointError that
names the file, and nothing of the program's state has changed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings


class Target:
    """Tries files; raises AssertionError where a promise is broken."""

    def __init__(self, folder: str) -> None:
        from fastconv import onnx
        from fastconv._core import random as random_state
        from fastconv.saving.npz import CheckpointError

        self.path = os.path.join(folder, "m.onnx")
        self._load, self._random, self._error = onnx.load, random_state, CheckpointError

    def __call__(self, data: bytes) -> bool:
        """Try an input; return whether it became a model."""
        with open(self.path, "wb") as file:
            file.write(data)
        drawn = self._random.get_state()
        try:
            self._load(self.path)
            taken = True
        except self._error as error:
            assert self.path in str(error)
            taken = False
        assert self._random.get_state() == drawn
        return taken


def main() -> None:
    import atheris

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as here:
        with atheris.instrument_imports(include=["fastconv.onnx", "fastconv.layers"]):
            target = Target(here)
        atheris.Setup(sys.argv, lambda data: target(data) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
