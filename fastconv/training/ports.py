"""The names of a model's inputs and outputs, and data that are given by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class Ports(NamedTuple):
    """The names of a model's inputs and outputs where it has several, None where it has one.

    `names` are all of them, the inputs' first, by which a dict may give the only one, too.
    """

    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()


ONE = Ports()


def by_port(
    value: Any, names: tuple[str, ...], what: str, owner: str, optional: bool = False
) -> list[tuple[str, Any]]:
    """Return (what it is called in errors, value) of each input or output, in their order.

    `value` is a list or tuple in that order, or a dict by names, which with `optional` may lack
    some: these are None.
    """
    listed = ", ".join(map(repr, names))
    if isinstance(value, Mapping):
        unknown = [name for name in value if name not in names]
        missing = [name for name in names if name not in value]
        if unknown or (missing and not optional):
            raise ValueError(
                f"{owner}: {what} has {', '.join(map(repr, value))}; it must have {listed}"
            )
        return [(f"{what}[{name!r}]", value.get(name)) for name in names]
    if not isinstance(value, (list, tuple)) or len(value) != len(names):
        found = f"{len(value)} of them" if isinstance(value, (list, tuple)) else "one array"
        raise ValueError(
            f"{owner}: {what} is {found}; it must be a list of {len(names)}, or a dict: {listed}"
        )
    return [(f"{what}[{n}]", one) for n, one in enumerate(value)]


def only_value(value: Any, what: str, owner: str, ports: Ports) -> Any:
    """Return the only value of a dict that names the model's input, or its output."""
    if type(value) is np.ndarray or not isinstance(value, Mapping) or not ports.names:
        return value
    count = len(ports.inputs or (ports.names[0],))
    names = ports.names[:count] if what == "x" else ports.names[count:]
    return by_port(value, names, what, owner)[0][1]


def parts_by_name(item: Mapping[str, Any], owner: str, ports: Ports) -> tuple[Any, ...]:
    """Return (x,) or (x, y) of a dict with all of the model's inputs, and maybe its outputs."""
    count = len(ports.inputs or ports.names[:1])
    inputs, outputs = ports.names[:count], ports.names[count:]
    if not inputs or set(item) not in (set(inputs), {*inputs, *outputs}):
        names = f" ({', '.join(map(repr, ports.names))})" if ports.names else ""
        raise TypeError(
            f"{owner}: the iterator gave a {type(item).__name__} with {', '.join(map(str, item))}; "
            "it must give (x, y) or (x, y, sample_weight), or have the names of the model's inputs "
            f"and outputs{names}"
        )
    x = {name: item[name] for name in inputs}
    return (x, {name: item[name] for name in outputs}) if len(item) > len(inputs) else (x,)
