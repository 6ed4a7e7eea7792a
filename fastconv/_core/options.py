"""Public attributes that are checked when they are assigned, so that what is accepted takes effect.

class Dropout(Layer):
    rate = Option(number)

    def __init__(self, rate):
        self.rate = rate  # checked here, and whenever a user assigns it
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

Check = Callable[[Any, str, str], Any]
"""Takes a value, the attribute's name and its owner's; returns what is kept, or raises."""


def anything(value: Any, argument: str, owner: str) -> Any:
    """Return `value`: what it may be shows where it is used."""
    return value


class Option:
    """An attribute whose new values go through `check(value, name, owner)`.

    It stands in the object's dict and is read from there without a detour: what has no
    `__get__` is passed over.
    """

    def __init__(self, check: Check) -> None:
        self.check = check
        self.name = ""

    def __set_name__(self, cls: type, name: str) -> None:
        self.name = name

    if TYPE_CHECKING:  # what is read is the value, whose type the check knows

        def __get__(self, instance: Any, cls: type | None = None) -> Any: ...

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.name] = self.check(value, self.name, owner_of(instance))


class Once(Option):
    """An attribute that the constructor sets, and nobody after it."""

    def __init__(self, check: Check = anything) -> None:
        super().__init__(check)

    def __set__(self, instance: Any, value: Any) -> None:
        if self.name in instance.__dict__:
            kind = type(instance).__name__
            raise AttributeError(
                f"{owner_of(instance)}: {self.name} cannot be set once there is the object; make a "
                f"new one: {kind}({self.name}=...)"
            )
        super().__set__(instance, value)


class Strict:
    """Base of classes whose public attributes are known: another one is a mistake.

    Classes outside of fastconv that derive from one may have what they like.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        cls = type(self)
        if name[0] != "_" and not hasattr(cls, name) and cls.__module__.startswith("fastconv."):
            known = [other for other in dir(cls) if not other.startswith("_")]
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "derive a class to add your own"
            raise AttributeError(
                f"{owner_of(self)}: there is no attribute {name!r} that could be set; {hint}"
            )
        object.__setattr__(self, name, value)


def owner_of(instance: Any) -> str:
    """Return how errors name an object: its `label` where it has one, else its class."""
    return getattr(instance, "label", None) or type(instance).__name__


def truth(value: Any, argument: str, owner: str) -> bool:
    """Return `value`, True or False (or 0, 1 or NumPy's), as a bool."""
    if isinstance(value, (bool, int, np.bool_)) and value in (False, True):
        return bool(value)
    raise TypeError(f"{owner}: {argument} is {value!r}; it must be True or False")
