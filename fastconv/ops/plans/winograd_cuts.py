"""How Winograd's algorithm cuts a convolution into parts that have a transform.

F(m x m, t x t) with m + t = 7 serves square kernels of two to five taps a side.  A larger kernel is
cut into parts of t x t taps, a strided one into its phases, and the sums over the parts are sums
over more channels; a strided one's input gradient has one set of filters for each phase: its
*targets*.  The parts' taps that the kernel does not have are 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ...geometry import Axis, Window
from .packing import pad_channels

REACH = 6
"""Rows and columns that a tile reads, as many as there are points along an axis."""
POINTS = REACH**2
TAPS = (2, 3, 4, 5)
MOST_PARTS = 4
"""Along an axis: larger strides, and kernels of more than as many times five taps, are not cut."""


class Cut(NamedTuple):
    """A convolution of stride 1 over parts; pairs are of rows and columns."""

    kernel: tuple[int, int]
    """Taps of the whole kernel."""
    taps: int
    """Of a part, along an axis."""
    parts: int
    """Along an axis."""
    stride: int
    """Pixels between two inputs of a tile."""
    offset: int
    """Pixels between two parts."""
    before: tuple[int, int]
    """Pixels of padding above and left of the source."""
    grid: tuple[int, int]
    """Outputs of one target."""
    output: tuple[int, int]
    """Outputs of all targets."""
    first: tuple[int, int]
    """The kernel's tap that is the first of the first part."""
    part_step: int
    """From a part's first tap, or a target's, to the next one's."""
    tap_step: int
    """From a tap of a part to the next."""
    groups: int
    """Of channels."""
    targets: int = 1
    """Along an axis."""
    turned: bool = False
    """Whether the kernel is turned round, inputs and outputs exchanged."""

    @property
    def side(self) -> int:
        """Outputs of a tile along an axis."""
        return REACH + 1 - self.taps

    @property
    def beside(self) -> bool:
        """Whether parts that are neighbours along a row lie side by side, like channels."""
        return self.parts > 1 and self.stride > 1 and self.groups == 1

    @property
    def column_parts(self) -> int:
        """Parts along a row that do not lie side by side."""
        return 1 if self.beside else self.parts

    @property
    def sets(self) -> int:
        """Sets of filters: one for each target of each group."""
        return self.targets**2 * self.groups

    def part_channels(self, channels: int) -> int:
        """Return the channels of a group's part, or of those side by side, of all `channels`."""
        return channels // self.groups * (self.parts if self.beside else 1)

    def depth(self, channels: int) -> int:
        """Return the channels of all parts of a group."""
        return channels // self.groups * self.parts**2

    def inputs(self, channels: int) -> int:
        """Return the channels of all parts of all groups, those of each in whole vectors."""
        part = pad_channels(self.part_channels(channels), np.dtype(np.float32))
        return self.groups * self.parts * self.column_parts * part

    def outputs(self, filters: int) -> int:
        """Return the filters of all sets, those of each in whole vectors."""
        return self.sets * pad_channels(filters // self.groups, np.dtype(np.float32))

    def span(self, tiles: int) -> int:
        """Return the pixels that some tiles read along an axis."""
        inputs = self.side * tiles + REACH - self.side
        return self.stride * (inputs - 1) + 1 + self.offset * (self.parts - 1)


def forward_cuts(window: Window, groups: int = 1) -> list[Cut]:
    """Return the ways to cut the output's convolution; none of those that have no transform."""
    if not _square(window):
        return []
    stride = window.rows.stride
    blocks = _blocks(window.rows.window)
    if stride > 1:
        taps = -(-window.rows.window // stride)
        blocks = [(taps, stride)] if taps in TAPS and stride <= MOST_PARTS else []
    kernel, output = (_pair(axis.window for axis in window), _pair(axis.output for axis in window))
    return [
        Cut(
            kernel=kernel,
            taps=taps,
            parts=parts,
            stride=stride,
            offset=1 if stride > 1 else taps,
            before=_pair(axis.before for axis in window),
            grid=output,
            output=output,
            first=(0, 0),
            part_step=1 if stride > 1 else taps,
            tap_step=stride,
            groups=groups,
        )
        for taps, parts in blocks
    ]


def input_gradient_cuts(window: Window, groups: int = 1) -> list[Cut]:
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
        Cut(
            kernel=kernel,
            taps=taps,
            parts=parts,
            stride=1,
            offset=taps,
            before=before,
            grid=size,
            output=size,
            first=(last, last),
            part_step=-taps,
            tap_step=-1,
            groups=groups,
            turned=True,
        )
        for taps, parts in _blocks(window.rows.window)
        if min(before) >= 0
    ]


def _strided_gradient(window: Window, groups: int) -> list[Cut]:
    """Return the cut whose targets are the input's phases, all of the same tiles of dy.

    Input s n + r is the sum over t of dy[n + c - t] times tap s (t - c) + r + padding, for any c
    that loses no tap of any phase r: the least, ceil(padding / s), needs the fewest t.
    """
    stride = window.rows.stride
    ahead = [-(-axis.before // stride) for axis in window]
    lead = [stride * c - axis.before for c, axis in zip(ahead, window, strict=True)]
    taps = max(-(-(window.rows.window + max(lead)) // stride), TAPS[0])
    before = _pair(taps - 1 - c for c in ahead)
    if taps not in TAPS or stride > MOST_PARTS or min(before) < 0:
        return []
    cut = Cut(
        kernel=_pair(axis.window for axis in window),
        taps=taps,
        parts=1,
        stride=1,
        offset=0,
        before=before,
        grid=_pair(-(-axis.size // stride) for axis in window),
        output=_pair(axis.size for axis in window),
        first=_pair(stride * (taps - 1) - more for more in lead),
        part_step=1,
        tap_step=-stride,
        groups=groups,
        targets=stride,
        turned=True,
    )
    return [cut]


def _pair(values: Iterable[int]) -> tuple[int, int]:
    rows, columns = values
    return rows, columns


def _square(window: Window) -> bool:
    def shape(axis: Axis) -> tuple[int, int, int]:
        return axis.window, axis.stride, axis.dilation

    rows, columns = window
    return shape(rows) == shape(columns) and rows.dilation == 1 and rows.window > 1


def _blocks(window: int) -> list[tuple[int, int]]:
    """Return the (taps, parts) that cover so many taps along an axis."""
    if window <= TAPS[2]:
        return [(window, 1)]
    blocks = [(taps, -(-window // taps)) for taps in TAPS[1:]]
    return [(taps, parts) for taps, parts in blocks if parts <= MOST_PARTS]
