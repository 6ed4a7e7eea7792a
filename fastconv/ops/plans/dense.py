"""Dense layers of fixed shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import runtime
from .scratch import Scratch

_kernels = runtime.kernels.dense
_lanes = runtime.kernels.conv.LANES

PART_INPUTS = 384
"""Inputs of one private sum at least."""
PARTS = 16
"""Private sums at most; fixed, so that results do not depend on the threads."""


class DensePlan:
    """y = x kernel + bias for x of (batch, inputs) and a kernel of (inputs, outputs)."""

    def __init__(self, batch: int, inputs: int, outputs: int, *, dtype: Any = np.float32) -> None:
        self.output_shape = (batch, outputs)
        self._batch, self._inputs = batch, inputs
        self._tail = outputs % _lanes[np.dtype(dtype).name]
        self._wide = outputs - self._tail
        self._scratch = Scratch(dtype)

    def forward(
        self, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, out: np.ndarray
    ) -> None:
        """Write x kernel + bias to `out`."""
        if not out.size:
            return
        parts = max(1, min(PARTS, self._inputs // PART_INPUTS))
        threads = runtime.get_num_threads()
        _kernels.output(
            x,
            kernel,
            bias,
            out,
            self._scratch("sums", parts, self._batch * self._wide),
            self._scratch("tail", self._tail * self._inputs),
            self._scratch("packed", threads, _kernels.BLOCK_INPUTS * self._wide),
            parts,
            threads,
        )

    def backward(
        self,
        dy: np.ndarray,
        x: np.ndarray,
        kernel: np.ndarray,
        dx: np.ndarray | None,
        dkernel: np.ndarray,
        dbias: np.ndarray | None,
    ) -> None:
        """Write the gradients of sum(dy * y); dx and dbias may be None."""
        if not dy.size:
            for gradient in (dx, dkernel, dbias):
                if gradient is not None:
                    gradient.fill(0)
            return
        _kernels.gradients(
            dy,
            x,
            kernel,
            dx,
            dkernel,
            dbias,
            self._scratch("tail", self._tail * self._inputs),
            runtime.get_num_threads(),
        )
