"""Which algorithm a plan takes: the cheapest, or the one that a test or a benchmark asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..._core import runtime
from ..._core.geometry import Shape, Window

DIRECT = {
    "panels": "vectors along the filters",
    "dot_products": "vectors along the reduction",
    "batch_tiles": "tiles of one output of several images",
}
"""The direct kernels' ways; "direct" is the cheapest of them."""
ALGORITHMS: dict[str, tuple[str, ...]] = {
    "output": ("direct", *DIRECT, "winograd", "winograd_narrow", "depthwise"),
    "input_gradient": ("direct", *DIRECT, "overlap_add", "winograd", "depthwise"),
    "kernel_gradient": ("product", "patch", "winograd", "winograd_narrow", "depthwise"),
}
"""By direction of a convolution."""

_wanted: dict[str, str] = {}


class Problem(NamedTuple):
    """A convolution."""

    input_shape: Shape
    kernel_shape: Shape
    window: Window
    groups: int
    dtype: np.dtype

    @property
    def transforms(self) -> bool:
        """Whether Winograd's algorithm may be used."""
        return runtime.get_fast_math() and self.dtype == np.float32


class Choice(NamedTuple):
    """What computes one direction."""

    algorithm: str
    costs: Mapping[str, float]
    """Of what competed, in one unit."""
    plan: Any
    """None for the direct kernels, whose plans the caller makes."""


@contextmanager
def forced(algorithm: str, *directions: str) -> Iterator[None]:
    """Let convolutions that are planned inside take `algorithm`, in all directions that have it or
    in those given, whatever it costs.

    Where it does not serve a shape, that direction's plan raises ValueError when it is made.
    """
    directions = directions or tuple(
        name for name, algorithms in ALGORITHMS.items() if algorithm in algorithms
    )
    if not directions or any(algorithm not in ALGORITHMS[name] for name in directions):
        raise ValueError(f"forced: {algorithm!r} is unknown; there are {ALGORITHMS}")
    before = dict(_wanted)
    _wanted.update(dict.fromkeys(directions, algorithm))
    try:
        yield
    finally:
        _wanted.clear()
        _wanted.update(before)


def wanted() -> dict[str, str]:
    """Return the algorithms that are forced now, by direction."""
    return dict(_wanted)


def settings() -> tuple[Any, ...]:
    """Return all that plans depend on beside their arguments."""
    usual = runtime.get_num_threads(), runtime.get_fast_math()
    return (*usual, *_wanted.items()) if _wanted else usual


def unserved(algorithm: str) -> ValueError:
    """Return the error of a forced algorithm that does not serve a convolution."""
    return ValueError(f"forced: {algorithm!r} does not serve this convolution")


def cheapest(
    costs: Mapping[str, float], makers: Mapping[str, Callable[[], Any]], wanted: str | None
) -> Choice:
    """Return what costs least, the first of equals, or what is wanted of all that can be made."""
    name = min(costs, key=costs.__getitem__) if wanted is None else wanted
    name = "direct" if name in DIRECT else name
    if name not in makers:
        raise unserved(name)
    return Choice(name, costs, makers[name]())
