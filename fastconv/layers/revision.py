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


_handed_out = 0


def weights() -> int:
    """Return a number that is another one after each `weights_handed_out()`."""
    return _handed_out


def weights_handed_out() -> None:
    """Note that somebody, somewhere, may write to a weight from now on."""
    global _handed_out
    _handed_out += 1
