"""The named things of one kind, such as losses: found by name and saved by name."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

from .json_values import Configured
from .naming import short

T = TypeVar("T", bound=Configured)
Registered = TypeVar("Registered", bound=Callable[..., Any])

_custom: ContextVar[Mapping[str, Any] | None] = ContextVar("custom_objects", default=None)

# What is registered for good, by the names that files have for it.
_registered: dict[str, Any] = {}

# A class of a user's that has a built-in one's name is saved with this before it.
_OWN = "Custom>"
_LONGEST_LIST = 240


@contextlib.contextmanager
def custom_object_scope(objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Let classes of your own be found by name within the block, as `custom_objects` does.

    Layers, activations, initializers, regularizers, constraints, optimizers, schedules,
    losses and metrics are looked up here before the built-in ones.
    """
    token = _custom.set({**(_custom.get() or {}), **(objects or {})})
    try:
        yield
    finally:
        _custom.reset(token)


def custom_object(name: str) -> Any:
    """Return what stands for a class's name in the `custom_object_scope`s around, or None.

    Behind them comes what was registered for good.
    """
    return (_custom.get() or {}).get(name.removeprefix(_OWN), _registered.get(name))


def get_custom_objects() -> dict[str, Any]:
    """Return the classes and functions that are found by name everywhere; it may be changed."""
    return _registered


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Registered], Registered]:
    """Return a decorator that lets a class or function be found in files without a scope.

    It is saved, and found, as "package>name", where `name` is its own unless given: a class
    may be renamed later. Nothing of its code is saved: whoever loads the file imports it.
    Raises ValueError, when it decorates, if the name stands for something else already.
    """

    def register(registered: Registered) -> Registered:
        if not callable(registered):
            raise TypeError(
                f"register_keras_serializable: {short.repr(registered)} is decorated; it must be "
                "a class or a function"
            )
        full = f"{package}>{name or registered.__name__}"
        before = _registered.get(full)
        if before is not None and _home(before) != _home(registered):
            raise ValueError(
                f"register_keras_serializable: {full!r} stands for {short.repr(before)} already; "
                "give another package or name"
            )
        _registered[full] = registered  # a cell of a notebook may run again
        return registered

    return register


def get_registered_name(thing: Any) -> str:
    """Return the name under which a class or function was registered, else its own."""
    found = (name for name, known in _registered.items() if known is thing)
    return next(found, thing.__name__)


