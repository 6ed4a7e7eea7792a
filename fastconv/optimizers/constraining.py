"""What trained weights must keep to: their constraints, after each step."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .slots import Trainable


def constrain(parameters: Iterable[Trainable]) -> None:
    """Give parameters that have a `constraint` the value that it makes of theirs."""
    for parameter in parameters:
        constraint = getattr(parameter, "constraint", None)
        if constraint is None:
            continue
        allowed = np.asarray(constraint(parameter.value))
        if allowed.shape != parameter.value.shape:
            raise ValueError(
                f"Parameter '{parameter.name}': its constraint returned the shape "
                f"{allowed.shape}; it must be the weight's, {parameter.value.shape}"
            )
        parameter.value[...] = allowed
