"""What layers compute in, and which thread may use it.

A layer has one workspace that a model's pass uses, under the locks of all the model's
layers, and one more for every thread that calls the layer by itself.  So threads never
meet in a buffer, and a server with a thread for each request does not plan anew in each.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .._locks import Locked
from .._memory import aligned_empty
from ..runtime import get_fast_math, get_num_threads

if TYPE_CHECKING:
    from .base import Layer

Plan = TypeVar("Plan")

# The batch sizes that a server or a data set may take turns with, in training and without.
PLANS_KEPT = 8

_numbers = itertools.count()


class Workspace:
    """A layer's buffers and plans, and what its `call` keeps for `backward`, for one thread."""

    def __init__(self) -> None:
        self.kept: Any = None
        self.output: np.ndarray | None = None
        self.needs_input_gradient = True
        self.needs_gradient_at_zeros = True
        self.may_overwrite_input = False
        self._buffers: dict[tuple[str, np.dtype], np.ndarray] = {}
        self._views: dict[str, np.ndarray] = {}  # of the buffers, as they were asked for last
        self._plans: dict[tuple, Any] = {}  # those used last at the end

    def buffer(self, key: str, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """Return uninitialised memory, the same for the same `key`."""
        shape = tuple(shape)
        held = self._views.get(key)
        if held is not None and held.shape == shape and held.dtype == dtype:
            return held
        dtype = np.dtype(dtype)
        size = math.prod(shape)
        memory = self._buffers.get((key, dtype))
        if memory is None or memory.size < size:
            memory = self._buffers[key, dtype] = aligned_empty((size,), dtype)
        view = self._views[key] = memory[:size].reshape(shape)
        return view

    def plan(self, key: tuple, make: Callable[[], Plan]) -> Plan:
        """Return the plan made before for `key` and the runtime's settings, or a new one."""
        key = (*key, get_num_threads(), get_fast_math())
        plan = self._plans.pop(key, None)
        if plan is None:
            plan = make()
            while len(self._plans) >= PLANS_KEPT:
                del self._plans[next(iter(self._plans))]
        self._plans[key] = plan
        return plan


class _OfThread(threading.local):
    """The workspace that the running thread uses: at first one of its own."""

    def __init__(self) -> None:
        self.workspace = Workspace()


class Workspaces(Locked):
    """A layer's workspaces, and the lock of the one that passes share."""

    def __init__(self) -> None:
        super().__init__()
        self.number = next(_numbers)
        self.of_thread = _OfThread()
        self._shared = Workspace()

    def enter(self, shared: bool = True) -> Workspace:
        """Take the lock, and the shared workspace; return the one used before, for `leave`."""
        self.lock.acquire()
        before = self.of_thread.workspace
        if shared:
            self.of_thread.workspace = self._shared
        return before

    def leave(self, before: Workspace) -> None:
        """Release the lock and use the workspace of `before` again."""
        self.of_thread.workspace = before
        self.lock.release()


class OfWorkspace:
    """An attribute of a layer that is told apart for each workspace."""

    def __set_name__(self, cls: type, name: str) -> None:
        self._name = name

    def __get__(self, layer: Layer | None, cls: type) -> Any:
        return self if layer is None else getattr(layer._workspace, self._name)

    def __set__(self, layer: Layer, value: Any) -> None:
        setattr(layer._workspace, self._name, bool(value))


class Pass:
    """`with Pass(own, layers)`: no other thread goes through any of the layers meanwhile.

    `own` is the model's lock; its `layers` are looked at under it.  Layers are locked in the
    order in which they were made, so that models that share some wait for each other and
    never in a circle.
    """

    def __init__(self, own: Locked, layers: Iterable[Layer]) -> None:
        self._lock = own.lock
        self._layers = layers
        self._entered: list[tuple[Workspaces, Workspace]] = []

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            for workspaces in sorted([layer._workspaces for layer in self._layers], key=_number):
                self._entered.append((workspaces, workspaces.enter()))
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *error: object) -> None:
        while self._entered:
            workspaces, before = self._entered.pop()
            workspaces.leave(before)
        self._lock.release()


def _number(workspaces: Workspaces) -> int:
    return workspaces.number