def get_registered_object(name: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return what stands for a name, in `custom_objects`, scopes or for good; None for nothing."""
    with custom_object_scope(custom_objects):
        return custom_object(name)


def _home(thing: Any) -> tuple[str, str]:
    return thing.__module__, thing.__qualname__


def custom_function(identifier: Any, base: type) -> Any:
    """Return the function that `identifier` is, or names in a `custom_object_scope`; else None.

    Whatever can be called is one, but for objects and classes of `base`.
    """
    found = identifier
    if isinstance(identifier, dict):
        found = identifier.get("class_name")
    if isinstance(found, str):
        found = custom_object(found)
    return found if callable(found) and not isinstance(found, (type, base)) else None


def class_name(instance: Any, built_in: type | None) -> str:
    """Return the name to save an object's class under; `built_in` is the one found by that name."""
    registered = get_registered_name(type(instance))
    if registered != type(instance).__name__:
        return registered
    return registered if built_in in (None, type(instance)) else f"{_OWN}{registered}"


def unknown(kind: str, name: str, known: Iterable[str], owner: str, remedy: str = "") -> ValueError:
    """Return the error of a name that stands for nothing, with the one that may be meant."""
    import difflib  # for mistakes alone

    spellings = {_fold(one): one for one in known}
    close = difflib.get_close_matches(_fold(name), spellings, n=1, cutoff=0.75)
    if close:
        remedy = f"did you mean {spellings[close[0]]!r}?"
    text = f"{owner}: unknown {kind} {short.repr(name)}; known are {_listed(spellings.values())}"
    return ValueError(f"{text}; {remedy}" if remedy else text)


class Registry(Generic[T]):
    """The things of one kind by name: classes, or objects that all users of a name share.

    Neither case nor underscores tell names apart, as Keras has them in both spellings:
    "MeanSquaredError" is "mean_squared_error", "Adam" is "adam".  With `exact` they do.
    """

    def __init__(
        self,
        base: type[T],
        known: Mapping[str, type[T] | T],
        *,
        words: tuple[str, str, str],
        aliases: Mapping[str, str] | None = None,
        exact: bool = False,
    ) -> None:
        """`words`, for errors, are such as "losses", "loss" and "a Loss"."""
        self.known: dict[str, type[T] | T] = dict(known)
        self._base = base
        self._owner, self._kind, self._objects = words
        self._spell = str if exact else _fold
        self._found = {self._spell(name): thing for name, thing in known.items()}
        for alias, name in (aliases or {}).items():
            self._found[self._spell(alias)] = known[name]

    def add(self, *classes: type[T]) -> None:
        """Let classes be found by their names, which modules above the registry's have."""
        for cls in classes:
            self.known[cls.__name__] = self._found[self._spell(cls.__name__)] = cls

    def lookup(self, name: str) -> Any:
        """Return what a name stands for, in `custom_object_scope`s first, or None."""
        found = custom_object(name)
        return self._found.get(self._spell(name)) if found is None else found

    def find(self, name: str, owner: str | None = None) -> type[T] | T:
        """Return what a name stands for, in `custom_object_scope`s first.

        Raises ValueError for an unknown name, TypeError for a user's object of another kind.
        """
        found: type[T] | T | None = self.lookup(name)
        if found is None:
            remedy = (
                f"a class of your own is given as custom_objects={{{short.repr(name)}: TheClass}}"
            )
            raise unknown(self._kind, name, self.known, owner or self._owner, remedy)
        if not issubclass(_class_of(found), self._base):
            raise TypeError(
                f"{owner or self._owner}: {name!r} stands for {short.repr(found)}, which is no "
                f"{self._base.__name__} class"
            )
        return found

    def find_class(self, name: str) -> type[T]:
        """Return the class that a name stands for, as `find` does."""
        return _class_of(self.find(name))

    def get(self, identifier: Any, owner: str | None = None) -> T:
        """Return the object of a name, a class or a configuration, or `identifier` if it is one.

        A configuration is what `serialize` returns.  Raises ValueError for an unknown name and
        TypeError for anything else, naming `owner`.
        """
        if isinstance(identifier, self._base):
            return identifier
        if isinstance(identifier, type) and issubclass(identifier, self._base):
            return identifier()
        name, config = identifier, None
        if isinstance(identifier, dict):
            name, config = identifier.get("class_name"), identifier.get("config")
        if not isinstance(name, str):
            raise TypeError(
                f"{owner or self._owner}: {short.repr(identifier)} is no {self._kind}; give a name "
                f"({_listed(self.known)}) or {self._objects}"
            )
        found = self.find(name, owner)
        if isinstance(found, self._base) and not config:
            return found
        return _class_of(found).from_config(config or {})

    def serialize(self, instance: T) -> dict[str, Any]:
        """Return {"class_name", "config"}, from which `get` makes the same again; it fits JSON."""
        found = self._found.get(self._spell(type(instance).__name__))
        built_in = None if found is None else _class_of(found)
        return {"class_name": class_name(instance, built_in), "config": instance.get_config()}


def _listed(names: Iterable[str]) -> str:
    """Return names one after another: as many as a message holds, and how many there are more."""
    names = list(names)
    ends = itertools.accumulate(len(name) + 2 for name in names)
    shown = max(1, sum(end <= _LONGEST_LIST for end in ends))
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more else "")


def _fold(name: str) -> str:
    return name.replace("_", "").lower()


def _class_of(thing: type[T] | T) -> type[T]:
    return thing if isinstance(thing, type) else type(thing)
