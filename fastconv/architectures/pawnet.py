"""`pawnet`: a network and a recipe that learn much from few photographs."""

from __future__ import annotations

from ..layers import (
    Conv2D,
    Dense,
    Dropout,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
    add,
)
from ..layers.symbolic import Tensor
from ..models import Model
from .architecture import Architecture, Size
from .parts import normalized
from .recipes import Recipe

_WIDTHS = (32, 64, 128, 256)
_DROPOUT = 0.4


def _network(input_shape: Size, head: Dense, name: str) -> Model:
    """Return four stages that halve the size, the later ones with a residual pair behind them.

    Normalization comes behind the pooling, so that convolution, ReLU and pooling are one kernel.
    The network ends in averages over the picture, whatever its size.
    """
    inputs = Input(input_shape)
    x = inputs
    for stage, filters in enumerate(_WIDTHS):
        x = normalized(MaxPooling2D(2)(_convolved(x, filters)))
        if stage > 0:
            x = add([x, _normalized_pair(x, filters)])
    x = Dropout(_DROPOUT)(GlobalAveragePooling2D()(x))
    return Model(inputs, head(x), name=name)


def _convolved(x: Tensor, filters: int) -> Tensor:
    convolution = Conv2D(
        filters, 3, padding="same", activation="relu", kernel_initializer="he_normal"
    )
    x = convolution(x)
    return x


def _normalized_pair(x: Tensor, filters: int) -> Tensor:
    x = normalized(_convolved(x, filters))
    x = normalized(_convolved(x, filters))
    return x


pawnet = Architecture(
    "pawnet",
    Recipe(
        "pawnet.npz",
        optimizer="sgd",
        learning_rate=0.05,
        optimizer_options={
            "momentum": 0.9,
            "nesterov": True,
            "weight_decay": 2e-3,
            "use_ema": True,
            "ema_momentum": 0.995,
        },
        undecayed=("bias", "gamma", "beta"),
        label_smoothing=0.1,
        schedule="cosine",
        warmup_epochs=5,
        epochs=300,
        patience=None,
        augmentation={
            "horizontal_flip": True,
            "rotation_range": 15,
            "width_shift_range": 0.15,
            "height_shift_range": 0.15,
            "zoom_range": (0.65, 1.1),
            "isotropic_zoom": True,
            "brightness_range": (0.7, 1.3),
            "channel_shift_range": 30.0,
            "cutout": (0.15, 0.45),
            "cutout_probability": 0.5,
            "cutout_value": 128.0,
            "mixup": 0.4,
            "cutmix": 1.0,
            "mix_probability": 0.5,
        },
        early_epochs=150,
        early_size=0.64,
        final_epochs=10,
        final_augmentation={"horizontal_flip": True},
        interpolation="box",
        save_best_only=False,
        tta="flip",
    ),
    _network,
)
