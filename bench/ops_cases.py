"""What the sweep of `fastconv.ops` calls: convolutions, poolings and filters, drawn or named."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass, replace

import numpy as np

from . import cases
from .cases import Case

LARGEST = 2**24
"""Numbers in a pooling's input."""


@dataclass(frozen=True)
class PoolCase:
    """Pooling of square images; `padding` pixels on every side, which an average does not count."""

    kind: str
    batch: int
    size: int
    channels: int
    window: int
    stride: int
    padding: int

    @property
    def name(self) -> str:
        """What it is called in tables; the data follow from it."""
        images = f"{self.batch}x{self.size}x{self.size}x{self.channels}"
        return f"{self.kind} pool {images} {self.window}/{self.stride} p{self.padding}"


@dataclass(frozen=True)
class FilterCase:
    """One filter over one image, of (rows, columns) without channels; the output is as large."""

    rows: int
    columns: int
    channels: int | None
    kernel: int

    @property
    def name(self) -> str:
        """What it is called in tables; the data follow from it."""
        depth = "" if self.channels is None else f"x{self.channels}"
        return f"filter {self.rows}x{self.columns}{depth} {self.kernel}x{self.kernel}"

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(rows, columns) or (rows, columns, channels)."""
        return (self.rows, self.columns, *(() if self.channels is None else (self.channels,)))


AnyCase = Case | PoolCase | FilterCase


def drawn(count: int, seed: int) -> list[AnyCase]:
    """Return `count` convolutions, half as many poolings, a quarter as many filters."""
    source = random.Random(seed)
    return [
        *(_plain(case) for case in cases.drawn(count, seed)),
        *(_pool(source) for _ in range(count // 2)),
        *(_filter(source) for _ in range(count // 4)),
    ]


def named() -> list[AnyCase]:
    """Return shapes at which operations were much slower than layers."""
    return [
        Case("16x28x28x96 3x3/2->96 p1 g96", 16, 28, 96, 96, 3, 2, 1, 96, relu=False),
        Case("32x7x7x256 3x3->256 p1", 32, 7, 256, 256, 3, 1, 1, relu=False),
        Case("1x8x8x8 3x3->16 p1", 1, 8, 8, 16, 3, 1, 1, relu=False),
        Case("64x56x56x96 1x1->96 valid", 64, 56, 96, 96, 1, relu=False),
    ]


def network(name: str) -> list[AnyCase]:
    """Return the convolutions of a network, as `cases.network` has them."""
    return [_plain(case) for case in cases.network(name)]


def numbers(case: PoolCase | FilterCase, *shape: int) -> np.ndarray:
    """Return normal numbers, the same in each process."""
    source = np.random.default_rng(zlib.crc32(f"{case.name} {shape}".encode()))
    return source.standard_normal(shape, np.float32)


def _plain(case: Case) -> Case:
    """Return the convolution of a layer alone, whose input's gradient is always wanted."""
    words = [word for word in case.name.split() if word != "relu" and not word.startswith("pool")]
    return replace(case, name=" ".join(words), relu=False, pool=None, input_gradient=True)


def _pool(source: random.Random) -> PoolCase:
    while True:
        window = source.choice((2, 2, 3, 3, 5))
        case = PoolCase(
            source.choice(("max", "average")),
            source.choice(cases.BATCHES),
            source.choice(cases.SIZES),
            source.choice(cases.CHANNELS),
            window,
            source.choice((1, 2, 2, window)),
            source.choice((0, window // 2)),
        )
        if 2**12 <= case.batch * case.size**2 * case.channels <= LARGEST:
            return case


def _filter(source: random.Random) -> FilterCase:
    sizes = (32, 64, 100, 128, 200, 256, 333, 512, 720, 1080)
    return FilterCase(
        source.choice(sizes),
        source.choice(sizes),
        source.choice((None, None, 1, 3, 3, 4)),
        source.choice((3, 3, 5, 7)),
    )
