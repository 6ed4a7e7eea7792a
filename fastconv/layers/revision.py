"""Tells models that what they are arranged by may have changed, such as what is trained."""

from __future__ import annotations

_current = object()


def current() -> object:
    """Return an object that is another one after each `changed()`."""
    return _current


def changed() -> None:
    """Note that a `trainable`, an activation or the like was assigned, somewhere."""
    global _current
    _current = object()
