"""Where `fastconv.keras` puts how functions are differentiated; fastconv itself does not.

While nothing is put here, functions of a user's own bring their gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

#: Of (function, arrays): what the function gives for them, and a function that for the gradient
#: of that gives those of the arrays.
Differentiator = Callable[
    [Callable[..., Any], Sequence[np.ndarray]],
    tuple[Any, Callable[[np.ndarray], list[np.ndarray]]],
]
differentiator: Differentiator | None = None


def use(chosen: Differentiator | None) -> None:
    """Differentiate functions by `chosen` from now on, by nothing for None."""
    global differentiator
    differentiator = chosen


def loss_and_gradient(function: Callable[[Any], Any], predictions: np.ndarray) -> Any:
    """Return (losses, gradients) of a function of predictions, or what else it returned.

    The function returns both itself, or is differentiated where that is possible. Losses of
    each single value become their means along the last axis, as Keras takes the mean of all.
    """
    if differentiator is None:
        return function(predictions)

    def reduced(values: Any) -> Any:
        losses = function(values)
        while getattr(losses, "shape", None) and losses.shape not in _accepted(predictions.shape):
            losses = losses.mean(axis=-1)
        return losses

    losses, pullback = differentiator(reduced, [predictions])
    if isinstance(losses, tuple):  # with its gradient, or wrong
        return losses
    return losses, pullback(np.ones(np.shape(losses)))[0]


def _accepted(shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    return shape[:1], shape[:-1]
