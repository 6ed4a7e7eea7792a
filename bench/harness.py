"""Contenders in turn: round robin over processes, and what is said of the times."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .worker import Worker


@dataclass(frozen=True)
class Timing:
    """The seconds that calls of one operation took."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    def by_round(self, rounds: int) -> list[float]:
        """Return the median of each of the `rounds` that the calls were made in."""
        calls = len(self.seconds) // rounds
        return [
            statistics.median(self.seconds[start : start + calls])
            for start in range(0, len(self.seconds), calls)
        ]

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and the third quartile."""
        if len(self.seconds) < 2:
            return self.seconds[0], self.seconds[0]
        first, _, third = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return first, third


def interleave(
    entries: Sequence[tuple[Worker, str]],
    rounds: int,
    calls: int,
    *,
    restore: bool = False,
    warm: bool = True,
) -> dict[tuple[str, str], Timing]:
    """Time operations of several workers, one worker after the other in each round.

    A disturbance of the machine then meets all of them.  In each round an
    operation is called once without counting (caches, clocks, threads that
    sleep) and then `calls` times; without `warm`, for operations of seconds, only
    the latter.  With `restore` every contender first undoes what earlier calls did
    to its state.  Returns the times by (label, operation).
    """
    seconds: dict[tuple[str, str], list[float]] = {
        (worker.label, operation): [] for worker, operation in entries
    }
    for _ in range(rounds):
        for worker, operation in entries:
            if restore:
                worker.invoke("restore")
            seconds[worker.label, operation] += worker.time(operation, calls, warm)
    return {key: Timing(tuple(values)) for key, values in seconds.items()}


def calls_within(slowest: float, budget: float, most: int = 50) -> int:
    """Return how many calls of `slowest` seconds fit the `budget`: from 1 to `most`."""
    return max(1, min(most, int(budget / max(slowest, 1e-7))))


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean of positive numbers, nan where there are none."""
    logarithms = [math.log(value) for value in values]
    return math.exp(statistics.fmean(logarithms)) if logarithms else math.nan


def best(timings: Mapping[str, Timing]) -> str:
    """Return the key with the lowest median."""
    return min(timings, key=lambda key: timings[key].median)
