"""What several of the networks are made of."""

from __future__ import annotations

from .._core.validation import wrong_value
from ..layers import BatchNormalization, Dense
from ..layers.symbolic import Tensor

# Averages of the last ten batches or so: those of Keras's 0.99 need hundreds to leave their start,
# and small data sets have few.
_MOMENTUM = 0.9


def normalized(x: Tensor) -> Tensor:
    """Return what BatchNormalization gives."""
    x = BatchNormalization(momentum=_MOMENTUM)(x)
    return x


def class_outputs(classes: int, owner: str) -> tuple[int, str]:
    """Return the units and the activation that tell so many classes: one unit tells two."""
    if classes < 2:
        raise wrong_value(classes, "classes", owner, "at least 2")
    return (1, "sigmoid") if classes == 2 else (classes, "softmax")


def class_layer(classes: int, owner: str) -> Dense:
    """Return the last layer of a network that tells so many classes apart."""
    units, activation = class_outputs(classes, owner)
    return Dense(units, activation=activation)


def check_size(input_shape: tuple[int, int, int], divisor: int, owner: str) -> None:
    """Raise ValueError unless pictures of that shape can be made smaller by `divisor`."""
    if any(size % divisor for size in input_shape[:2]):
        condition = f"of a height and a width that are multiples of {divisor}"
        raise wrong_value(input_shape, "input_shape", owner, condition)
