"""What layers compute in, and which thread may use it.

A layer has one workspace that a model's pass uses, under a lock that all of the model's
layers have in common, and one more for every thread that calls the layer by itself.  So
threads never meet in a buffer, and a server with a thread for each request does not plan
anew in each.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from .._core.locks import Group, join
from .._core.memory import aligned_empty
from .._core.runtime import get_fast_math, get_num_threads

Plan = TypeVar("Plan")

# The batch sizes among which a server or a data set may alternate, in training and without.
PLANS_KEPT = 8


class Workspace:
    """A layer's buffers and plans, and what its `call` saved for `backward`, for one thread."""

    def __init__(self) -> None:
        self.saved_for_backward: Any = None
        self.output: np.ndarray | None = None
        self.pre_activation: np.ndarray | None = None  # where the activation's gradient needs it
        self.needs_input_gradient = True
        self.needs_gradient_at_zeros = True
        self.may_overwrite_input = False
        #: Whether the layer acts as in prediction although the pass is one of training.
        self.inference = False
        self._buffers: dict[tuple[str, np.dtype], np.ndarray] = {}
        self._views: dict[str, np.ndarray] = {}  # of the buffers, as they were asked for last
        self._plans: dict[tuple[Any, ...], Any] = {}  # those used last at the end

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

    def plan(self, key: tuple[Any, ...], make: Callable[[], Plan]) -> Plan:
        """Return the plan made before for `key` and the runtime's settings, or a new one."""
        key = (*key, get_num_threads(), get_fast_math())
        plans = self._plans
        plan: Plan | None = plans.get(key)
        if plan is None:
            plan = make()
            while len(plans) >= PLANS_KEPT:
                del plans[next(iter(plans))]
            plans[key] = plan
        elif len(plans) == PLANS_KEPT:  # the order counts where one will have to go
            plans[key] = plans.pop(key)
        return plan


class _OwnWorkspace(threading.local):
    """The workspace that a layer has for the running thread alone."""

    def __init__(self) -> None:
        self.workspace = Workspace()


class _RunningPass(threading.local):
    """The group whose lock the running thread holds for a pass: its layers share workspaces."""

    group: Group | None = None


running = _RunningPass()


class Workspaces:
    """A layer's workspaces, and the group whose lock guards the one that passes share."""

    def __init__(self) -> None:
        self.group = Group()
        self.own = _OwnWorkspace()
        self.shared = Workspace()

    @contextlib.contextmanager
    def locked(self, share: bool = False) -> Iterator[None]:
        """Hold the lock, and with `share` use the shared workspace meanwhile."""
        held, before = self.group.acquire(), running.group
        try:
            if share:
                self.group = running.group = held
            yield
        finally:
            running.group = before
            held.release()


class OfWorkspace:
    """An attribute of a layer that each workspace has for itself."""

    def __set_name__(self, cls: type, name: str) -> None:
        self._name = name

    def __get__(self, layer: Any, cls: type) -> Any:
        return self if layer is None else getattr(layer._workspace, self._name)

    def __set__(self, layer: Any, value: Any) -> None:
        setattr(layer._workspace, self._name, bool(value))


class Pass:
    """`with Pass(group, model)`: no other thread goes through any of the model's layers.

    The layers' groups join the model's at its first pass, or the first after a change.
    """

    def __init__(self, group: Group, model: Any) -> None:
        self._group = group
        self._model = model

    def __enter__(self) -> None:
        self._before = running.group
        while True:
            self._held = held = self._group.acquire()
            try:
                strangers = self._strangers(held)
            except BaseException:
                held.release()
                raise
            if not strangers:
                running.group = held
                return
            held.release()
            join([held, *strangers])

    def _strangers(self, held: Group) -> list[Group]:
        """Return the groups of layers that have not joined."""
        strangers = []
        for layer in self._model.layers:
            workspaces = layer._workspaces
            if workspaces.group is not held:
                if workspaces.group.root() is held:
                    workspaces.group = held  # the shortest way to it
                else:
                    strangers.append(workspaces.group)
        return strangers

    def __exit__(self, *error: object) -> None:
        running.group = self._before
        self._held.release()
