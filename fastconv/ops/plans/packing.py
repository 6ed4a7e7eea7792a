"""Kernels as the compiled code wants them: in whole vectors, laid out once while they stay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..._core import runtime
from .scratch import Scratch, constant, is_kept, temporary

HALF_WIDTH_GAIN = 0.76
"""Of the lanes that channels take, those in vectors of half the width: worth another level.
Measured on an AVX-512 build: 8 of 16 lanes take 0.5 to 0.7 of the time, 24 of 32 0.8 to 1.0."""
_same_bytes = runtime.kernels.elementwise.same_bytes

PROBE_VALUES = 16
"""Of a kernel, by which one that is being trained is told from one that stays."""


def pad_channels(
    channels: int, dtype: np.dtype, kernels: runtime.DirectKernels | None = None
) -> int:
    """Return `channels` rounded up to whole vectors, by default of the dtype's SIMD level."""
    lanes = (kernels or runtime.kernels_of(dtype)).conv.LANES[dtype.char]
    return -(-channels // lanes) * lanes


def kernels_for(channels: int, dtype: np.dtype) -> runtime.DirectKernels:
    """Return the kernels, of this level or of the one below, whose vectors `channels` fill."""
    kernels, half_width = runtime.kernels_of(dtype), half_width_of(dtype)
    if half_width is None:
        return kernels
    lanes = pad_channels(channels, dtype, half_width)
    gains = lanes <= HALF_WIDTH_GAIN * pad_channels(channels, dtype, kernels)
    return half_width if gains else kernels


def half_width_of(dtype: np.dtype) -> runtime.DirectKernels | None:
    """Return the kernels of vectors half as long, if there are any that take a dtype."""
    return runtime.kernels.half_width if dtype == np.float32 else None


def padded_bias(scratch: Scratch, bias: np.ndarray | None, padded: int) -> np.ndarray:
    """Return `bias`, or zeros, with zeros up to `padded` channels."""
    if bias is not None and bias.size == padded and not is_kept():
        return bias
    start = constant(scratch, "bias", padded)
    start[:] = 0
    if bias is not None:
        start[: bias.size] = bias
    return start


class PackedKernel:
    """A kernel laid out by `pack(kernel, packed)`, again only when its values change.

    Anyone may write to a weight in place, so the kernel is compared, bit for bit, with a
    copy of what was packed.  In training every call finds another kernel: the comparison
    ends at its first values, and no copy is made until those stay the same for two calls; until
    then the memory is that of the call alone.
    """

    def __init__(self, size: int, dtype: np.dtype) -> None:
        self._size = size
        self._scratch, self._temporary = Scratch(dtype), temporary(dtype)
        self._probe = b""
        self._packed_bytes: np.ndarray | None = None

    def __call__(self, kernel: np.ndarray, pack: Callable[..., None]) -> np.ndarray:
        """Return `kernel`, a C-contiguous array, as `pack`, the same each time, lays it out.

        It is not kept: a method of the plan that holds this would keep the plan, with all its
        scratch, until the garbage collector looks for cycles.
        """
        if is_kept():
            packed = constant(self._scratch, "packed", self._size)
            pack(kernel, packed)
            return packed
        kernel_bytes = kernel.reshape(-1).view(np.uint8)
        if self._packed_bytes is not None and _same_bytes(
            kernel_bytes, self._packed_bytes, runtime.threads_for(kernel.size)
        ):
            return self._scratch("packed", self._size)
        self._packed_bytes = None
        probe = kernel.reshape(-1)[:PROBE_VALUES].tobytes()
        stays = probe == self._probe
        packed = (self._scratch if stays else self._temporary)("packed", self._size)
        pack(kernel, packed)
        if stays:
            self._packed_bytes = kernel_bytes.copy()
        self._probe = probe
        return packed
