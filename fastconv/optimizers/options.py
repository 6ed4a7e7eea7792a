"""The attributes of optimizers, checked whenever they are assigned; the next step takes them."""

from __future__ import annotations

from typing import Any

from .._core.options import Option, owner_of
from .._core.validation import at_least_zero, optional


class ClipOption(Option[float | None]):
    """A limit for gradients, None for none; of two that exclude each other one may be set."""

    def __init__(self, other: str) -> None:
        super().__init__(optional(at_least_zero))
        self._other = other

    def __set__(self, instance: Any, value: Any) -> None:
        if value is not None and instance.__dict__.get(self._other) is not None:
            first, second = sorted((self.name, self._other))
            raise ValueError(
                f"{owner_of(instance)}: {first} and {second} are both given; give one of them"
            )
        super().__set__(instance, value)
