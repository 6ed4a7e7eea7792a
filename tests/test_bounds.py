"""No kernel touches what is not its own: drawn shapes by every algorithm between fences.

Shapes are such that taps, whole windows or whole groups reach nothing but padding, or nothing at
all between the strides.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fences import ALGORITHMS, OTHERS, fenced_empty

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect")

CASES = 250
"""Of each algorithm: a few seconds."""


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, *OTHERS])
def test_every_algorithm_stays_in_bounds_and_agrees_with_the_reference(algorithm):
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("fences.py"), algorithm, "0", str(CASES)],
        capture_output=True,
        text=True,
    )
    last = done.stdout.splitlines()[-1:]
    assert done.returncode == 0, f"{last}\n{done.stderr}"
    assert len(done.stdout.splitlines()) == CASES


@pytest.mark.parametrize("before", [False, True])
def test_a_fence_stops_whoever_crosses_it(before):
    code = (
        "from fences import fenced_empty; import ctypes\n"
        f"a = fenced_empty((5,), 'f4', before={before}); a[:] = 1\n"
        "print('inside', ctypes.c_float.from_address(a.ctypes.data).value, flush=True)\n"
        f"print(ctypes.c_float.from_address(a.ctypes.data + {-4 if before else 20}).value)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert done.returncode and done.stdout == "inside 1.0\n"


def test_what_lies_between_fences_is_memory_like_any_other():
    for before in (False, True):
        array = fenced_empty((3, 1000), np.float64, before=before)
        array[...] = 1
        assert array.sum() == 3000 and array.flags.c_contiguous and array.flags.aligned
