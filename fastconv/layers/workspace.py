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
        self.needs_input_gradient = True
        self.needs_gradient_at_zeros = True
        self.may_overwrite_input = False
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
        plan: Plan | None = self._plans.pop(key, None)
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


class Workspaces:
    """A layer's workspaces, and the group whose lock guards the one that passes share."""

    def __init__(self) -> None:
        self.group = Group()
        self.of_thread = _OfThread()
        self.shared = Workspace()

    @contextlib.contextmanager
    def locked(self, share: bool = False) -> Iterator[None]:
        """Hold the lock, and with `share` use the shared workspace meanwhile."""
        held, before = self.group.acquire(), self.of_thread.workspace
        try:
            if share:
                self.of_thread.workspace = self.shared
            yield
        finally:
            self.of_thread.workspace = before
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
        self._before: list[tuple[_OfThread, Workspace]] = []

    def __enter__(self) -> None:
        while True:
            self._held = self._group.acquire()
            try:
                strangers = self._enter()
            except BaseException:
                self.__exit__()
                raise
            if not strangers:
                return
            self.__exit__()
            join([self._held, *strangers])

    def _enter(self) -> list[Group]:
        """Use the layers' shared workspaces; return the groups that have not joined."""
        strangers = []
        for layer in self._model.layers:
            workspaces = layer._workspaces
            if workspaces.group is not self._held:
                if workspaces.group.root() is not self._held:
                    strangers.append(workspaces.group)
                    continue
                workspaces.group = self._held  # the shortest way to it
            self._before.append((workspaces.of_thread, workspaces.of_thread.workspace))
            workspaces.of_thread.workspace = workspaces.shared
        return strangers

    def __exit__(self, *error: object) -> None:
        while self._before:
            of_thread, workspace = self._before.pop()
            of_thread.workspace = workspace
        self._held.release()
