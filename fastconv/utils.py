"""Seeding and automatic names."""

from __future__ import annotations

import contextlib
import inspect
import random as python_random
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import numpy as np

from ._core import random
from ._core.locks import Locked


def set_random_seed(seed: int) -> None:
    """Seed fastconv's, NumPy's and Python's random numbers, as Keras does.

    Call it before a model is built: weights and dropout draw their seeds then.

    >>> set_random_seed(7)
    >>> first = random.next_seed()
    >>> set_random_seed(7)
    >>> random.next_seed() == first
    True

    Raises TypeError or ValueError unless `seed` is an int in [0, 2**32).
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"set_random_seed: seed is {seed!r}; give a whole number")
    if not 0 <= seed < 2**32:
        raise ValueError(f"set_random_seed: seed is {seed}; it must be in [0, 2**32)")
    random.seed(int(seed))
    np.random.seed(int(seed))
    python_random.seed(int(seed))


class _Names(Locked):
    """Counts the automatic names given out, by prefix."""

    def __init__(self) -> None:
        super().__init__()
        self._count: Counter[str] = Counter()

    def next(self, prefix: str) -> str:
        with self.lock:
            number = self._count[prefix]
            self._count[prefix] += 1
        return f"{prefix}_{number}" if number else prefix

    def clear(self) -> None:
        with self.lock:
            self._count.clear()


_names = _Names()


def automatic_name(class_name: str) -> str:
    """Return the next free name for a class: Conv2D gives "conv2d", then "conv2d_1"."""
    return _names.next(snake_case(class_name))


def clear_session() -> None:
    """Start automatic names from the beginning again."""
    _names.clear()


_custom: ContextVar[Mapping[str, Any] | None] = ContextVar("custom_objects", default=None)

# A class of a user's that has a built-in one's name is saved with this before it.
_OWN = "Custom>"


@contextlib.contextmanager
def custom_object_scope(objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Let classes of your own be found by name within the block, as `custom_objects` does.

    Layers, initializers, optimizers, schedules, losses and metrics are looked
    up here before the built-in ones.
    """
    token = _custom.set({**(_custom.get() or {}), **(objects or {})})
    try:
        yield
    finally:
        _custom.reset(token)


def custom_object(name: str) -> Any:
    """Return what stands for a class's name in the `custom_object_scope`s around, or None."""
    return (_custom.get() or {}).get(name.removeprefix(_OWN))


def class_name(instance: Any, known: Mapping[str, type]) -> str:
    """Return the name to save an object's class under; `known` are the built-in ones by name."""
    name = type(instance).__name__
    return name if known.get(name) in (None, type(instance)) else f"{_OWN}{name}"


def snake_case(class_name: str) -> str:
    """Return Keras's spelling of a class name: MaxPooling2D gives "max_pooling2d"."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().lstrip("_")


def of_model(method: Callable) -> Callable:
    """Let Python's own errors about arguments name `Model.fit()`, not a base class of it."""
    method.__qualname__ = f"Model.{method.__name__}"
    return method


_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80


def describe(thing: Any, **values: Any) -> str:
    """Return `Class(argument=value)` of what differs from the defaults: a `repr` that says what.

    Read from the attributes that are named as the constructor's arguments, unless `values`
    has them; what `values` has beyond those follows where it is not None.

    >>> from fastconv.callbacks import EarlyStopping
    >>> EarlyStopping(patience=2)
    EarlyStopping(patience=2)
    """
    own_name = snake_case(type(thing).__name__)
    parts = []
    for name, parameter in inspect.signature(type(thing).__init__).parameters.items():
        if name == "self":
            continue
        value = values.pop(name) if name in values else getattr(thing, name, parameter.default)
        shown = _short.repr(value)
        usual = shown == _short.repr(parameter.default) or (name == "name" and value == own_name)
        if not (usual or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)):
            parts.append(f"{name}={shown}")
    more = ((name, value) for name, value in values.items() if value is not None)
    parts += [f"{name}={_short.repr(value)}" for name, value in more]
    return f"{type(thing).__name__}({', '.join(parts)})"
