"""Adam, and with weight decay."""

from __future__ import annotations

from typing import Any

from .._core.options import Option
from .._core.validation import at_least_zero, fraction_below_one, truth
from ..ops import optim
from .base import Optimizer, latest_gradient
from .options import small_number
from .slots import Slots, Trainable


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), with epsilon added to the root of the uncorrected square.

    A parameter that joins later has its bias corrected from its own first step on.
    `amsgrad` divides by the root of the largest mean square so far (Reddi et al., 2018).
    """

    beta_1, beta_2 = Option(fraction_below_one), Option(fraction_below_one)
    epsilon, amsgrad = Option(small_number), Option(truth)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.amsgrad = amsgrad

    def slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity", *(("velocity_hat",) if self.amsgrad else ()))

    def update(
        self, parameter: Trainable, slots: Slots, learning_rate: float, **common: float
    ) -> None:
        optim.adam(
            parameter.value,
            latest_gradient(parameter),
            slots["momentum"],
            slots["velocity"],
            learning_rate,
            self.beta_1,
            self.beta_2,
            self.epsilon,
            self.iterations + 1 - slots.start,
            largest_v=slots.get("velocity_hat"),
            **common,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        decay = at_least_zero(weight_decay, "weight_decay", type(self).__name__)
        options["weight_decay"] = decay
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, **options)
