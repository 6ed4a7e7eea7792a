"""Weights in Keras's HDF5 files: where each of a model's weights stands in them.

Keras 3 (`.weights.h5`, and within `.keras`) goes through the layers' objects: the group
`layers/conv2d_1/vars` has the weights of the second Conv2D as `0`, `1`, ... . Keras 2, and
`.h5` to this day, has a group for each layer's name, whose attribute `weight_names` tells the
order: what is trained first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._core.naming import snake_case
from ..layers.parameter import Parameter
from .hdf5_file import Entry, Folder, in_order

#: Of a weight, and where it stands.
Pairs = list[tuple[Parameter, Entry]]
#: The groups that hold a model's layers: Keras 3's, and that of Keras 2.12 to 2.15.
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")


def matched(model: Any, root: Folder) -> Pairs:
    """Return all weights of a model and where they stand in a file, of any layout.

    Raises ValueError, naming the layer, where the file has other weights than the model.
    """
    if root.find("model_weights") is not None:
        root = root.folder("model_weights")
    if root.has("layer_names") or root.has("layer_names0"):
        pairs = list(_of_keras_2(model, root))
    else:
        pairs = list(_of_keras_3(model, root, set()))
    for parameter, entry in pairs:
        if entry.shape != tuple(parameter.shape):
            raise ValueError(
                f"it has {entry.path} of shape {entry.shape} where {parameter.name} of shape "
                f"{tuple(parameter.shape)} is needed"
            )
    return pairs


def _kind(layer: Any) -> str:
    """Return the name by which Keras 3 counts layers of a class."""
    name = type(layer).__name__
    return "functional" if name == "Model" else snake_case(name)


def is_model(layer: Any) -> bool:
    """Whether a layer is a model within."""
    return hasattr(layer, "_graph")


def _of_keras_3(model: Any, folder: Folder, seen: set[int]) -> Iterator[tuple[Parameter, Entry]]:
    layers = _with_own_weights(model, set(seen))
    if not layers:
        return
    container = next((c for name in _CONTAINERS if (c := folder.find(name)) is not None), None)
    if not isinstance(container, Folder):
        raise ValueError(f"{folder.path or '/'} has no group 'layers'")
    names = container.names()
    places: dict[str, Iterator[str]] = {}
    for kind, count in Counter(_kind(layer) for layer in layers).items():
        found = [name for name in in_order(names, kind) if _has_weights(container.folder(name))]
        if len(found) != count:
            raise ValueError(
                f"{container.path} has {len(found)} layers of the kind {kind!r} with weights, the "
                f"model has {count}"
            )
        places[kind] = iter(found)
    for layer in layers:
        name = next(places[_kind(layer)])
        if is_model(layer):
            yield from _of_keras_3(layer, container.folder(name), seen)
            continue
        seen.add(id(layer))
        own = container.folder(f"{name}/vars")
        entries = sorted(own.names(), key=_number)
        if len(layer.weights) != len(entries):
            raise ValueError(
                f"{own.path} has {len(entries)} weights, {layer.owner} has {len(layer.weights)}"
            )
        for parameter, entry in zip(layer.weights, entries, strict=True):
            yield parameter, own.entry(entry)


def _with_own_weights(model: Any, seen: set[int]) -> list[Any]:
    """Return the layers whose weights do not stand elsewhere, since models share a layer."""
    found = []
    for layer in model.layers:
        own = [leaf for leaf in _leaves(layer) if leaf.weights and id(leaf) not in seen]
        seen.update(id(leaf) for leaf in own)
        if own:
            found.append(layer)
    return found


def _leaves(layer: Any) -> Iterator[Any]:
    """Yield a layer, or all within a model."""
    if not is_model(layer):
        yield layer
        return
    for inner in layer.layers:
        yield from _leaves(inner)


def _has_weights(folder: Folder, depth: int = 0) -> bool:
    own = folder.find("vars")
    if isinstance(own, Folder) and own.names():
        return True
    if depth > 50:
        raise ValueError(f"{folder.path} lies too deep")
    within = (folder.find(name) for name in _CONTAINERS)
    return any(
        _has_weights(inner, depth + 1)
        for container in within
        if isinstance(container, Folder)
        for name in container.names()
        if isinstance(inner := container.find(name), Folder)
    )


def _number(name: str) -> int:
    if not name.isdecimal() or len(name) > 9:
        raise ValueError(f"a weight is called {name!r}; it must be a number")
    return int(name)


def _of_keras_2(model: Any, folder: Folder) -> Iterator[tuple[Parameter, Entry]]:
    names = {name: folder.folder(name).texts("weight_names") for name in _layer_names(folder)}
    names = {name: weights for name, weights in names.items() if weights}
    layers = [layer for layer in model.layers if layer.weights]
    if len(names) != len(layers):
        raise ValueError(f"it has {len(names)} layers with weights, the model has {len(layers)}")
    by_name = {layer.name: layer for layer in layers}
    by_order = by_name.keys() != names.keys()
    for place, (name, weights) in enumerate(names.items()):
        layer = layers[place] if by_order else by_name[name]
        own = folder.folder(name)
        entries = [own.entry(weight) for weight in weights]
        yield from zip(_legacy_order(layer, weights, entries), entries, strict=True)


def _layer_names(folder: Folder) -> list[str]:
    names = folder.texts("layer_names")
    if len(set(names)) != len(names):
        raise ValueError("two layers have one name")
    return names


def _legacy_order(layer: Any, names: list[str], entries: list[Entry]) -> list[Parameter]:
    """Return a layer's weights in the order in which Keras 2 has written them."""
    own = list(layer.weights)
    kept = [one for one in own if one.name in _NEVER_TRAINED]
    orders = (
        [*layer.trainable_weights, *layer.non_trainable_weights],
        [*(one for one in own if one.name not in _NEVER_TRAINED), *kept],
        own,
    )
    for order in orders:
        if len(order) == len(entries) and all(
            tuple(one.shape) == entry.shape and _alike(one.name, name)
            for one, name, entry in zip(order, names, entries, strict=True)
        ):
            return order
    told = ", ".join(f"{n} {e.shape}" for n, e in zip(names[:9], entries, strict=False))
    mine = ", ".join(f"{one.name} {tuple(one.shape)}" for one in own[:9])
    raise ValueError(f"it has {told} for {layer.owner}, whose weights are {mine}")


_NEVER_TRAINED = ("moving_mean", "moving_variance", "mean", "variance", "count")


def _alike(name: str, written: str) -> bool:
    """Whether a weight may be the one that a file calls `conv2d_1/kernel:0`."""
    end = written.rpartition("/")[2].partition(":")[0]
    return end == name or (end.endswith("kernel") and name.endswith("kernel"))


# Writing


def write_keras_3(model: Any, group: Any, seen: set[int] | None = None) -> None:
    """Write a model's weights as Keras 3 does into an h5py group."""
    seen = set() if seen is None else seen
    counts: Counter[str] = Counter()
    container = group.require_group("layers")
    group.require_group("vars")
    for layer in model.layers:
        kind = _kind(layer)
        name = f"{kind}_{counts[kind]}" if counts[kind] else kind
        counts[kind] += 1
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        inner = container.create_group(name)
        inner.create_group("vars").attrs["name"] = str(layer.name)
        if is_model(layer):
            write_keras_3(layer, inner, seen)
            continue
        for place, parameter in enumerate(layer.weights):
            inner["vars"].create_dataset(str(place), data=np.asarray(parameter.value))


def write_legacy(model: Any, group: Any, version: str) -> None:
    """Write a model's weights as `.h5` files have them into an h5py group."""
    _write_texts(group, "layer_names", [str(layer.name) for layer in model.layers])
    group.attrs["backend"], group.attrs["keras_version"] = "tensorflow", version
    for layer in sorted(model.layers, key=lambda one: str(one.name)):
        inner = group.create_group(str(layer.name))
        order = [*layer.trainable_weights, *layer.non_trainable_weights]
        paths = {id(one): f"{layer.name}/{path}" for path, one in layer._weight_paths()}
        _write_texts(inner, "weight_names", [paths[id(one)] for one in order])
        for one in order:
            inner.create_dataset(paths[id(one)], data=np.asarray(one.value))
    _write_texts(group.create_group("top_level_model_weights"), "weight_names", [])


_LARGEST_ATTRIBUTE = 60_000


def _write_texts(group: Any, name: str, texts: list[str]) -> None:
    """Write texts as an attribute, in parts where HDF5 takes no longer one."""
    array = np.array([text.encode() for text in texts])
    if array.nbytes <= _LARGEST_ATTRIBUTE:
        group.attrs[name] = array
        return
    each = max(1, _LARGEST_ATTRIBUTE // array.itemsize)
    for place, start in enumerate(range(0, len(array), each)):
        group.attrs[f"{name}{place}"] = array[start : start + each]
