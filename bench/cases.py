"""The layers of the sweep: a seeded draw over all shapes, and three networks' real layers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
CHANNELS = (1, 2, 3, 4, 5, 7, 8, 13, 16, 24, 31, 32, 48, 64, 67, 96, 128, 160, 192, 255, 256)
CHANNELS += (333, 384, 512)
SIZES = (7, 8, 9, 13, 14, 15, 19, 27, 28, 31, 32, 47, 56, 64, 75, 98, 112, 128, 160, 224)
KERNELS = (3, 3, 3, 5, 1, 7)
POOLS: tuple[tuple[int, int, int] | None, ...] = (None, None, None, (2, 2, 0), (2, 2, 0), (3, 2, 0))

LEAST_FLOPS = 10**5
MOST_FLOPS = 4 * 10**9
MOST_FLOATS = 2**25
"""A case's largest array, so that a sweep ends within minutes and in a few GB."""
MOST_DRAWS = 100_000


@dataclass(frozen=True)
class Case:
    """A convolution with a bias, ReLU or not, and max pooling behind it or not.

    `size` is the image's rows and columns, `padding` pixels on every side,
    `pool` (window, stride, padding).  `input_gradient` is False for a network's
    first layer, which needs none.
    """

    name: str
    batch: int
    size: int
    channels: int
    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    relu: bool = True
    pool: tuple[int, int, int] | None = None
    input_gradient: bool = True

    @property
    def rows(self) -> int:
        """Rows, and columns, of the convolution's output."""
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def output_rows(self) -> int:
        """Rows, and columns, behind the pooling."""
        if self.pool is None:
            return self.rows
        window, stride, padding = self.pool
        return (self.rows + 2 * padding - window) // stride + 1

    @property
    def forward_flops(self) -> int:
        """Dense operations of the convolution's output."""
        depth = self.kernel**2 * self.channels // self.groups
        return 2 * self.batch * self.rows**2 * self.filters * depth

    @property
    def backward_flops(self) -> int:
        """Dense operations of the kernel gradient and, if needed, the input gradient."""
        return (2 if self.input_gradient else 1) * self.forward_flops

    @property
    def floats(self) -> tuple[int, int, int, int]:
        """Numbers in the input, the kernel, the convolution's output and the result."""
        return (
            self.batch * self.size**2 * self.channels,
            self.kernel**2 * self.channels // self.groups * self.filters,
            self.batch * self.rows**2 * self.filters,
            self.batch * self.output_rows**2 * self.filters,
        )

    @property
    def bytes(self) -> int:
        """Bytes that the forward pass must read and write."""
        source, kernel, _, result = self.floats
        return 4 * (source + kernel + result)

    @property
    def kind(self) -> str:
        """The family that summaries count it under."""
        if self.groups > 1:
            return "depthwise" if self.groups == self.channels else "groups"
        return f"{self.kernel}x{self.kernel}" + (f"/{self.stride}" if self.stride > 1 else "")


def drawn(count: int, seed: int) -> list[Case]:
    """Return `count` random cases, the same ones for the same seed."""
    source = random.Random(seed)
    cases: list[Case] = []
    for _ in range(MOST_DRAWS):
        if len(cases) >= count:
            break
        case = _draw(source)
        if case is not None:
            cases.append(case)
    return cases


