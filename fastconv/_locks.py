"""Locks that a forked child can take."""

from __future__ import annotations

import os
import threading
import weakref


class Locked:
    """Base of what has a re-entrant `lock`.

    A child process has the forking thread alone: a lock that another thread held at the
    fork would never be released there.  The child is given a new one in its place.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        _all.add(self)


_all: weakref.WeakSet[Locked] = weakref.WeakSet()


def _renew() -> None:
    for locked in list(_all):
        if locked.lock.acquire(blocking=False):  # free, or held by this thread, which goes on
            locked.lock.release()
        else:
            locked.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
