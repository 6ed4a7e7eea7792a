"""Adam."""

from __future__ import annotations

from typing import Any

from ..ops import optim
from .base import Optimizer, latest_gradient


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), with epsilon added to the root of the uncorrected square."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = self._number("beta_1", beta_1, highest=1)
        self.beta_2 = self._number("beta_2", beta_2, highest=1)
        for argument, value in (("beta_1", beta_1), ("beta_2", beta_2)):
            if value == 1:
                raise ValueError(f"Adam: {argument} is 1; it must be below 1")
        self.epsilon = self._number("epsilon", epsilon)

    def slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity")

    def update(self, parameter, slots, learning_rate, **common):
        optim.adam(
            parameter.value,
            latest_gradient(parameter),
            slots["momentum"],
            slots["velocity"],
            learning_rate,
            self.beta_1,
            self.beta_2,
            self.epsilon,
            self.iterations + 1,
            **common,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