def _draw(source: random.Random) -> Case | None:
    """Return a random case, or None if the draw is impossible, tiny or huge."""
    kernel, stride = source.choice(KERNELS), source.choice((1, 1, 2))
    channels, filters = source.choice(CHANNELS), source.choice(CHANNELS)
    groups = 1
    grouping = source.random()
    if grouping < 0.12:
        groups, filters = channels, channels * source.choice((1, 1, 2))
    elif grouping < 0.24:
        groups = source.choice((2, 4, 8))
    padding = source.choice((0, kernel // 2))
    case = _named(
        batch=source.choice(BATCHES),
        size=source.choice(SIZES),
        channels=channels,
        filters=filters,
        kernel=kernel,
        stride=stride,
        padding=padding,
        groups=groups,
        relu=source.random() < 0.6,
        pool=source.choice(POOLS),
    )
    if channels % groups or filters % groups or case.size + 2 * padding < kernel:
        return None
    if case.rows < (case.pool[0] if case.pool else 1):
        return None
    if not LEAST_FLOPS <= case.forward_flops <= MOST_FLOPS or max(case.floats) > MOST_FLOATS:
        return None
    return case


def _named(prefix: str = "", **fields) -> Case:
    case = Case("", **fields)
    parts = [
        f"{case.batch}x{case.size}x{case.size}x{case.channels}",
        f"{case.kernel}x{case.kernel}"
        + (f"/{case.stride}" if case.stride > 1 else "")
        + f"->{case.filters}",
        f"p{case.padding}" if case.padding else "valid",
    ]
    if case.groups > 1:
        parts.append(f"g{case.groups}")
    if case.relu:
        parts.append("relu")
    if case.pool is not None:
        window, stride, padding = case.pool
        parts.append(f"pool{window}/{stride}" + (f"p{padding}" if padding else ""))
    return Case(" ".join([prefix, *parts]).strip(), **fields)


def network(name: str, batch: int = 8) -> list[Case]:
    """Return the distinct convolutions of "alexnet", "vgg16" or "resnet18" for 224 x 224 images."""
    cases = []
    for size, channels, filters, kernel, stride, padding, relu, pool in _NETWORKS[name]:
        cases.append(
            _named(
                name,
                batch=batch,
                size=size,
                channels=channels,
                filters=filters,
                kernel=kernel,
                stride=stride,
                padding=padding,
                relu=relu,
                pool=pool,
                input_gradient=channels != 3,
            )
        )
    return cases


_Row = tuple[int, int, int, int, int, int, bool, tuple[int, int, int] | None]
_HALVE = (2, 2, 0)
_OVERLAP = (3, 2, 0)

# size, channels, filters, kernel, stride, padding, ReLU, pooling.
_NETWORKS: dict[str, Sequence[_Row]] = {
    "alexnet": (
        (224, 3, 64, 11, 4, 2, True, _OVERLAP),
        (27, 64, 192, 5, 1, 2, True, _OVERLAP),
        (13, 192, 384, 3, 1, 1, True, None),
        (13, 384, 256, 3, 1, 1, True, None),
        (13, 256, 256, 3, 1, 1, True, _OVERLAP),
    ),
    "vgg16": (
        (224, 3, 64, 3, 1, 1, True, None),
        (224, 64, 64, 3, 1, 1, True, _HALVE),
        (112, 64, 128, 3, 1, 1, True, None),
        (112, 128, 128, 3, 1, 1, True, _HALVE),
        (56, 128, 256, 3, 1, 1, True, None),
        (56, 256, 256, 3, 1, 1, True, None),
        (56, 256, 256, 3, 1, 1, True, _HALVE),
        (28, 256, 512, 3, 1, 1, True, None),
        (28, 512, 512, 3, 1, 1, True, None),
        (28, 512, 512, 3, 1, 1, True, _HALVE),
        (14, 512, 512, 3, 1, 1, True, None),
        (14, 512, 512, 3, 1, 1, True, _HALVE),
    ),
    # Batch normalization stands between convolution and ReLU, so that most have none.
    "resnet18": (
        (224, 3, 64, 7, 2, 3, True, (3, 2, 1)),
        (56, 64, 64, 3, 1, 1, False, None),
        (56, 64, 128, 3, 2, 1, False, None),
        (56, 64, 128, 1, 2, 0, False, None),
        (28, 128, 128, 3, 1, 1, False, None),
        (28, 128, 256, 3, 2, 1, False, None),
        (28, 128, 256, 1, 2, 0, False, None),
        (14, 256, 256, 3, 1, 1, False, None),
        (14, 256, 512, 3, 2, 1, False, None),
        (14, 256, 512, 1, 2, 0, False, None),
        (7, 512, 512, 3, 1, 1, False, None),
    ),
}
