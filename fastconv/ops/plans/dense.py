"""Dense layers of fixed shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._core import runtime
from .packing import pad_channels
from .scratch import Scratch

PART_INPUTS = 384
"""Inputs of one private sum at least."""
NARROW_PART_INPUTS = 4096
"""The same for few outputs: 16 KB of weights stay in L1 while the samples pass by."""
TRANSPOSED_BATCH = 256
"""Samples that may be lanes of the input's gradient; where more than an eighth of the lanes is
idle, or rows are longer, dots are as fast.  Measured on AVX2 and AVX-512, 8 to 2048 samples."""
SAMPLES_OF_PART = 16
"""Samples at least, times the outputs, of a part that has sums of its own of a narrow layer's
gradient: so these take a sixteenth of the memory traffic."""
SPLIT_K = 16
"""Private sums at most; fixed, so that results do not depend on the threads."""
GROUP_OUTPUTS = 512
"""Outputs of a group at most: a block of rows of W takes up to 128 KB of L2, twice."""
NARROW_OUTPUTS = 4
"""Outputs up to which sums run along the inputs: a vector of outputs would be half empty."""
NARROW_GRADIENT_OUTPUTS = 16
"""The same for gradients, where the dots that make dx end in a sum over lanes each."""


class DensePlan:
    """y = x kernel + bias for x of (batch, inputs) and a kernel of (inputs, outputs)."""

    def __init__(self, batch: int, inputs: int, outputs: int, *, dtype: Any = np.float32) -> None:
        self.output_shape = (batch, outputs)
        self._batch, self._inputs, self._outputs = batch, inputs, outputs
        kernels = runtime.kernels_of(np.dtype(dtype))
        self._kernels, self._narrow = kernels.dense, kernels.dense_narrow
        lanes = pad_channels(1, np.dtype(dtype))
        self._whole_batch = -(-batch // lanes) * lanes
        self._vectors = panel_vectors(-(-outputs // lanes), self._kernels.MOST_PANEL_VECTORS)
        width = self._vectors * lanes
        self._panels = max(1, min(GROUP_OUTPUTS, outputs) // width)
        self._group = self._panels * width
        self._padded = -(-outputs // width) * width
        self._scratch = Scratch(dtype)

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return, by direction, along what its vectors run, and the sizes of its panels."""
        panels = {"vectors_of_a_panel": self._vectors, "panels_of_a_group": self._panels}
        output = "narrow" if self._outputs <= NARROW_OUTPUTS else "panels"
        gradients = "narrow" if self._outputs <= NARROW_GRADIENT_OUTPUTS else "panels"
        return {
            "output": {"algorithm": output, **panels},
            "input_gradient": {"algorithm": gradients, **panels},
            "kernel_gradient": {"algorithm": gradients, "deferred": self.defers},
        }

    def forward(
        self, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, out: np.ndarray
    ) -> None:
        """Write x kernel + bias to `out`."""
        if not out.size:
            return
        threads = runtime.threads_for(self._batch * self._inputs * self._outputs)
        if self._outputs <= NARROW_OUTPUTS:
            parts = max(1, min(SPLIT_K // self._batch, self._inputs // NARROW_PART_INPUTS))
            sums = self._scratch("sums", parts, self._batch * self._outputs)
            transposed = self._transposed()
            self._narrow.output(x, kernel, bias, out, sums, transposed, parts, threads)
            return
        groups = -(-self._outputs // self._group)
        parts = max(1, min(-(-SPLIT_K // groups), self._inputs // PART_INPUTS))
        block = self._kernels.BLOCK_INPUTS
        listed = -(-self._inputs // parts) if self._batch == 1 else self._batch * (block + 1)
        self._kernels.output(
            x,
            kernel,
            bias,
            out,
            self._scratch("sums", parts, self._batch * self._padded),
            self._scratch.rows("packed", threads, self._kernels.PACKED_ROWS * self._group),
            self._scratch.rows("rows", threads, listed, dtype=np.int32),
            self._scratch.rows("factors", threads, listed),
            parts,
            self._vectors,
            self._panels,
            threads,
        )

    def backward(
        self,
        dy: np.ndarray,
        x: np.ndarray,
        kernel: np.ndarray,
        dx: np.ndarray | None,
        dkernel: np.ndarray | None,
        dbias: np.ndarray | None,
        *,
        at_zeros: bool = True,
    ) -> KernelGradient | None:
        """Write the gradients of sum(dy * y); any of them may be None, and dx may be x.

        Without `at_zeros` dx is wanted only where x is not 0, and may be 0 elsewhere.
        Returns dkernel as what it is made of, valid until the next `backward`, or None
        where the plan does not defer (see `defers`) and dkernel was needed at once.
        """
        if not dy.size:
            for gradient in (dx, dkernel, dbias):
                if gradient is not None:
                    gradient.fill(0)
            return None
        threads = runtime.threads_for(self._batch * self._inputs * self._outputs)
        if self._outputs <= NARROW_GRADIENT_OUTPUTS:
            self._narrow_gradients(dy, x, kernel, dx, dkernel, dbias, threads)
            return None
        product = self._product()
        columns_first: np.ndarray | None = None
        columns = self._kernels.GRADIENT_ROWS * self._batch
        idle = self._whole_batch - self._batch
        if dx is not None and self._batch <= TRANSPOSED_BATCH and 8 * idle <= self._whole_batch:
            columns_first = self._scratch("transposed", self._outputs * self._whole_batch)
            columns = 2 * self._kernels.GRADIENT_ROWS * self._whole_batch
        self._kernels.gradients(
            dy,
            x,
            kernel,
            dx,
            dbias,
            *product.factors,
            columns_first,
            self._scratch.rows("columns", threads, columns),
            at_zeros,
            self._vectors,
            self._panels,
            threads,
        )
        if dkernel is not None:
            product.write(dkernel)
        return product

    def _product(self) -> KernelGradient:
        rows = self._kernels.GRADIENT_ROWS
        blocks = -(-self._inputs // rows)
        factors = (
            self._scratch("counts", blocks, rows, dtype=np.int32),
            self._scratch("samples", blocks, rows * self._batch, dtype=np.int32),
            self._scratch("values", blocks, rows * self._batch),
            self._scratch("dy", self._padded * self._batch),
        )
        layout = (self._batch, self._vectors, self._panels)
        return KernelGradient(self._kernels, factors, layout, self._scratch, rows * self._group)

    def _narrow_gradients(
        self,
        dy: np.ndarray,
        x: np.ndarray,
        kernel: np.ndarray,
        dx: np.ndarray | None,
        dkernel: np.ndarray | None,
        dbias: np.ndarray | None,
        threads: int,
    ) -> None:
        parts = max(1, min(SPLIT_K, self._batch // (SAMPLES_OF_PART * self._outputs)))
        if parts > 1:
            sums = self._scratch("narrow sums", parts, self._outputs * self._inputs)
        else:
            size = self._outputs * self._narrow.BLOCK_INPUTS
            sums = self._scratch.rows("narrow sums", threads, size)
        if dkernel is None:
            dkernel = self._scratch("unwanted", self._inputs * self._outputs)
            dkernel = dkernel[: kernel.size].reshape(kernel.shape)
        transposed = self._transposed()
        self._narrow.gradients(dy, x, kernel, dx, dkernel, dbias, transposed, sums, parts, threads)

    @property
    def defers(self) -> bool:
        """Whether `backward` may be given no dkernel: where its factors are smaller than it."""
        outputs = self._outputs
        return outputs > NARROW_GRADIENT_OUTPUTS and outputs >= 2 * self._batch > 0

    def _transposed(self) -> np.ndarray:
        return self._scratch("tail", self._inputs * self._outputs if self._outputs > 1 else 0)


class KernelGradient:
    """The gradient x' dy of a dense kernel, as lists of the values of x that are not 0, and dy."""

    def __init__(
        self,
        kernels: runtime.Dense,
        factors: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
        layout: tuple[int, int, int],
        scratch: Scratch,
        rows: int,
    ) -> None:
        self._kernels = kernels
        self.factors = factors
        self._layout = layout
        self._scratch = scratch
        self._rows = rows

    def write(self, out: np.ndarray) -> None:
        """Write the gradient to `out`, (inputs, outputs)."""
        threads = self._threads(out)
        self._kernels.kernel_gradient(
            out, *self.factors, self._memory(threads), *self._layout, threads
        )

    def update(
        self, rule: dict[str, float], value: np.ndarray, slots: tuple[np.ndarray | None, ...]
    ) -> None:
        """Take an optimizer's step: the bits of `ops.optim`'s on the written gradient.

        `rule` and `slots` are as for `optim.update`.
        """
        threads = self._threads(value)
        self._kernels.update(
            rule, value, slots, *self.factors, self._memory(threads), *self._layout, threads
        )

    def _threads(self, kernel: np.ndarray) -> int:
        return runtime.threads_for(kernel.size * self._layout[0])

    def _memory(self, threads: int) -> np.ndarray:
        return self._scratch.rows("rows of the gradient", threads, self._rows)


def panel_vectors(vectors: int, most: int) -> int:
    """Return the vectors of a panel: at most `most`, which fit the registers, with little padding.

    At least eight, so that one multiply-add need not wait for another.
    """
    if vectors <= most:
        return max(vectors, 1)
    return min(range(8, most + 1), key=lambda n: (-vectors % n, -n))
