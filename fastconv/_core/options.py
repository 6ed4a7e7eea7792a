"""Public attributes that are checked when they are assigned, so that what is accepted takes effect.

class Dropout(Layer):
    rate = Option(fraction)

    def __init__(self, rate):
        self.rate = rate  # checked here, and whenever a user assigns it
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from .validation import Check, anything

T = TypeVar("T")


class Option(Generic[T]):
    """An attribute whose new values go through `check(value, name, owner)`.

    It stands in the object's dict and is read from there without a detour: what has no
    `__get__` is passed over.
    """

    def __init__(self, check: Check[T]) -> None:
        self.check = check
        self.name = ""

    def __set_name__(self, cls: type, name: str) -> None:
        self.name = name

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, cls: type) -> Option[T]: ...

        @overload
        def __get__(self, instance: object, cls: type) -> T: ...

        def __get__(self, instance: object, cls: type) -> Option[T] | T: ...

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.name] = self.check(value, self.name, owner_of(instance))


class Once(Option[T]):
    """An attribute that the constructor sets, and nobody after it."""

    def __init__(self, check: Check[T] = anything) -> None:
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
            import difflib  # for mistakes alone

            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "derive a class to add your own"
            raise AttributeError(
                f"{owner_of(self)}: there is no attribute {name!r} that could be set; {hint}"
            )
        object.__setattr__(self, name, value)


def owner_of(instance: Any) -> str:
    """Return how errors name an object: its `owner` where it has one, else its class."""
    return getattr(instance, "owner", None) or type(instance).__name__
