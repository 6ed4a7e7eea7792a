"""Networks that tell pictures apart, whose layers branch and are added up again."""

from __future__ import annotations

from ..layers import (
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
    ReLU,
    SeparableConv2D,
    add,
)
from ..layers.symbolic import Tensor
from ..models import Model
from .parts import class_layer, normalized

Size = tuple[int, int, int]


def resnet20(input_shape: Size = (32, 32, 3), classes: int = 10) -> Model:
    """Return the residual network of 20 layers for small pictures, with new weights.

    Nine blocks of two 3x3 convolutions; what a block gives is added to what it got.  Where the
    size is halved and the channels are doubled, a 1x1 convolution makes both of one shape.
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015, section 4.2.
    """
    inputs = Input(input_shape)
    x = ReLU()(_convolved(inputs, 16, 3))
    for filters in (16, 32, 64):
        for block in range(3):
            x = _residual_block(x, filters, 2 if block == 0 and filters > 16 else 1)
    outputs = class_layer(classes, "resnet20")(GlobalAveragePooling2D()(x))
    return Model(inputs, outputs, name="resnet20")


def _convolved(x: Tensor, filters: int, size: int, strides: int = 1) -> Tensor:
    convolution = Conv2D(
        filters, size, strides, "same", use_bias=False, kernel_initializer="he_normal"
    )
    return normalized(convolution(x))


def _residual_block(x: Tensor, filters: int, strides: int) -> Tensor:
    y = ReLU()(_convolved(x, filters, 3, strides))
    y = _convolved(y, filters, 3)
    if strides > 1:
        x = _convolved(x, filters, 1, strides)
    x = ReLU()(add([x, y]))
    return x


def small_xception(input_shape: Size = (100, 100, 3), classes: int = 2) -> Model:
    """Return a small Xception, with new weights: residual blocks of separable convolutions.

    Five blocks, each of which halves the size; in the branch beside it a 1x1 convolution does.
    After Chollet, "Xception: deep learning with depthwise separable convolutions", 2017.
    """
    inputs = Input(input_shape)
    x = Conv2D(32, 5, use_bias=False)(inputs)
    for filters in (32, 64, 128, 256, 512):
        y = _separable(_separable(x, filters), filters)
        y = MaxPooling2D(3, strides=2, padding="same")(y)
        x = add([y, Conv2D(filters, 1, strides=2, padding="same", use_bias=False)(x)])
    x = Dropout(0.5)(GlobalAveragePooling2D()(x))
    return Model(inputs, class_layer(classes, "small_xception")(x), name="small_xception")


def _separable(x: Tensor, filters: int) -> Tensor:
    x = ReLU()(normalized(x))
    x = SeparableConv2D(filters, 3, padding="same", use_bias=False)(x)
    return x


#: Of MobileNetV2's blocks: by how much they widen, channels, how many, strides of the first.
_INVERTED_RESIDUALS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2_like(
    input_shape: Size = (100, 100, 3), classes: int = 2, alpha: float = 0.35
) -> Model:
    """Return MobileNetV2's network, with new weights, its channels times `alpha`.

    Seventeen inverted residual blocks: a 1x1 convolution widens, a depthwise one looks around,
    another 1x1 narrows without an activation, and narrow tensors are added up.
    Sandler and others, "MobileNetV2: inverted residuals and linear bottlenecks", 2018.
    """
    inputs = Input(input_shape)
    channels = _channels(32 * alpha)
    x = _activated(Conv2D(channels, 3, 2, "same", use_bias=False)(inputs))
    for expansion, filters, blocks, strides in _INVERTED_RESIDUALS:
        narrow = _channels(filters * alpha)
        for block in range(blocks):
            x = _inverted_residual(x, expansion * channels, narrow, 1 if block else strides)
            channels = narrow
    x = _activated(Conv2D(max(1280, _channels(1280 * alpha)), 1, use_bias=False)(x))
    outputs = class_layer(classes, "mobilenet_v2_like")(GlobalAveragePooling2D()(x))
    return Model(inputs, outputs, name="mobilenet_v2_like")


def _inverted_residual(x: Tensor, wide: int, narrow: int, strides: int) -> Tensor:
    y: Tensor = x
    if wide != x.shape[-1]:
        y = _activated(Conv2D(wide, 1, use_bias=False)(y))
    y = _activated(DepthwiseConv2D(3, strides, "same", use_bias=False)(y))
    y = normalized(Conv2D(narrow, 1, use_bias=False)(y))
    return add([x, y]) if x.shape == y.shape else y


def _activated(x: Tensor) -> Tensor:
    x = ReLU(6.0)(normalized(x))
    return x


def _channels(wanted: float) -> int:
    """Return a multiple of 8 near `wanted`, no more than a tenth below it."""
    nearest = max(8, int(wanted + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * wanted else nearest + 8
