"""The same arrays for every contender of the sweep, and what is compared of the results.

Arrays are made in each process from the case's fields and compared by samples:
nothing large goes through the pipes.

Where a ReLU or a pooling is undecided to within rounding, either gradient is right.  The first
contender lists those outputs, and both take the output's gradient as 0 there.
"""

from __future__ import annotations

import itertools
import time
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..cases import Case

SAMPLES = 4096
ROUNDING = 2e-5
"""Of sums, over the largest: two contenders may differ by as much."""
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


def undecided(case: Case, sums: np.ndarray) -> np.ndarray:
    """Return the flat indices of the outputs whose gradient's way hangs on rounding.

    sums: the convolution's output, bias included, (batch, rows, columns, filters).
    """
    most, next_most = _two_largest(case, sums)
    rounding = ROUNDING * float(np.max(np.abs(sums)))
    near = most - next_most < rounding
    if case.relu:
        near = (near & (most > -rounding)) | (np.abs(most) < rounding)
    return np.flatnonzero(near)


def _two_largest(case: Case, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two largest of each pooling window, -infinity where there is only one."""
    window, stride, padding = case.pool or (1, 1, 0)
    nothing = np.float32(-np.inf)
    edges = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    padded = np.pad(sums, edges, constant_values=nothing) if padding else sums
    rows = case.output_rows
    most = np.full((case.batch, rows, rows, case.filters), nothing)
    next_most = most.copy()
    for row, column in itertools.product(range(window), repeat=2):
        last = stride * (rows - 1) + 1
        value = padded[:, row : row + last : stride, column : column + last : stride]
        next_most = np.maximum(next_most, np.minimum(most, value))
        most = np.maximum(most, value)
    return most, next_most


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
