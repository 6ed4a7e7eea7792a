"""How Winograd's algorithm decomposes a kernel into sub-kernels that have a transform.

F(m x m, r x r) with m + r - 1 = alpha = 6 serves square kernels of two to five taps a side.  A
larger kernel is decomposed into sub-kernels of r x r taps, a strided one into its phases, and the
sums over the sub-kernels are sums over more channels; a strided one's input gradient has one set of
filters for each phase: its *targets*.  Taps of sub-kernels that the kernel does not have are 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..._core.geometry import Axis, Window
from .packing import pad_channels

ALPHA = 6
"""Rows and columns that a tile reads, as many as there are points along an axis."""
POINTS = ALPHA**2
TAPS = (2, 3, 4, 5)
MOST_KERNELS = 4
"""Along an axis: no larger strides, and no kernels of more than that times five taps, have one."""


class KernelDecomposition(NamedTuple):
    """A convolution of stride 1 over sub-kernels; pairs are of rows and columns."""

    kernel: tuple[int, int]
    """Taps of the whole kernel."""
    r: int
    """Taps of a sub-kernel, along an axis."""
    kernels: int
    """Along an axis."""
    stride: int
    """Pixels between two inputs of a tile."""
    offset: int
    """Pixels between two sub-kernels' first taps."""
    before: tuple[int, int]
    """Pixels of padding above and left of the source."""
    grid: tuple[int, int]
    """Outputs of one target."""
    output: tuple[int, int]
    """Outputs of all targets."""
    first: tuple[int, int]
    """The kernel's tap that is the first of the first sub-kernel."""
    kernel_step: int
    """From a sub-kernel's first tap, or a target's, to the next one's."""
    tap_step: int
    """From a tap of a sub-kernel to the next."""
    groups: int
    """Of channels."""
    targets: int = 1
    """Along an axis."""
    rotated: bool = False
    """Whether the kernel is rotated by half a turn, inputs and outputs exchanged."""

    @property
    def m(self) -> int:
        """Outputs of a tile along an axis."""
        return ALPHA + 1 - self.r

    @property
    def beside(self) -> bool:
        """Whether sub-kernels that are neighbours along a row lie side by side, like channels."""
        return self.kernels > 1 and self.stride > 1 and self.groups == 1

    @property
    def column_kernels(self) -> int:
        """Sub-kernels along a row that do not lie side by side."""
        return 1 if self.beside else self.kernels

    @property
    def sets(self) -> int:
        """Sets of filters: one for each target of each group."""
        return self.targets**2 * self.groups

    def kernel_channels(self, channels: int) -> int:
        """Return the channels of a group's sub-kernel, or those side by side, of all `channels`."""
        return channels // self.groups * (self.kernels if self.beside else 1)

    def depth(self, channels: int) -> int:
        """Return the channels of all sub-kernels of a group."""
        return channels // self.groups * self.kernels**2

    def inputs(self, channels: int) -> int:
        """Return the channels of all sub-kernels of all groups, those of each in whole vectors."""
        part = pad_channels(self.kernel_channels(channels), np.dtype(np.float32))
        return self.groups * self.kernels * self.column_kernels * part

    def outputs(self, filters: int) -> int:
        """Return the filters of all sets, those of each in whole vectors."""
        return self.sets * pad_channels(filters // self.groups, np.dtype(np.float32))

    def span(self, tiles: int) -> int:
        """Return the pixels that some tiles read along an axis."""
        inputs = self.m * tiles + ALPHA - self.m
        return self.stride * (inputs - 1) + 1 + self.offset * (self.kernels - 1)


def output_schemes(window: Window, groups: int = 1) -> list[KernelDecomposition]:
    """Return the ways to decompose the output's kernel; none of those that have no transform."""
    if not _square(window):
        return []
    stride = window.rows.stride
    blocks = _blocks(window.rows.window)
    if stride > 1:
        taps = -(-window.rows.window // stride)
        blocks = [(taps, stride)] if taps in TAPS and stride <= MOST_KERNELS else []
    kernel, output = (_pair(axis.window for axis in window), _pair(axis.output for axis in window))
    return [
        KernelDecomposition(
            kernel=kernel,
            r=taps,
            kernels=parts,
            stride=stride,
            offset=1 if stride > 1 else taps,
            before=_pair(axis.before for axis in window),
            grid=output,
            output=output,
            first=(0, 0),
            kernel_step=1 if stride > 1 else taps,
            tap_step=stride,
            groups=groups,
        )
        for taps, parts in blocks
    ]


def input_gradient_schemes(window: Window, groups: int = 1) -> list[KernelDecomposition]:
    """Return the same of the input gradient: the source is dy."""
    if not _square(window):
        return []
    if window.rows.stride > 1:
        return _strided_gradient(window, groups)
    kernel = _pair(axis.window for axis in window)
    last = window.rows.window - 1
    before = _pair(last - axis.before for axis in window)
    size = _pair(axis.size for axis in window)
    return [
        KernelDecomposition(
            kernel=kernel,
            r=taps,
            kernels=parts,
            stride=1,
            offset=taps,
            before=before,
            grid=size,
            output=size,
            first=(last, last),
            kernel_step=-taps,
            tap_step=-1,
            groups=groups,
            rotated=True,
        )
        for taps, parts in _blocks(window.rows.window)
        if min(before) >= 0
    ]


def _strided_gradient(window: Window, groups: int) -> list[KernelDecomposition]:
    """Return the scheme whose targets are the input's phases, all of the same tiles of dy.

    Input s n + r is the sum over t of dy[n + c - t] times tap s (t - c) + r + padding, for any c
    that loses no tap of any phase r: the least, ceil(padding / s), needs the fewest t.
    """
    stride = window.rows.stride
    ahead = [-(-axis.before // stride) for axis in window]
    lead = [stride * c - axis.before for c, axis in zip(ahead, window, strict=True)]
    taps = max(-(-(window.rows.window + max(lead)) // stride), TAPS[0])
    before = _pair(taps - 1 - c for c in ahead)
    if taps not in TAPS or stride > MOST_KERNELS or min(before) < 0:
        return []
    scheme = KernelDecomposition(
        kernel=_pair(axis.window for axis in window),
        r=taps,
        kernels=1,
        stride=1,
        offset=0,
        before=before,
        grid=_pair(-(-axis.size // stride) for axis in window),
        output=_pair(axis.size for axis in window),
        first=_pair(stride * (taps - 1) - more for more in lead),
        kernel_step=1,
        tap_step=-stride,
        groups=groups,
        targets=stride,
        rotated=True,
    )
    return [scheme]


def _pair(values: Iterable[int]) -> tuple[int, int]:
    rows, columns = values
    return rows, columns


def _square(window: Window) -> bool:
    def shape(axis: Axis) -> tuple[int, int, int]:
        return axis.window, axis.stride, axis.dilation

    rows, columns = window
    return shape(rows) == shape(columns) and rows.dilation == 1 and rows.window > 1


def _blocks(window: int) -> list[tuple[int, int]]:
    """Return the (r, sub-kernels) that cover so many taps along an axis."""
    if window <= TAPS[2]:
        return [(window, 1)]
    blocks = [(taps, -(-window // taps)) for taps in TAPS[1:]]
    return [(taps, parts) for taps, parts in blocks if parts <= MOST_KERNELS]
