"""Optimizers whose rules are a few passes of NumPy, since they are seldom used."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.options import Option
from .._core.validation import fraction
from .base import Optimizer
from .options import small_number
from .slots import Slots, Trainable


class _Plain(Optimizer):
    """An optimizer whose subclass says what is taken off at a rate of 1."""

    epsilon = Option(small_number)

    def change(self, gradient: np.ndarray, slots: Slots) -> np.ndarray:
        """Return the change as a new array, or over the gradient."""
        raise NotImplementedError

    def update(
        self, parameter: Trainable, slots: Slots, learning_rate: float, **common: float
    ) -> None:
        value = parameter.value
        gradient = np.empty_like(value)
        np.multiply(parameter.gradient, np.float32(common["gradient_scale"]), out=gradient)
        if largest := np.float32(common["clip_value"]):
            np.clip(gradient, -largest, largest, out=gradient)
        if decay := common["weight_decay"]:
            value *= np.float32(1 - decay * learning_rate)
        change = self.change(gradient, slots)
        change *= np.float32(learning_rate)
        value -= change


def _follow(average: np.ndarray, new: np.ndarray, keep: float) -> None:
    """Make a moving average go on, in place."""
    average *= np.float32(keep)
    average += np.float32(1 - keep) * new


class Adadelta(_Plain):
    """Adadelta (Zeiler, 2012) as in Keras 3, where the rate is 0.001 unless given.

    With r(x) = sqrt(mean square of x + epsilon): rate r(changes) / r(gradients) g.
    """

    rho = Option(fraction)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float | None = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho, self.epsilon = rho, epsilon

    def slot_names(self) -> tuple[str, ...]:
        return ("accumulated_grad", "accumulated_delta_var")

    def change(self, gradient: np.ndarray, slots: Slots) -> np.ndarray:
        gradients, changes = slots["accumulated_grad"], slots["accumulated_delta_var"]
        epsilon = np.float32(self.epsilon)
        _follow(gradients, np.square(gradient), self.rho)
        gradient *= np.sqrt((changes + epsilon) / (gradients + epsilon))
        _follow(changes, np.square(gradient), self.rho)
        return gradient

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}


class Adamax(_Plain):
    """Adamax (Kingma and Ba, 2015) as in Keras 3: Adam by the largest gradients of late."""

    beta_1, beta_2 = Option(fraction), Option(fraction)

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
        return ("momentum", "norm")

    def change(self, gradient: np.ndarray, slots: Slots) -> np.ndarray:
        momentum, norm = slots["momentum"], slots["norm"]
        step = self.iterations + 1 - slots.start
        _follow(momentum, gradient, self.beta_1)
        norm *= np.float32(self.beta_2)
        np.maximum(norm, np.abs(gradient, out=gradient), out=norm)
        np.add(norm, np.float32(self.epsilon), out=gradient)
        np.divide(momentum, gradient, out=gradient)
        gradient *= np.float32(1 / (1 - self.beta_1**step))
        return gradient

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
