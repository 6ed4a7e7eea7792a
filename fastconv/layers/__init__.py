"""Layers: what a `Sequential` model is made of."""

from __future__ import annotations

from typing import Any

from .._core.registry import Registry, custom_object_scope
from .activation import Activation, ReLU
from .base import Layer
from .batch_normalization import BatchNormalization
from .conv2d import Conv2D
from .dense import Dense
from .dropout import Dropout
from .flatten import Flatten
from .global_pooling import GlobalAveragePooling2D, GlobalMaxPooling2D
from .input_layer import Input, InputLayer
from .input_normalization import Normalization
from .pooling import AveragePooling2D, L2Pooling2D, MaxPooling2D
from .random_geometry import RandomCrop, RandomFlip, RandomRotation, RandomTranslation, RandomZoom
from .random_values import RandomBrightness, RandomContrast, RandomErasing
from .rescaling import Rescaling
from .resizing import CenterCrop, Resizing

__all__ = [
    "Activation",
    "AveragePooling2D",
    "BatchNormalization",
    "CenterCrop",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "Input",
    "InputLayer",
    "L2Pooling2D",
    "Layer",
    "MaxPooling2D",
    "Normalization",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "Rescaling",
    "Resizing",
]

_registry: Registry[Layer] = Registry(
    Layer,
    {
        cls.__name__: cls
        for cls in (
            Activation, AveragePooling2D, BatchNormalization, Conv2D, Dense, Dropout, Flatten,
            GlobalAveragePooling2D, GlobalMaxPooling2D, InputLayer, L2Pooling2D, MaxPooling2D, ReLU,
            CenterCrop, Normalization, RandomBrightness, RandomContrast, RandomCrop,
            RandomErasing, RandomFlip, RandomRotation, RandomTranslation, RandomZoom, Rescaling,
            Resizing,
        )
    },
    words=("layers", "layer", "a Layer"),
    exact=True,
)  # fmt: skip


def get(class_name: str, custom_objects: dict[str, type[Layer]] | None = None) -> type[Layer]:
    """Return the layer class of a name, from `custom_objects` and their scopes first.

    Raises ValueError for an unknown name, TypeError if what was found is no layer class.
    """
    with custom_object_scope(custom_objects):
        return _registry.find_class(class_name)


def serialize(layer: Layer) -> dict[str, Any]:
    """Return {"class_name", "config"} of a layer; it fits JSON."""
    return _registry.serialize(layer)


def deserialize(
    config: dict[str, Any], custom_objects: dict[str, type[Layer]] | None = None
) -> Layer:
    """Make a layer from what `serialize` returned."""
    try:
        class_name, arguments = config["class_name"], config["config"]
    except (KeyError, TypeError):
        raise ValueError(
            f'layers: {config!r} does not describe a layer; {{"class_name", "config"}} is expected'
        ) from None
    return get(class_name, custom_objects).from_config(arguments)
