"""Names: Keras's spelling of classes, automatic names, and how objects show themselves."""

from __future__ import annotations

import inspect
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .locks import Locked
from .session import forgotten_by

Method = TypeVar("Method", bound=Callable[..., Any])


def snake_case(class_name: str) -> str:
    """Return Keras's spelling of a class name: MaxPooling2D gives "max_pooling2d"."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().lstrip("_")


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


automatic_names = _Names()
forgotten_by(automatic_names.clear)


def automatic_name(class_name: str) -> str:
    """Return the next free name for a class: Conv2D gives "conv2d", then "conv2d_1"."""
    return automatic_names.next(snake_case(class_name))


def of_model(method: Method) -> Method:
    """Let Python's own errors about arguments name `Model.fit()`, not a base class of it."""
    method.__qualname__ = f"Model.{method.__name__}"
    return method


def one_path(path: Any, filepath: Any, owner: str) -> Any:
    """Return the path that was given as `path`, or as `filepath`, as Keras calls it."""
    if (path is None) == (filepath is None):
        given = "neither" if path is None else "both"
        raise TypeError(f"{owner}: {given} of path and filepath is given; give one of them")
    return filepath if path is None else path


short = reprlib.Repr()
"""`short.repr(value)` is a `repr` that fits an error's text, whatever a file may hold."""
short.maxstring = short.maxother = 80


def shortened(texts: Sequence[str], most: int = 20, separator: str = "; ") -> str:
    """Return the first of the texts, and how many more there are."""
    more = f"; and {len(texts) - most} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more


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
        value = values.pop(name) if name in values else getattr(thing, name, parameter.default)
        shown = short.repr(value)
        usual = shown == short.repr(parameter.default) or (name == "name" and value == own_name)
        if not (usual or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)):
            parts.append(f"{name}={shown}")
    more = ((name, value) for name, value in values.items() if value is not None)
    parts += [f"{name}={short.repr(value)}" for name, value in more]
    return f"{type(thing).__name__}({', '.join(parts)})"
