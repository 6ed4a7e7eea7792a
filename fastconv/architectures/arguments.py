"""What the networks' arguments may be, and what follows from them."""

from __future__ import annotations

from .._core.validation import wrong_value
from ..layers import Dense


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
