"""Lion."""

from __future__ import annotations

from typing import Any

from .._core.options import Option
from .._core.validation import fraction, wrong_value
from ..ops import optim
from .base import Optimizer, latest_gradient
from .slots import Slots, Trainable


def _above_zero(value: Any, argument: str, owner: str) -> float:
    if not fraction(value, argument, owner):
        raise wrong_value(value, argument, owner, "above 0 and at most 1")
    return float(value)


class Lion(Optimizer):
    """Lion (Chen et al., 2023): every value moves by the rate, in the direction of the momentum.

    The sign of beta_1 momentum + (1 - beta_1) g tells the direction; the momentum then moves
    by beta_2.
    """

    beta_1, beta_2 = Option(_above_zero), Option(fraction)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1, self.beta_2 = beta_1, beta_2

    def slot_names(self) -> tuple[str, ...]:
        return ("momentum",)

    def update(
        self, parameter: Trainable, slots: Slots, learning_rate: float, **common: float
    ) -> None:
        optim.lion(
            parameter.value,
            latest_gradient(parameter),
            slots["momentum"],
            learning_rate,
            self.beta_1,
            self.beta_2,
            **common,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2}
