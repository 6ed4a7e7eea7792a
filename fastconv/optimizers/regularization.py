"""What trained weights cost: the penalties of their regularizers, a part of the loss."""

from __future__ import annotations

from collections.abc import Iterable

from .slots import Trainable


def penalty(parameters: Iterable[Trainable]) -> float:
    """Return the sum of the penalties of parameters that have a `regularizer`."""
    total = 0.0
    for parameter in parameters:
        regularizer = getattr(parameter, "regularizer", None)
        if regularizer is not None:
            total += float(regularizer(parameter.value))
    return total


def regularize(parameters: Iterable[Trainable]) -> float:
    """Return `penalty(parameters)` and add its gradients to those of the parameters.

    Comes after the backward pass and before the optimizer's step, which clips the sum.
    """
    regularized = [one for one in parameters if getattr(one, "regularizer", None) is not None]
    for parameter in regularized:
        parameter.reached = True  # type: ignore[attr-defined]
        # A deferred gradient is written here, and from the next pass on into its array.
        parameter.regularizer.add_gradient(parameter.value, parameter.gradient)  # type: ignore[attr-defined]
    return penalty(regularized)
