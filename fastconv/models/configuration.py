"""What a model's configuration holds, and whether its class can be made again from it."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from .. import layers as layer_classes
from .._core.json_values import free_name
from ..layers.arguments import lost_arguments
from ..layers.base import Layer


def serialized_layers(model: Any, layers: Iterable[Layer]) -> list[dict[str, Any]]:
    """Return the layers' configurations under names that differ.

    Layers that were given one name since they were added are told apart, with a warning.
    """
    names: dict[str, None] = {}
    entries = []
    for layer in layers:
        saved = _serialized(layer)
        name = free_name(str(layer.name).replace("/", "_") or "layer", names)
        names[name] = None
        if name != layer.name:
            saved["config"]["name"] = name
            warnings.warn(
                f"{model.owner}: {layer.owner} is saved as {name!r}, since names must differ "
                "and have no '/'; set layer.name",
                stacklevel=3,
            )
        entries.append(saved)
    return entries


def structure(model: Any) -> dict[str, Any]:
    """Return how a graph's inputs and outputs are given and returned, where not one by one."""
    told = {
        "input_names": model._input_names,
        "output_names": model._output_names,
    }
    return {key: value for key, value in told.items() if value is not None}


def tensor_list(tensors: Any) -> list[Any]:
    """Return what a model's constructor was given as a list."""
    if isinstance(tensors, Mapping):
        return list(tensors.values())
    return list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]


def numbered(names: Iterable[str]) -> list[str]:
    """Return names of which those that were there before get a number."""
    counts: dict[str, int] = {}
    found = []
    for name in names:
        count = counts.get(name, 0)
        counts[name] = count + 1
        found.append(f"{name}_{count}" if count else name)
    return found


def structured(tensors: list[Any], names: Any) -> Any:
    """Return tensors as `Model` takes them: by names, as a list, or one alone."""
    if names is not None:
        return dict(zip(names, tensors, strict=True))
    return tensors if len(tensors) > 1 else tensors[0]


def _serialized(layer: Layer) -> dict[str, Any]:
    """Return a layer's configuration, with a number where models within have it as well."""
    known = _shared.get()
    if known is None or id(layer) not in known:
        saved = layer_classes.serialize(layer)
        if known is not None:
            known[id(layer)] = saved
        return saved
    first = known[id(layer)]
    numbers = [one["shared"] for one in known.values() if "shared" in one]
    first.setdefault("shared", len(set(numbers)))
    return {**first, "config": dict(first["config"])}


#: Within the outermost model: what layers were saved as, or made of a number.
_shared: ContextVar[dict[int, Any] | None] = ContextVar("shared", default=None)


@contextlib.contextmanager
def sharing() -> Iterator[None]:
    """Within the outermost such block, a layer of several models is one layer, saved or made."""
    token = _shared.set({}) if _shared.get() is None else None
    try:
        yield
    finally:
        if token is not None:
            _shared.reset(token)


def deserialized_layers(entries: Iterable[dict[str, Any]]) -> list[Layer]:
    """Return the layers that `serialized_layers` told of."""
    known = _shared.get()
    made = []
    for entry in entries:
        number = entry.get("shared") if isinstance(entry, dict) else None
        layer = None if known is None or number is None else known.get(number)
        if layer is None:
            layer = layer_classes.deserialize(entry)
            if known is not None and number is not None:
                known[number] = layer
        made.append(layer)
    return made


def check_rebuilding(model: Any, base: type, arguments: str) -> None:
    """Raise if `base.from_config` could not make the model's class from its configuration.

    `arguments` says what the constructor must take, besides a name.
    """
    kind = type(model)
    lost = [name for name in lost_arguments(kind) if name not in ("inputs", "outputs", "layers")]
    if lost:
        raise NotImplementedError(
            f"{model.owner}: the constructor takes {', '.join(lost)}, so the class must define "
            "get_config() and from_config() to be saved"
        )
    if inspect.getattr_static(kind, "from_config") is not vars(base)["from_config"]:
        return
    given = [one for one in arguments.split(", ") if one]
    if not given and takes(kind):
        return  # a name can be given later
    if not takes(kind, *([None] * len(given)), name=model.name):
        wanted = ", ".join([*given, "name=..."])
        raise NotImplementedError(
            f"{model.owner}: the constructor does not take ({wanted}), so the class "
            "must define from_config(config, custom_objects=None) to be saved"
        )


def remade(kind: type, options: dict[str, Any]) -> Any:
    """Return a model whose class makes its layers itself, and may take no name."""
    if takes(kind, **options):
        return kind(**options)
    made = kind()
    for option, value in options.items():
        setattr(made, option, value)
    return made


def takes(kind: type, *values: Any, **named: Any) -> bool:
    """Whether a class's constructor takes such arguments."""
    try:
        inspect.signature(kind).bind(*values, **named)
    except TypeError:
        return False
    return True
