"""What layers compute in, and which thread may use it.

Buffers belong to who executes: a graph's executor has a workspace for each place where a layer
runs, under a lock that all of the model's layers have in common.  Outside of models a layer has
one that `layer(x)` uses under the lock, so that a server with a thread for each request does not
plan anew in each, and one for every thread that calls `call` and `backward` by hand.
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

#: Buffers of what `call` and `backward` return or pass on at once: who executes a graph knows
#: when they are no longer read, and uses their memory again.
RESULTS = frozenset({"output", "dx", "dz", "sum"})

#: Gives memory for the result of a workspace, a key, a shape and a dtype, or None.
Lender = Callable[["Workspace", str, "tuple[int, ...]", "np.dtype"], "np.ndarray | None"]


class Workspace:
    """A layer's buffers and plans, and what its `call` saved for `backward`, at one place."""

    def __init__(self, plans: dict[tuple[Any, ...], Any] | None = None) -> None:
        self.saved_for_backward: Any = None
        self.output: np.ndarray | None = None
        self.pre_activation: np.ndarray | None = None  # where the activation's gradient needs it
        self.needs_input_gradient = True
        self.needs_gradient_at_zeros = True
        self.may_overwrite_input = False
        #: Whether the layer acts as in prediction although the pass is one of training.
        self.inference = False
        self.lender: Lender | None = None
        self._buffers: dict[tuple[str, np.dtype], np.ndarray] = {}
        self._views: dict[str, np.ndarray] = {}  # of the buffers, as they were asked for last
        # Those used last at the end.
        self._plans: dict[tuple[Any, ...], Any] = {} if plans is None else plans

    def buffer(self, key: str, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """Return uninitialised memory, the same for the same `key`."""
        shape = tuple(shape)
        held = self._views.get(key)
        if held is not None and held.shape == shape and held.dtype == dtype:
            return held
        dtype = np.dtype(dtype)
        size = math.prod(shape)
        if self.lender is not None and key in RESULTS:
            lent = self.lender(self, key, shape, dtype)
            if lent is not None:
                return lent
        memory = self._buffers.get((key, dtype))
        if memory is None or memory.size < size:
            memory = self._buffers[key, dtype] = aligned_empty((size,), dtype)
        view = self._views[key] = memory[:size].reshape(shape)
        return view

    def keep(self, key: str, view: np.ndarray) -> None:
        """Return `view` from now on where a buffer of its shape is asked for under `key`."""
        self._views[key] = view

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


class Frame(dict["Any", Workspace]):
    """The workspaces of the layers that run at one place of a graph.

    A layer at two places of a graph, or in two graphs, has one at each: what it saves for its
    backward pass is that place's.  Layers within a user's layer have theirs here as well.
    `plans` is shared by all frames of the place.
    """

    def __init__(self, plans: dict[Any, dict[tuple[Any, ...], Any]] | None = None) -> None:
        super().__init__()
        self._all_plans = {} if plans is None else plans
        self.lender: Lender | None = None

    def __missing__(self, layer: Any) -> Workspace:
        workspace = self[layer] = Workspace(self._all_plans.setdefault(layer, {}))
        workspace.lender = self.lender
        return workspace

    def lend(self, lender: Lender | None) -> None:
        """Let all workspaces, and those to come, take their results' memory from `lender`."""
        self.lender = lender
        for workspace in self.values():
            workspace.lender = lender

    def forget(self) -> None:
        """Let go of what was saved for the backward pass, which is over."""
        for workspace in self.values():
            workspace.saved_for_backward = workspace.output = None
            workspace.pre_activation = None


class _Running(threading.local):
    """The frame of the place that the running thread is at, None outside of passes."""

    frame: Frame | None = None


running = _Running()


class Workspaces:
    """A layer's workspaces outside of models, and the group whose lock guards its weights."""

    def __init__(self) -> None:
        self.group = Group()
        self.own = _OwnWorkspace()
        self.shared = Frame()

    @contextlib.contextmanager
    def locked(self, share: bool = False) -> Iterator[None]:
        """Hold the lock, and with `share` use the frame that all threads share meanwhile."""
        held, before = self.group.acquire(), running.frame
        try:
            if share:
                running.frame = self.shared
            yield
        finally:
            running.frame = before
            held.release()


class OfWorkspace:
    """An attribute of a layer that each workspace has for itself."""

    def __set_name__(self, cls: type, name: str) -> None:
        self._name = name

    def __get__(self, layer: Any, cls: type) -> Any:
        return self if layer is None else getattr(layer._workspace, self._name)

    def __set__(self, layer: Any, value: Any) -> None:
        setattr(layer._workspace, self._name, bool(value))


class LayersLock:
    """`with LayersLock(group).of(layers)`: no other thread goes through any of these layers.

    The layers' groups join the model's at its first pass, or the first after a change: groups
    that have become one stay one.
    """

    def __init__(self, group: Group) -> None:
        self._group = group
        self._layers: Sequence[Any] = ()
        self._joined: tuple[Any, Any] = (None, None)  # the layers that had joined, and which group

    def of(self, layers: Sequence[Any]) -> LayersLock:
        """Return this lock, for a pass through `layers`."""
        self._layers = layers
        return self

    def __enter__(self) -> None:
        while True:
            held, layers = self._group.acquire(), self._layers
            if self._joined[0] is layers and self._joined[1] is held:
                return
            try:
                strangers = self._strangers(held, layers)
            except BaseException:
                held.release()
                raise
            if not strangers:
                self._joined = layers, held
                return
            held.release()
            join([held, *strangers])

    def _strangers(self, held: Group, layers: Sequence[Any]) -> list[Group]:
        """Return the groups of layers that have not joined."""
        strangers = []
        for layer in layers:
            workspaces = layer._workspaces
            if workspaces.group is not held:
                if workspaces.group.root() is held:
                    workspaces.group = held  # the shortest way to it
                else:
                    strangers.append(workspaces.group)
        return strangers

    def __exit__(self, *error: object) -> None:
        self._group.root().release()
