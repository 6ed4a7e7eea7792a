"""Models out of ONNX files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .._core import random
from ..models.model import Model
from ..saving.npz import reading
from . import (
    dense_operators,
    elementwise_operators,
    shape_operators,
    size_operators,
    window_operators,
)
from .building import Builder, Handler
from .exporting import CLASS_NAMES, METADATA, PRODUCER
from .file import OnnxFile, UnsupportedError, opened, parsed, read_bytes
from .package import onnx_package
from .writing import TO_CHANNELS_FIRST

HANDLERS: dict[str, Handler] = {
    **dense_operators.HANDLERS,
    **elementwise_operators.HANDLERS,
    **shape_operators.HANDLERS,
    **size_operators.HANDLERS,
    **window_operators.HANDLERS,
}


class Built(NamedTuple):
    """A model of a graph, and whether the graph's own images have their channels last."""

    model: Model
    channels_last: bool
    inputs: list[str]


def load(path: str | os.PathLike[str]) -> Model:
    """Return the network of an ONNX file as a model of ordinary layers, to predict and to train.

    Images are (batch, height, width, channels), here as everywhere: a graph over (batch, channels,
    height, width), as PyTorch writes it, takes its images with the axes in that order, and gives
    those that it gives. Batches may be of any size. Layers have the names of the graph's nodes.
    The model is not compiled; class names are those in the file's metadata, if any.

    Raises FileNotFoundError; `fastconv.onnx.file.UnsupportedError`, a CheckpointError and a
    NotImplementedError, which names every operator that has no layer; CheckpointError (a
    ValueError) for a file that is damaged or none of ONNX; ImportError without the package onnx.
    """
    path = os.fsdecode(path)
    onnx_package()
    content = read_bytes(path)
    drawn = random.get_state()
    try:
        with reading(path):
            return build(parsed(content)).model
    except UnsupportedError as error:
        raise UnsupportedError(f"{path}: {error}") from error
    finally:
        random.set_state(drawn)


def load_model(path: str, compile: bool) -> Model:
    """Return what `load` does; a file of ONNX tells nothing to compile."""
    return load(path)


def build(proto: Any, bound: Mapping[str, np.ndarray] | None = None) -> Built:
    """Return the model of a proto, its inputs in `bound` as constants; see `load`."""
    file = opened(proto, bound)
    channels_last = _is_channels_last(file)
    model = Builder(file, HANDLERS, channels_last).model()
    _put_facts(model, file)
    return Built(model, channels_last, list(file.inputs))


def _put_facts(model: Model, file: OnnxFile) -> None:
    """Give a model the class names and the metadata that its file has as JSON, if it has them."""
    if CLASS_NAMES in file.facts:
        names = json.loads(file.facts[CLASS_NAMES])
        if not isinstance(names, list):
            raise ValueError(f"its class names are {names!r}")
        model.class_names = [str(name) for name in names]
    if file.producer == PRODUCER and METADATA in file.facts:
        facts = json.loads(file.facts[METADATA])
        if not isinstance(facts, dict):
            raise ValueError("its metadata is no object")
        model.metadata = facts


# Operators behind which axes are in the order they had.
_WITHOUT_ORDER = frozenset(
    {"Add", "Cast", "Clip", "Div", "Dropout", "Identity", "Mul", "Relu", "Sub", "Sum"}
)


def _is_channels_last(file: OnnxFile) -> bool:
    """Whether a graph's images are (batch, height, width, channels) already.

    fastconv's are; of others those whose first step from an image is to bring its channels to the
    front, as TensorFlow's converters write it.
    """
    if file.producer == PRODUCER:
        return True
    waiting = [name for name, shape in file.inputs.items() if len(shape) == 4]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for reader in file.readers.get(name, ()):
            if reader.kind == "Transpose":
                return bool(reader.attributes.get("perm") == list(TO_CHANNELS_FIRST))
            if reader.kind in _WITHOUT_ORDER:
                waiting.append(reader.outputs[0])
    return False
