"""What optimizers are told: checked whenever it is assigned, and the next step takes it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .._core.options import Option, owner_of
from .._core.validation import at_least_zero, optional, wrong_type, wrong_value
from ..ops import optim
from .slots import Trainable


def small_number(value: Any, argument: str, owner: str) -> float:
    """Check the small number that keeps from dividing by 0; None is old Keras's for 1e-7."""
    return 1e-7 if value is None else at_least_zero(value, argument, owner)


class ClipOption(Option[float | None]):
    """A limit for gradients, None for none; of those that exclude each other one may be set."""

    def __init__(self, *others: str) -> None:
        super().__init__(optional(at_least_zero))
        self._others = others

    def __set__(self, instance: Any, value: Any) -> None:
        given = [other for other in self._others if instance.__dict__.get(other) is not None]
        if value is not None and given:
            first, second = sorted((self.name, given[0]))
            raise ValueError(
                f"{owner_of(instance)}: {first} and {second} are both given; give one of them"
            )
        super().__set__(instance, value)


def gradient_scales(
    parameters: Sequence[Trainable], clipnorm: float | None, global_clipnorm: float | None
) -> Iterator[float]:
    """Yield what each parameter's gradient is multiplied by to keep to the largest norm.

    A norm that is not a number, or infinite, makes every gradient NaN where it is that of all.
    """
    shared = 1.0
    if global_clipnorm:
        norm = math.sqrt(sum(optim.sum_of_squares(one.gradient) for one in parameters))
        shared = min(1.0, global_clipnorm / norm) if norm else 1.0
        if not math.isfinite(norm):
            shared = math.nan
    for parameter in parameters:
        yield _scale(parameter, clipnorm) if clipnorm else shared


def _scale(parameter: Trainable, clipnorm: float) -> float:
    norm = math.sqrt(optim.sum_of_squares(parameter.gradient))
    return clipnorm / norm if norm > clipnorm else 1.0


def check_patterns(value: Iterable[str] | None, owner: str) -> tuple[str, ...]:
    """Return regular expressions, or raise for what is none."""
    names = () if value is None else value
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise wrong_type(value, "var_names", owner, "a list of texts")
    for name in names:
        try:
            re.compile(name)
        except re.error as error:
            condition = f"regular expressions ({error})"
            raise wrong_value(value, "var_names", owner, condition) from None
    return tuple(names)


def check_parameters(value: Iterable[Trainable] | None, owner: str) -> list[Trainable]:
    """Return a list of parameters, or raise for what is none."""
    given = [] if value is None else list(value)
    for one in given:
        if not (hasattr(one, "value") and hasattr(one, "gradient")):
            remedy = "names go to var_names"
            raise wrong_type(one, "one of var_list", owner, "a parameter, as layer.weights", remedy)
    return given
