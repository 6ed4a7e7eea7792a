"""A network that draws masks: what each pixel of a picture belongs to."""

from __future__ import annotations

from ..layers import (
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Input,
    MaxPooling2D,
    ReLU,
)
from ..layers.symbolic import Tensor
from ..models import Model
from .parts import check_size, class_outputs, normalized


def unet(
    input_shape: tuple[int, int, int] = (96, 96, 3),
    classes: int = 2,
    filters: int = 16,
    depth: int = 3,
) -> Model:
    """Return a U-Net, with new weights: (height, width, channels) to masks of the same size.

    `depth` times the picture is halved and its channels, `filters` at first, are doubled; on the
    way up each size sees again what it was on the way down.  Of two classes there is one mask,
    with a sigmoid; of more, one each, with a softmax over them.

    Ronneberger, Fischer and Brox, "U-Net: convolutional networks for biomedical image
    segmentation", 2015, with batch normalization, and padding that keeps the size.
    Raises ValueError where height and width cannot be halved so often.
    """
    units, activation = class_outputs(classes, "unet")
    check_size(input_shape, 2**depth, "unet")
    x = inputs = Input(input_shape)
    skipped = []
    for level in range(depth):
        x = _two_convolutions(x, filters * 2**level)
        skipped.append(x)
        x = MaxPooling2D(2)(x)
    x = _two_convolutions(x, filters * 2**depth)
    for level in reversed(range(depth)):
        x = Conv2DTranspose(filters * 2**level, 2, strides=2)(x)
        x = _two_convolutions(Concatenate()([skipped[level], x]), filters * 2**level)
    return Model(inputs, Conv2D(units, 1, activation=activation)(x), name="unet")


def _two_convolutions(x: Tensor, filters: int) -> Tensor:
    for _ in range(2):
        convolution = Conv2D(
            filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal"
        )
        x = ReLU()(normalized(convolution(x)))
    return x
