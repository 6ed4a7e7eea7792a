"""Configurations and states as JSON: one conversion for all of them, and it loses nothing.

JSON knows no arrays, no NaN and no keys but texts. In a checkpoint's texts an
object of one of these keys alone stands for what it does not know:

    {"array": name}             an array, kept beside the text under that name
    {"number": "NaN"}           a float that is not finite
    {"items": [[key, value]]}   a mapping with other keys than texts
    {"object": {...}}           a mapping that would itself look like one of these
"""

from __future__ import annotations

import functools
import json
import math
import os
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TypeVar, cast

import numpy as np

ARRAY_KINDS = "biufcSU"
"""The `dtype.kind` of numbers and texts, which files hold as they are."""

TAGS = ("array", "number", "items", "object")
_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_LONGEST_NAME = 100


Method = TypeVar("Method", bound=Callable[..., Any])
ConfiguredType = TypeVar("ConfiguredType", bound="Configured")


class Configured:
    """A class with a `get_config`, a subclass's own too, that returns JSON values.

    NumPy's numbers become Python's, arrays and tuples lists, paths texts.
    """

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; they fit JSON."""
        return {}

    @classmethod
    def from_config(cls: type[ConfiguredType], config: dict[str, Any]) -> ConfiguredType:
        """Make an object from what `get_config` returned."""
        return cls(**config)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "get_config" in cls.__dict__:
            cls.get_config = _converted(cls.get_config)  # type: ignore[method-assign]


def _converted(get_config: Method) -> Method:
    @functools.wraps(get_config)
    def wrapper(self: Any) -> Any:
        return plain(get_config(self), f"{type(self).__name__}: get_config()")

    return cast(Method, wrapper)


def plain(value: Any, where: str, *, arrays: bool = False) -> Any:
    """Return `value` in Python's own types, as JSON has them; with `arrays`, those stay.

    Raises TypeError, naming the place within `where`, for anything else.
    """
    if isinstance(value, np.ndarray):
        kept = arrays and value.dtype.kind in ARRAY_KINDS
        return value if kept else plain(value.tolist(), where, arrays=arrays)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, os.PathLike):
        value = os.fsdecode(value)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {
            _plain_key(key, where): plain(item, f"{where}[{key!r}]", arrays=arrays)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{where}[{i}]", arrays=arrays) for i, item in enumerate(value)]
    raise TypeError(
        f"{where} is {value!r}, of {type(value).__name__}; it must be a number, a text, None, "
        "or a list or a dict of such" + (", or an array" if arrays else "")
    )


def _plain_key(key: Any, where: str) -> Any:
    key = key.item() if isinstance(key, np.generic) else key
    if key is None or isinstance(key, (str, bool, int, float)):
        return key
    raise TypeError(f"{where} has the key {key!r}; keys must be texts or numbers")


def dumps(value: Any, where: str, name: str, arrays: MutableMapping[str, Any] | None = None) -> str:
    """Return `value` as JSON that every reader takes; its arrays are added to `arrays`.

    They get names that begin with `name`; without `arrays` they become lists.
    Raises TypeError, naming the place within `where`, for what is no JSON.
    """
    value = plain(value, where, arrays=arrays is not None)
    return json.dumps(_encode(value, name, arrays), allow_nan=False)


def _encode(value: Any, name: str, arrays: MutableMapping[str, Any] | None) -> Any:
    if isinstance(value, np.ndarray):
        assert arrays is not None  # without them `plain` has made lists
        name = free_name(name, arrays)
        arrays[name] = value
        return {"array": name}
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": next(text for text, number in _NUMBERS.items() if same(number, value))}
    if isinstance(value, list):
        return [_encode(item, f"{name}/{i}", arrays) for i, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    encoded = {key: _encode(item, f"{name}/{part(key)}", arrays) for key, item in value.items()}
    if not all(isinstance(key, str) for key in encoded):
        return {"items": [[_encode(key, name, arrays), item] for key, item in encoded.items()]}
    return {"object": encoded} if _is_tag(encoded) else encoded


def loads(text: str, arrays: Mapping[str, np.ndarray], tags: tuple[str, ...] = TAGS) -> Any:
    """Return what `dumps` was given, from its text and the arrays beside it.

    `tags` are the ones that the writer knew. Raises ValueError or KeyError for
    a text that is none of its.
    """
    return _decode(json.loads(text), arrays, tags)


def _decode(value: Any, arrays: Mapping[str, np.ndarray], tags: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_decode(item, arrays, tags) for item in value]
    if not isinstance(value, dict):
        return value
    if not _is_tag(value, tags):
        return {key: _decode(item, arrays, tags) for key, item in value.items()}
    [(tag, content)] = value.items()
    if tag == "array":
        return arrays[content]
    if tag == "number":
        return _NUMBERS[content]
    if tag == "items":
        return {_decode(key, arrays, tags): _decode(item, arrays, tags) for key, item in content}
    return {key: _decode(item, arrays, tags) for key, item in content.items()}


def _is_tag(value: dict[Any, Any], tags: tuple[str, ...] = TAGS) -> bool:
    return len(value) == 1 and next(iter(value)) in tags


def same(first: float, second: float) -> bool:
    """Whether two floats are one number; NaN is NaN."""
    return first == second or (first != first and second != second)


def part(key: Any) -> str:
    """Return `key` as a part of an array's name: short, printable and without "/"."""
    text = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in str(key))
    return text[:_LONGEST_NAME] or "_"


def free_name(name: str, taken: Mapping[str, Any]) -> str:
    """Return `name`, or `name` and the first number that makes it one that is not `taken`."""
    if name not in taken:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
