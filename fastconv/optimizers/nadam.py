"""Adam with Nesterov's momentum."""

from __future__ import annotations

from typing import Any

from .._core.options import Option
from .._core.validation import fraction_below_one
from ..ops import optim
from .base import Optimizer, latest_gradient
from .options import small_number
from .slots import Slots, Trainable


class Nadam(Optimizer):
    """Nadam (Dozat, 2016): Adam with Nesterov's momentum, which grows in the first steps.

    A parameter that joins later has its bias corrected from its own first step on.
    """

    beta_1, beta_2 = Option(fraction_below_one), Option(fraction_below_one)
    epsilon = Option(small_number)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity")

    def update(
        self, parameter: Trainable, slots: Slots, learning_rate: float, **common: float
    ) -> None:
        optim.nadam(
            parameter.value,
            latest_gradient(parameter),
            slots["momentum"],
            slots["velocity"],
            learning_rate,
            self.beta_1,
            self.beta_2,
            self.epsilon,
            self.iterations + 1 - slots.start,
            **common,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
