"""Weights alone in safetensors files, named as in fastconv's own: `<layer>/<variable>`.

The package `safetensors` (an extra, imported when first used) reads and writes them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._core.files import open_regular, replacing
from .._core.naming import short
from ..layers.parameter import Parameter
from .checkpoint import named_weights
from .checkpoint_file import float32
from .model import SavableModel
from .npz import CheckpointError, reading


def check_saving(model: SavableModel, path: str, weights_only: bool) -> None:
    """Raise ImportError without safetensors."""
    _safetensors()


def save_weights(model: SavableModel, path: str) -> None:
    """Write the weights, atomically."""
    package = _safetensors()
    with model.layers_lock:
        arrays = {name: np.ascontiguousarray(a) for name, a in named_weights(model).items()}
        contents = package.save(arrays, {"format": "fastconv", "order": json.dumps([*arrays])})
    with replacing(path) as file:
        file.write(contents)


def load_weights(model: SavableModel, path: str) -> None:
    """Copy the weights of a file into a built model; on any error it is left as it was.

    They are found by name. Where names differ, since automatic ones count on, a file that
    fastconv wrote tells their order: they are matched by it. All are checked first.
    """
    package = _safetensors()
    if not model.built:
        raise ValueError(f"{model.owner}: weights can be loaded once the model is built")
    if not os.path.exists(path):
        raise FileNotFoundError(f"{model.owner}: {path!r} does not exist")
    with open_regular(path) as file:
        # Nothing in the format is compressed: arrays take what the file has.
        contents = file.read()
    with reading(path, "the file is damaged or no safetensors file"):
        arrays = {name: float32(name, a) for name, a in package.load(contents).items()}
    names = list(named_weights(model))
    if names and arrays.keys() != set(names):
        with reading(path, "the file is damaged; its order of arrays cannot be read"):
            arrays = _renamed(arrays, _order(contents), names)
    pairs = dict(zip(names, model.weights, strict=True))
    _check(model, path, pairs, arrays)
    with model.layers_lock:
        for name, parameter in pairs.items():
            parameter.assign(arrays[name])


def _order(contents: bytes) -> list[str]:
    """Return the names of the arrays in the order of the layers, or nothing if none is told."""
    size = int.from_bytes(contents[:8], "little")
    told = json.loads(contents[8 : 8 + size]).get("__metadata__", {}).get("order", "[]")
    order = json.loads(told)
    return [str(name) for name in order]


def _renamed(
    arrays: dict[str, np.ndarray], order: list[str], names: list[str]
) -> dict[str, np.ndarray]:
    """Return arrays by the model's names where the file's, in order, are those but for layers'."""
    ends = [name.rpartition("/")[2] for name in names]
    if sorted(order) != sorted(arrays) or ends != [name.rpartition("/")[2] for name in order]:
        return arrays
    return {name: arrays[old] for name, old in zip(names, order, strict=True)}


def _check(
    model: SavableModel,
    path: str,
    pairs: Mapping[str, Parameter],
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Raise CheckpointError unless the file has every weight of the model, and nothing else."""
    misfit = f"{path}: the file does not fit {model.owner}: "
    missing, extra = sorted(pairs.keys() - arrays.keys()), sorted(arrays.keys() - pairs.keys())
    if missing:
        # Automatic names count on: two equal models have other ones.
        hint = f"; it has {short.repr(extra[0])}, which the model has not" if extra else ""
        raise CheckpointError(
            f"{misfit}it has no {missing[0]!r}{hint}; names are <layer name>/<variable>, give the "
            "layers the names that they had"
        )
    if extra:
        raise CheckpointError(f"{misfit}it has {short.repr(extra[0])}, which the model has not")
    for name, parameter in pairs.items():
        if arrays[name].shape != parameter.shape:
            raise CheckpointError(
                f"{misfit}it has {name} of shape {arrays[name].shape}, which is {parameter.shape} "
                "in the model"
            )


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            f"safetensors cannot be imported ({error}); install it with: "
            "pip install 'fastconv[safetensors]'"
        ) from error
    return safetensors.numpy
