"""Learning rates that depend on the step: `schedule(step)` gives the rate, from step 0."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .._core.json_values import Configured
from .._core.validation import real_number
from ..utils import class_name, custom_object, describe


class LearningRateSchedule(Configured):
    """Base class: a subclass defines `__call__(step)` and `get_config()`."""

    def __call__(self, step: int) -> float:
        """Return the learning rate of `step`, counted from 0."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__(step)")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; they fit JSON."""
        raise NotImplementedError(
            f"{type(self).__name__} must define get_config() to be saved with its optimizer"
        )

    __repr__ = describe

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        """Make a schedule from what `get_config` returned."""
        return cls(**config)

    def serialize(self) -> dict[str, Any]:
        """Return {"class_name", "config"}, which `get` turns into the same schedule again."""
        return {"class_name": class_name(self, _CLASSES), "config": self.get_config()}


class ExponentialDecay(LearningRateSchedule):
    """initial_learning_rate * decay_rate ** (step / decay_steps).

    With `staircase` the exponent is rounded down to a whole number.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        owner = "ExponentialDecay"
        self.initial_learning_rate = real_number(
            initial_learning_rate, "initial_learning_rate", owner
        )
        self.decay_steps = _positive(decay_steps, "decay_steps", owner)
        self.decay_rate = real_number(decay_rate, "decay_rate", owner)
        self.staircase = bool(staircase)
        self.name = name

    def __call__(self, step: int) -> float:
        exponent = step / self.decay_steps
        if self.staircase:
            exponent = math.floor(exponent)
        return self.initial_learning_rate * self.decay_rate**exponent

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


class CosineDecay(LearningRateSchedule):
    """Half a cosine from the initial rate down to `alpha` of it over `decay_steps`.

    With `warmup_target` the rate first goes up to it in a straight line over
    `warmup_steps`, and down from there.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        owner = "CosineDecay"
        self.initial_learning_rate = real_number(
            initial_learning_rate, "initial_learning_rate", owner
        )
        self.decay_steps = _positive(decay_steps, "decay_steps", owner)
        self.alpha = real_number(alpha, "alpha", owner)
        self.name = name
        self.warmup_target = (
            None if warmup_target is None else real_number(warmup_target, "warmup_target", owner)
        )
        self.warmup_steps = real_number(warmup_steps, "warmup_steps", owner)

    def __call__(self, step: int) -> float:
        top = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return top + (self.warmup_target - top) * step / self.warmup_steps
            top = self.warmup_target
            step = step - self.warmup_steps
        done = min(step, self.decay_steps) / self.decay_steps
        cosine = 0.5 * (1 + math.cos(math.pi * done))
        return top * ((1 - self.alpha) * cosine + self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to and including step boundaries[0], then values[1] and so on."""

    def __init__(
        self,
        boundaries: Sequence[int],
        values: Sequence[float],
        name: str = "PiecewiseConstant",
    ) -> None:
        owner = "PiecewiseConstantDecay"
        boundaries = [real_number(step, "boundaries", owner) for step in boundaries]
        values = [real_number(value, "values", owner) for value in values]
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                f"{owner}: {len(boundaries)} boundaries and {len(values)} values "
                "were given; there must be one value more than boundaries"
            )
        if any(low >= high for low, high in pairwise(boundaries)):
            raise ValueError(f"{owner}: boundaries are {boundaries}; they must increase")
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: int) -> float:
        return self.values[bisect_left(self.boundaries, step)]

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


def get(identifier: Any) -> LearningRateSchedule:
    """Return a schedule from what `serialize` returned, or itself."""
    if isinstance(identifier, LearningRateSchedule):
        return identifier
    name = identifier.get("class_name") if isinstance(identifier, dict) else None
    found = (custom_object(name) or _CLASSES.get(name)) if isinstance(name, str) else None
    if found is None:
        raise ValueError(
            f"schedules: {identifier!r} is no learning-rate schedule; known are "
            f"{', '.join(_CLASSES)}"
        )
    return found.from_config(identifier.get("config") or {})


def _positive(value: Any, argument: str, owner: str) -> float:
    value = real_number(value, argument, owner)
    if not value > 0:
        raise ValueError(f"{owner}: {argument} is {value!r}; it must be above 0")
    return value


_CLASSES = {cls.__name__: cls for cls in (ExponentialDecay, CosineDecay, PiecewiseConstantDecay)}
