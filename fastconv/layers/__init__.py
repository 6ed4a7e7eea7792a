"""Layers: what models are made of.  Called on tensors, which `Input` begins, they make a graph."""

from __future__ import annotations

from typing import Any

from .._core.missing_names import missing_names, old_modules
from .._core.registry import Registry, custom_object_scope
from .activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from .base import Layer
from .batch_normalization import BatchNormalization
from .conv2d import Conv2D
from .conv2d_transpose import Conv2DTranspose
from .dense import Dense
from .depthwise_conv2d import DepthwiseConv2D
from .dot import Dot, dot
from .dropout import Dropout, SpatialDropout2D
from .flatten import Flatten
from .global_pooling import GlobalAveragePooling2D, GlobalMaxPooling2D
from .group_normalization import GroupNormalization
from .identity import Identity
from .input_layer import Input, InputLayer
from .input_normalization import Normalization
from .lambda_layer import Lambda
from .layer_normalization import LayerNormalization
from .margins import Cropping2D, ZeroPadding2D
from .merging import (
    Add,
    Average,
    Concatenate,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    maximum,
    minimum,
    multiply,
    subtract,
)
from .noise import AlphaDropout, GaussianDropout, GaussianNoise
from .pooling import AveragePooling2D, L2Pooling2D, MaxPooling2D
from .prelu import PReLU
from .random_geometry import RandomCrop, RandomFlip, RandomRotation, RandomTranslation, RandomZoom
from .random_values import RandomBrightness, RandomContrast, RandomErasing
from .rescaling import Rescaling
from .reshaping import Permute, RepeatVector, Reshape
from .resizing import CenterCrop, Resizing
from .separable_conv2d import SeparableConv2D
from .symbolic import operators
from .unit_normalization import UnitNormalization
from .up_sampling import UpSampling2D

#: The classes that files and `get` know by name.
_CLASSES: tuple[type[Layer], ...] = (
    Activation,
    Add,
    AlphaDropout,
    Average,
    AveragePooling2D,
    BatchNormalization,
    CenterCrop,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Dot,
    Dropout,
    ELU,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    GroupNormalization,
    Identity,
    InputLayer,
    L2Pooling2D,
    Lambda,
    LayerNormalization,
    LeakyReLU,
    Maximum,
    MaxPooling2D,
    Minimum,
    Multiply,
    Normalization,
    Permute,
    PReLU,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomErasing,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
    ReLU,
    RepeatVector,
    Rescaling,
    Reshape,
    Resizing,
    SeparableConv2D,
    Softmax,
    SpatialDropout2D,
    Subtract,
    UnitNormalization,
    UpSampling2D,
    ZeroPadding2D,
)

# What `+`, `-`, `*` and `/` of tensors make.
operators.update({cls.__name__: cls for cls in (Add, Subtract, Multiply, Rescaling)})

#: Keras's other names for them.
_ALIASES: dict[str, type[Layer]] = {
    "AvgPool2D": AveragePooling2D,
    "Convolution2D": Conv2D,
    "Convolution2DTranspose": Conv2DTranspose,
    "DepthwiseConvolution2D": DepthwiseConv2D,
    "GlobalAvgPool2D": GlobalAveragePooling2D,
    "GlobalMaxPool2D": GlobalMaxPooling2D,
    "MaxPool2D": MaxPooling2D,
    "SeparableConvolution2D": SeparableConv2D,
}

AvgPool2D = AveragePooling2D
Convolution2D = Conv2D
Convolution2DTranspose = Conv2DTranspose
DepthwiseConvolution2D = DepthwiseConv2D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalMaxPool2D = GlobalMaxPooling2D
MaxPool2D = MaxPooling2D
SeparableConvolution2D = SeparableConv2D

__all__ = [
    "ELU",
    "Activation",
    "Add",
    "AlphaDropout",
    "Average",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNormalization",
    "CenterCrop",
    "Concatenate",
    "Conv2D",
    "Conv2DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Cropping2D",
    "Dense",
    "DepthwiseConv2D",
    "DepthwiseConvolution2D",
    "Dot",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "Identity",
    "Input",
    "InputLayer",
    "L2Pooling2D",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPool2D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SeparableConv2D",
    "SeparableConvolution2D",
    "Softmax",
    "SpatialDropout2D",
    "Subtract",
    "UnitNormalization",
    "UpSampling2D",
    "ZeroPadding2D",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]

_registry: Registry[Layer] = Registry(
    Layer,
    {cls.__name__: cls for cls in _CLASSES},
    words=("layers", "layer", "a Layer"),
    aliases={alias: cls.__name__ for alias, cls in _ALIASES.items()},
    exact=True,
)


def add_classes(*classes: type[Layer]) -> None:
    """Let classes be found by name: models, which are layers as well, come here."""
    _registry.add(*classes)


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
    # What the layer is made of may be one's own, too.
    with custom_object_scope(custom_objects):
        return _registry.find_class(class_name).from_config(arguments)


__getattr__ = missing_names(__name__)
old_modules(__name__, "advanced_activations", "convolutional", "core", "merge", "normalization")
old_modules(__name__, "experimental", "experimental.preprocessing", "preprocessing")
