"""Averages of weights over the steps, which an optimizer keeps beside them (`use_ema`)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..ops import optim
from .slots import Slots, Trainable

#: The slot's name.
AVERAGE = "average"

Pairs = Iterable[tuple[Trainable, Slots]]


def follow(pairs: Pairs, momentum: float, iterations: int) -> None:
    """Move the averages towards the values of step `iterations`; a first step's is its value."""
    for parameter, slots in pairs:
        kept = 0.0 if iterations == slots.start else momentum
        optim.move_average(slots[AVERAGE], parameter.value, kept)


def to_values(pairs: Pairs) -> None:
    """Give parameters their averages as values."""
    for parameter, slots in pairs:
        parameter.value[...] = slots[AVERAGE]


def from_values(pairs: Pairs) -> None:
    """Let averages begin again with the values of now."""
    for parameter, slots in pairs:
        slots[AVERAGE][...] = parameter.value


def swap(pairs: Pairs) -> None:
    """Exchange values and averages."""
    for parameter, slots in pairs:
        value = np.array(parameter.value)
        parameter.value[...] = slots[AVERAGE]
        slots[AVERAGE][...] = value
