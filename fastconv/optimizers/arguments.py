"""The arguments that all optimizers take, and those of older Keras's."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from .._core.validation import at_least_zero
from .schedules import InverseTimeDecay

#: The options that every optimizer has, besides rate and name.
SHARED = (
    "weight_decay",
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
)


class Rate(float):
    """A learning rate: a number, with the methods that it has as Keras's variable."""

    _optimizer: Any

    @classmethod
    def of(cls, optimizer: Any, value: Any) -> Rate:
        """Return the present rate of an optimizer."""
        rate = cls(value)
        rate._optimizer = optimizer
        return rate

    def assign(self, value: Any) -> None:
        """Set the optimizer's learning rate."""
        self._optimizer.learning_rate = float(value)

    def numpy(self) -> Any:
        """Return the number as NumPy has it, a float32."""
        return np.float32(self)

    def __reduce__(self) -> Any:
        return float, (float(self),)  # copies and files have no part of the optimizer


def with_old_spellings(cls: type, learning_rate: Any, old: dict[str, Any]) -> Any:
    """Return the learning rate that old arguments make of it; refuse those of other names.

    `lr` is the rate; `decay` divides it by 1 + decay * step.
    """
    kind = cls.__name__
    learning_rate = old.pop("lr", learning_rate)
    if decay := at_least_zero(old.pop("decay", None) or 0.0, "decay", kind):
        rate = at_least_zero(learning_rate, "learning_rate beside decay", kind)
        learning_rate = InverseTimeDecay(rate, 1, decay)
    for name in ("gradient_accumulation_steps", "loss_scale_factor"):  # in Keras's configurations
        if old.get(name, 0) is None:
            del old[name]
    if old:
        accepted = list(inspect.signature(cls.__init__).parameters)[1:-1]  # type: ignore[misc]
        accepted += [name for name in (*SHARED, "name") if name not in accepted]
        raise TypeError(
            f"{kind}: unknown argument {', '.join(map(repr, old))}; "
            f"accepted are {', '.join(accepted)}"
        )
    return learning_rate
