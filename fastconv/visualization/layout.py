"""Where the boxes of a graph stand: in ranks, each beside what it is connected with."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_Point = tuple[float, float]
_SWEEPS = 8


class Layout(NamedTuple):
    """The middles of boxes and the lines between them: (across, along) the direction of ranks."""

    boxes: dict[int, _Point]
    lines: list[list[_Point]]


class _Item(NamedTuple):
    """A box, or a place where a line that goes past boxes passes a rank."""

    number: int
    across: float
    along: float


def layout(
    sizes: Mapping[int, _Point], edges: Iterable[tuple[int, int]], gap: _Point, lane: float
) -> Layout:
    """Return where boxes of `sizes`, (across, along), stand; `edges` make no circle.

    Boxes come in the order of their numbers after those that they are connected with. `gap`
    lies between boxes, across and along; a line that passes boxes takes a `lane` among them.
    """
    edges = list(dict.fromkeys(edges))
    rank = dict.fromkeys(sizes, 0)
    for number in sorted(sizes):
        rank[number] = max((rank[a] + 1 for a, b in edges if b == number), default=0)
    ranks: list[list[_Item]] = [[] for _ in range(max(rank.values(), default=0) + 1)]
    for number, size in sizes.items():
        ranks[rank[number]].append(_Item(number, *size))
    chains = []
    free = max(sizes, default=0) + 1
    for first, last in edges:
        chain = [first]
        for between in range(rank[first] + 1, rank[last]):
            ranks[between].append(_Item(free, lane, 0.0))
            chain.append(free)
            free += 1
        chains.append([*chain, last])
    across = _spread(ranks, chains, gap[0])
    along: dict[int, float] = {}
    start = 0.0
    for items in ranks:
        depth = max(item.along for item in items)
        along.update({item.number: start + depth / 2 for item in items})
        start += depth + gap[1]
    points = {number: (across[number], along[number]) for number in across}
    lines = [[points[number] for number in chain] for chain in chains]
    return Layout({number: points[number] for number in sizes}, lines)


def _spread(ranks: list[list[_Item]], chains: list[list[int]], gap: float) -> dict[int, float]:
    """Return how far across each item stands: near those it is connected with, none over others."""
    beside: dict[int, list[int]] = {item.number: [] for items in ranks for item in items}
    for chain in chains:
        for first, second in itertools.pairwise(chain):
            beside[first].append(second)
            beside[second].append(first)
    across = dict.fromkeys(beside, 0.0)
    for sweep in range(_SWEEPS):
        for items in ranks if sweep % 2 == 0 else reversed(ranks):
            wish = {
                item.number: sum(across[n] for n in beside[item.number])
                / max(len(beside[item.number]), 1)
                for item in items
            }
            items.sort(key=lambda item: wish[item.number])
            edge, placed = None, {}
            for item in items:
                least = wish[item.number] if edge is None else edge + gap + item.across / 2
                placed[item.number] = max(wish[item.number], least)
                edge = placed[item.number] + item.across / 2
            # All were pushed one way: as far back as they were on average.
            push = sum(placed[n] - wish[n] for n in placed) / len(placed)
            across.update({number: place - push for number, place in placed.items()})
    return across
