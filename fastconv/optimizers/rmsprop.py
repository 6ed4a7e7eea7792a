"""RMSprop."""

from __future__ import annotations

from typing import Any

from .._core.options import Option
from .._core.validation import fraction, truth
from ..ops import optim
from .base import Optimizer, latest_gradient
from .options import small_number
from .slots import Slots, Trainable


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton, 2012) as in Keras 3: rate g / sqrt(mean square + epsilon).

    `centered` takes the mean gradient's square off the mean square.
    """

    rho, momentum = Option(fraction), Option(fraction)
    epsilon, centered = Option(small_number), Option(truth)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float | None = 1e-7,
        centered: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho, self.momentum = rho, momentum
        self.epsilon, self.centered = epsilon, centered

    def slot_names(self) -> tuple[str, ...]:
        momentum = ("momentum",) if self.momentum else ()
        return ("velocity", *momentum, *(("average_gradient",) if self.centered else ()))

    def update(
        self, parameter: Trainable, slots: Slots, learning_rate: float, **common: float
    ) -> None:
        optim.rmsprop(
            parameter.value,
            latest_gradient(parameter),
            slots["velocity"],
            slots.get("momentum"),
            slots.get("average_gradient"),
            learning_rate,
            self.rho,
            self.momentum,
            self.epsilon,
            **common,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }
