"""Plans that operations keep between calls, so that a loop over them is as fast as a layer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .._core.runtime import get_fast_math, get_num_threads
from .plans import Pool, select

Plan = TypeVar("Plan")

KEPT = 8
"""Of each thread, with their scratch memory: those used last."""


class _Kept(threading.local):
    """The running thread's plans: what they compute in is not shared."""

    def __init__(self) -> None:
        self.plans: dict[str, Any] = {}


_kept = _Kept()


def kept_plan(make: Callable[..., Plan], *arguments: Any, owner: str, **options: Any) -> Plan:
    """Return `make(*arguments, owner=owner, **options)`, or what it gave for the same before.

    What is the same is told by how it prints, as True, 1 and 1.0 are equal and not the same.
    """
    settings = get_num_threads(), get_fast_math(), select.wanted()
    key = repr((make.__qualname__, arguments, options, settings))
    plans = _kept.plans
    plan: Plan | None = plans.pop(key, None)
    if plan is None:
        with Pool():  # of its own: a model's, within a pass of which this may run, is that model's
            plan = make(*arguments, owner=owner, **options)
        while len(plans) >= KEPT:
            del plans[next(iter(plans))]
    plans[key] = plan
    return plan
