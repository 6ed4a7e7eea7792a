"""Batches prepared in the background while the model works on the one before."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

Place = tuple[int, int]  # (epoch, step)


class Prefetcher:
    """A thread that makes batches ahead of their use, `depth` of them at most.

    Batches are functions of their place, so one made ahead is the one that
    would be made on demand. What goes wrong in the background is raised where
    the batch is asked for. The thread ends when the prefetcher is closed or
    dropped, or the interpreter ends; it is a thread of a ThreadPoolExecutor,
    which sees to all of that.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._lock = threading.Lock()
        self._waiting: dict[Place, Future[Any]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._depth,)  # a copy makes its batches itself

    def take(self, place: Place) -> Future[Any] | None:
        """Return the batch of `place` if it is being made or ready, and forget it."""
        with self._lock:
            # Threads do not survive a fork, so their batches would never come.
            if self._process != os.getpid():
                self._forget()
            return self._waiting.pop(place, None)

    def expect(self, places: Iterable[Place], make: Callable[[int, int], Any]) -> None:
        """Have the batches of `places` made, the first `depth` of them, and no others."""
        wanted = list(itertools.islice(places, self._depth))
        with self._lock:
            for place in [place for place in self._waiting if place not in wanted]:
                self._waiting.pop(place).cancel()
            for place in wanted:
                if place not in self._waiting:
                    self._waiting[place] = self._executor().submit(make, *place)

    def forget(self) -> None:
        """Drop what was made ahead: it would be made otherwise by now."""
        with self._lock:
            for future in self._waiting.values():
                future.cancel()
            self._waiting.clear()

    def close(self) -> None:
        """Stop: what was not begun is not made any more."""
        with self._lock:
            for future in self._waiting.values():
                future.cancel()
            if self._pool is not None and self._process == os.getpid():
                self._pool.shutdown(wait=True)
            self._forget()

    def _executor(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="fastconv-prefetch")
        return self._pool

    def _forget(self) -> None:
        self._waiting.clear()
        self._pool = None
        self._process = os.getpid()
