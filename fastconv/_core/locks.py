"""Locks that a forked child can take, and that become one where what they guard is shared."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterable, Iterator

PATIENCE = 0.0005
"""Seconds that a thread waits for a group's lock before nobody else may overtake it."""


class Locked:
    """Base of what has a re-entrant `lock`.

    A child process has the forking thread alone: a lock that another thread held at the
    fork would never be released there.  The child is given a new one in its place.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        _all.add(self)

    def renew(self) -> None:
        """Take a new lock, in a forked child whose other threads are gone."""
        self.lock = threading.RLock()


class Group(Locked):
    """A lock that others can join: then all of them are one.

    So models that share layers are guarded by one lock.  With a lock for each layer, a
    model whose step calls another one would wait for it in a circle.
    """

    def __init__(self) -> None:
        super().__init__()
        self._joined: Group | None = None  # the group that this one has become
        self._depth = 0  # how often the thread that holds the lock has taken it
        self._doorway = threading.Lock()

    def root(self) -> Group:
        """Return the group that this one has become by now."""
        while self._joined is not None:
            self = self._joined
        return self

    def acquire(self) -> Group:
        """Take the lock of what this group has become; return that, for `release`."""
        while True:
            root = self.root()
            root._wait_for_lock()
            if root._joined is None:
                root._depth += 1
                return root
            root.lock.release()  # it joined another while this thread waited

    def _wait_for_lock(self) -> None:
        """Take the lock; whoever has waited for `PATIENCE` is the next.

        Python gives a lock to a thread that runs, as a rule the one that has just let go of it,
        since another has to wake up first.  That makes the most of short passes, but among clients
        that call without a pause some would wait for a thousand of them.  So a thread that has
        waited goes into the doorway, where nobody overtakes it.
        """
        lock, doorway = self.lock, self._doorway
        if doorway.locked() and not lock._is_owned():  # type: ignore[attr-defined]
            with doorway:
                pass
        if not lock.acquire(True, PATIENCE):
            with doorway:
                lock.acquire()

    def release(self) -> None:
        """Give the lock back that `acquire` returned."""
        self._depth -= 1
        self.lock.release()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Take the lock for a while."""
        root = self.acquire()
        try:
            yield
        finally:
            root.release()

    def renew(self) -> None:
        super().renew()
        self._depth = 0

    def clear_doorway(self) -> None:
        """Let nobody be in the doorway, in a forked child."""
        self._doorway = threading.Lock()


def join(groups: Iterable[Group]) -> None:
    """Make one group of several; waits for whoever uses one of them."""
    busy: list[Group] = []
    while True:
        roots = list(dict.fromkeys(group.root() for group in (*busy, *groups)))
        failed = _join(roots)
        if failed is None:
            return
        busy = [failed]  # waited for first, with nothing in hand that its user may want


def _join(roots: list[Group]) -> Group | None:
    """Make one group of several, or return one that is in use; the first is waited for."""
    taken: list[Group] = []
    try:
        for root in roots:
            if not root.lock.acquire(blocking=not taken):
                return root
            taken.append(root)
            if root._joined is not None:
                return root
        # One that this thread is using must stay what other threads wait for.
        kept = next((root for root in roots if root._depth), roots[0])
        for root in roots:
            if root is not kept:
                root._joined = kept
        return None
    finally:
        for root in taken:
            root.lock.release()


_all: weakref.WeakSet[Locked] = weakref.WeakSet()


def _renew_all() -> None:
    for locked in list(_all):
        if isinstance(locked, Group):
            locked.clear_doorway()
        if locked.lock.acquire(blocking=False):  # free, or held by this thread, which goes on
            locked.lock.release()
        else:
            locked.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
