"""Adagrad."""

from __future__ import annotations

from typing import Any

from .._core.options import Option
from .._core.validation import at_least_zero
from ..ops import optim
from .base import Optimizer, latest_gradient
from .options import small_number
from .slots import Slots, Trainable


class Adagrad(Optimizer):
    """Adagrad (Duchi et al., 2011) as in Keras 3: rate g / sqrt(sum of squares + epsilon).

    The sum begins with `initial_accumulator_value`.
    """

    initial_accumulator_value, epsilon = Option(at_least_zero), Option(small_number)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float | None = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def slot_names(self) -> tuple[str, ...]:
        return ("accumulator",)

    def initial_slot(self, name: str, parameter: Trainable) -> Any:
        if name == "accumulator":
            return self.initial_accumulator_value
        return super().initial_slot(name, parameter)

    def update(
        self, parameter: Trainable, slots: Slots, learning_rate: float, **common: float
    ) -> None:
        optim.adagrad(
            parameter.value,
            latest_gradient(parameter),
            slots["accumulator"],
            learning_rate,
            self.epsilon,
            **common,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
