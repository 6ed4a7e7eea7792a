"""Plans that operations keep between calls, so that a loop over them is as fast as a layer.

A plan computes in memory of its own, so one thread has it at a time: another that wants the same
one meanwhile makes its own, and then both are kept.  To take one that is kept costs a microsecond,
which is what a layer's call takes around its plan: that is why taking needs no lock.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from .._core.locks import Locked
from .._core.session import forgotten_by
from .plans import Pool, select, sharing
from .plans.scratch import Scratch

Plan = TypeVar("Plan")

MOST_PLANS = 64
MOST_BYTES = 2**28
"""Of all plans that are kept, with their scratch memory."""


@dataclass(frozen=True)
class Operation(Generic[Plan]):
    """What a function of `fastconv.ops` plans."""

    owner: str
    make: Callable[..., Plan]
    options: tuple[str, ...]
    """The names of the arguments that shapes and dtype do not tell."""


class Kept(Generic[Plan]):
    """A plan that was taken; `plans.give_back` lets the next have it who wants the same."""

    __slots__ = ("growths", "key", "nbytes", "plan", "taken", "used")

    def __init__(self, key: tuple[Hashable, ...], plan: Plan) -> None:
        self.key, self.plan = key, plan  # the last of the key are the runtime's settings
        self.taken = threading.Lock()
        self.taken.acquire()
        self.nbytes = self.used = 0
        self.growths = -1  # of any scratch, when it was taken: then its memory is what it was


class KeptPlans(Locked):
    """Plans by what they were made of; of too many, those that were not used longest go."""

    def __init__(self, most_plans: int = MOST_PLANS, most_bytes: int = MOST_BYTES) -> None:
        super().__init__()
        self._most_plans, self._most_bytes = most_plans, most_bytes
        self._kept: dict[Hashable, tuple[Kept[Any], ...]] = {}
        self._clock = itertools.count()

    def __len__(self) -> int:
        return len(self._all())

    @property
    def nbytes(self) -> int:
        """How many bytes all plans hold that are kept."""
        return sum(kept.nbytes for kept in self._all())

    def take(
        self,
        operation: Operation[Plan],
        shapes: tuple[Any, ...],
        dtype: np.dtype,
        options: tuple[Any, ...],
    ) -> Kept[Plan]:
        """Return the operation's plan for these shapes, made now or before.

        Settings of the runtime that plans depend on count as if they were options.  Who does not
        give it back, as what computed in it was interrupted, is the last to have had it.
        """
        make = operation.make
        key = make, shapes, dtype, _exact(options), select.settings()
        for kept in self._kept.get(key, ()):
            if kept.taken.acquire(False):
                kept.used = next(self._clock)
                kept.growths = Scratch.growths
                return kept
        with sharing(Pool()):  # not a model's, within a pass of which this may be called
            named = dict(zip(operation.options, options, strict=True))
            return Kept(key, make(*shapes, dtype=dtype, owner=operation.owner, **named))

    def give_back(self, kept: Kept[Any]) -> None:
        """Keep a plan; whoever took it uses it no more."""
        if kept.growths != Scratch.growths:
            self._keep(kept)
        kept.taken.release()

    def _keep(self, kept: Kept[Any]) -> None:
        """Keep a plan that is new or has grown, and of all plans those used last that fit."""
        kept.nbytes, kept.used = memory_of(kept.plan), next(self._clock)
        with self.lock:
            everything = {*self._all(), kept}
            fitting: dict[Hashable, tuple[Kept[Any], ...]] = {}
            nbytes = 0
            for one in sorted(everything, key=_last_use, reverse=True)[: self._most_plans]:
                if nbytes + one.nbytes <= self._most_bytes:
                    nbytes += one.nbytes
                    fitting[one.key] = (*fitting.get(one.key, ()), one)
            self._kept = fitting

    def _all(self) -> list[Kept[Any]]:
        return [kept for same in self._kept.values() for kept in same]

    def clear(self) -> None:
        """Let go of all plans but those that are being used, which are kept again after that."""
        with self.lock:
            self._kept = {}


plans = KeptPlans()
forgotten_by(plans.clear)


def _last_use(kept: Kept[Any]) -> int:
    return kept.used


def _exact(options: tuple[Any, ...]) -> Hashable:
    """Return what equals only what is the same for a check: True, 1 and 1.0 equal each other."""
    truths = 0  # one bit for each option
    for value in options:
        kind = type(value)
        truths += truths
        if kind is bool:
            truths += 1
        elif kind is not int and kind is not str and value is not None:
            return tuple(map(_exact_one, options))
    return (options, truths) if truths else options


def _exact_one(value: Any) -> Hashable:
    """Return the same for one option: what is no tuple of numbers is told by how it prints."""
    kind = type(value)
    if kind is tuple:
        return _exact(value)
    return value if kind is int or kind is str or value is None else (kind, repr(value))


_OURS = __name__.rpartition(".")[0]


def memory_of(plan: Any) -> int:
    """Return how many bytes of arrays a plan and its parts hold, whoever else does."""
    waiting, seen, nbytes = [plan], set(), 0
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            waiting.append(thing.base)
            nbytes += thing.nbytes if thing.base is None else 0
        elif isinstance(thing, (list, tuple)):
            waiting.extend(thing)
        elif isinstance(thing, dict):
            waiting.extend(thing.values())
        elif type(thing).__module__.startswith(_OURS):
            waiting.extend(vars(thing).values())
    return nbytes
