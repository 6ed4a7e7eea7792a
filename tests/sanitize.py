"""Tests of the kernels under GCC's AddressSanitizer and UndefinedBehaviorSanitizer.

    python tests/sanitize.py                   # every SIMD level that this CPU runs
    python tests/sanitize.py avx2 -- -x -k winograd tests/ops/test_convolution.py

The kernels are built for it in build/sanitized/, beside the ordinary ones.  The first finding ends
the run with its stack.  Leaks are Python's own business.  What is behind scratch memory and in the
gaps between the threads' rows is poisoned, so that a step into it is a finding as well.

As a pytest plugin (`-p sanitize`) this file does that poisoning.
"""

from __future__ import annotations

import ctypes
import math
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLAGS = (
    "-fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all "
    "-fno-omit-frame-pointer"
)
CACHED_BYTES = 1024
"""NumPy keeps smaller blocks for itself, poison and all; others go back to the sanitizer."""


def main(arguments: list[str]) -> int:
    """Build and test level after level; return pytest's code, or the build's."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    levels, options = arguments[:split], arguments[split + 1 :]
    if not levels:
        from _fastconv import cpu

        levels = list(cpu.supported_levels())
    if not any(Path(ROOT, option.partition("::")[0]).exists() for option in options):
        names = ("ops", "graph/test_fusion.py", "graph/test_stages.py")
        options += [str(ROOT / "tests" / name) for name in names]
    for level in levels:
        print(f"== {level}", flush=True)
        code = build(level) or test(level, options)
        if code:
            return code
    return 0


def folder_of(level: str) -> Path:
    return ROOT / "build" / "sanitized" / level


def build(level: str) -> int:
    """Build one level's kernels in its folder, what is there already but once."""
    flags = {name: f"{os.environ.get(name, '')} {FLAGS}" for name in ("CFLAGS", "LDFLAGS")}
    settings = {"FASTCONV_LEVELS": level, "FASTCONV_SYMBOLS": "1"}
    folders = [f"--build-{name}={folder_of(level) / name}" for name in ("lib", "temp")]
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build", *folders],
        cwd=ROOT,
        env={**os.environ, **flags, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        print(done.stdout)
    return done.returncode


def test(level: str, options: list[str]) -> int:
    """Run pytest on the kernels of a level; return its code."""
    compiler = os.environ.get("CC", "gcc").split()
    libraries = [
        subprocess.check_output([*compiler, f"-print-file-name=lib{name}.so"], text=True).strip()
        for name in ("asan", "ubsan")
    ]
    paths = [folder_of(level) / "lib", ROOT / "tests"]
    settings = {
        "LD_PRELOAD": " ".join(libraries),
        # An abort is what pytest shows the test's own stack of.
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:abort_on_error=1",
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "FASTCONV_SIMD": level,
    }
    command = [sys.executable, "-m", "pytest", "-p", "sanitize", "-p", "no:cacheprovider"]
    # What is printed by C would be lost with the process if pytest held it back.
    command += ["--capture=sys", "--benchmark-skip", *options]
    return subprocess.call(command, cwd=ROOT, env={**os.environ, **settings})


def pytest_configure() -> None:
    """Have scratch memory poisoned, from before fastconv uses any."""
    import numpy as np

    from fastconv._core import memory as _memory

    runtime = ctypes.CDLL(None)
    poison, unpoison = (
        getattr(runtime, f"__asan_{name}_memory_region") for name in ("poison", "unpoison")
    )
    poison.argtypes = unpoison.argtypes = ctypes.c_void_p, ctypes.c_size_t

    def aligned_empty(shape, dtype=np.float32):
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        memory = np.empty(max(size, CACHED_BYTES) + _memory.ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % _memory.ALIGNMENT
        poison(memory.ctypes.data + start + size, memory.size - start - size)
        return memory[start : start + size].view(dtype).reshape(shape)

    _memory.aligned_empty = aligned_empty
    from fastconv.ops.plans.scratch import Scratch

    rows_of = Scratch.rows

    def rows(self, name, threads, size, dtype=None):
        array = rows_of(self, name, threads, size, dtype)
        known = self.__dict__.setdefault("poisoned", {})
        before, used = known.get(name, (None, 0))
        if array is not before or size > used:
            used = max(size, used)
            known[name] = array, used
            unpoison(array.ctypes.data, array.nbytes)
            for row in array:
                poison(row.ctypes.data + used * row.itemsize, row.nbytes - used * row.itemsize)
        return array

    Scratch.rows = rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
