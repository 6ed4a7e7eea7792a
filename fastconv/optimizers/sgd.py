"""Gradient descent, with momentum."""

from __future__ import annotations

from typing import Any

from .._core.options import Option
from .._core.validation import fraction, truth
from ..ops import optim
from .base import Optimizer, latest_gradient
from .slots import Slots, Trainable


class SGD(Optimizer):
    """v = momentum v - rate g; value += v, or += momentum v - rate g with `nesterov`."""

    momentum, nesterov = Option(fraction), Option(truth)

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.momentum, self.nesterov = momentum, nesterov

    def slot_names(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    def update(
        self, parameter: Trainable, slots: Slots, learning_rate: float, **common: float
    ) -> None:
        optim.sgd(
            parameter.value,
            latest_gradient(parameter),
            slots.get("momentum"),
            learning_rate,
            self.momentum,
            self.nesterov,
            **common,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
