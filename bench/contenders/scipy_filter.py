"""SciPy in the sweep of operations: `scipy.ndimage.correlate`, which has one thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage

from ..ops_cases import FilterCase, numbers
from .layer_data import FORWARD, sample, seconds_of


class ScipyFilter:
    """One filter over one image, with zeros around it."""

    def __init__(self, *, threads: int) -> None:
        self.operations: dict[str, Callable[[], Any]] = {}

    def prepare(self, case: FilterCase) -> dict[str, Any]:
        """Return samples of the output, and the seconds of a second call."""
        image = numbers(case, *case.image_shape)
        kernel = numbers(case, case.kernel, case.kernel)
        if case.channels is not None:
            kernel = kernel[:, :, np.newaxis]
        name = f"{FORWARD} scipy.ndimage"
        self.operations = {name: lambda: ndimage.correlate(image, kernel, mode="constant")}
        samples = {"output": sample(self.operations[name]())}
        return {"samples": samples, "seconds": seconds_of(self.operations)}

    def restore(self) -> None:
        """Nothing changes."""
