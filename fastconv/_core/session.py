"""What is kept between calls for the whole process, and how it is let go of."""

from __future__ import annotations

from collections.abc import Callable

_forgetters: list[Callable[[], None]] = []


def forgotten_by(forget: Callable[[], None]) -> None:
    """Let `clear_session` call `forget`, too."""
    _forgetters.append(forget)


def clear_session() -> None:
    """Start automatic names from the beginning again, and let go of what operations keep.

    That is what `fastconv.ops` keeps between calls to be fast: plans with their scratch memory,
    and the memory of results that are gone.  Results that are in use stay as they are.
    """
    for forget in _forgetters:
        forget()
