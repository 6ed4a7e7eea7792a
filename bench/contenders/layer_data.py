"""The same arrays for every contender of the sweep, and what is compared of the results.

Arrays are made in each process from the case's fields and compared by samples:
nothing large goes through the pipes.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..cases import Case

SAMPLES = 4096
FORWARD, BACKWARD = "forward", "backward"


class Arrays(NamedTuple):
    """Input (NHWC), kernel (HWIO), bias and the gradient of the output, float32."""

    x: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray
    dy: np.ndarray


def arrays(case: Case) -> Arrays:
    """Return the case's arrays: normal numbers that depend on its name alone."""
    random = np.random.default_rng(zlib.crc32(case.name.encode()))
    depth = case.channels // case.groups
    fan_in = case.kernel**2 * depth
    x = random.standard_normal((case.batch, case.size, case.size, case.channels), np.float32)
    kernel = random.standard_normal((case.kernel, case.kernel, depth, case.filters), np.float32)
    kernel /= np.float32(np.sqrt(fan_in))
    bias = 0.1 * random.standard_normal(case.filters, np.float32)
    rows = case.output_rows
    dy = random.standard_normal((case.batch, rows, rows, case.filters), np.float32)
    return Arrays(x, kernel, bias.astype(np.float32), dy)


def sample(array: np.ndarray) -> tuple[tuple[int, ...], float, np.ndarray]:
    """Return the shape, the largest absolute value and up to SAMPLES values at fixed places."""
    flat = np.ravel(array)
    places = np.random.default_rng(flat.size).integers(0, flat.size, min(SAMPLES, flat.size))
    return array.shape, float(np.max(np.abs(flat))), flat[places].copy()


def seconds_of(operations: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return how long one call of each operation takes."""
    seconds = {}
    for name, operation in operations.items():
        start = time.perf_counter()
        operation()
        seconds[name] = time.perf_counter() - start
    return seconds
