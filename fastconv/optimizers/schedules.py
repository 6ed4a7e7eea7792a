"""Learning rates that depend on the step: `schedule(step)` gives the rate, from step 0."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .._core.json_values import Configured
from .._core.naming import describe
from .._core.registry import Registry
from .._core.validation import above_zero, finite


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

    def serialize(self) -> dict[str, Any]:
        """Return {"class_name", "config"}, from which `get` makes the same schedule again."""
        return _registry.serialize(self)


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
        self.initial_learning_rate = finite(initial_learning_rate, "initial_learning_rate", owner)
        self.decay_steps = _steps(decay_steps, "decay_steps", owner)
        self.decay_rate = finite(decay_rate, "decay_rate", owner)
        self.staircase = bool(staircase)
        self.name = name

    def __call__(self, step: int) -> float:
        exponent = step / self.decay_steps
        if self.staircase:
            exponent = math.floor(exponent)
        rate: float = self.initial_learning_rate * self.decay_rate**exponent
        return rate

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
        self.initial_learning_rate = finite(initial_learning_rate, "initial_learning_rate", owner)
        self.decay_steps = _steps(decay_steps, "decay_steps", owner)
        self.alpha = finite(alpha, "alpha", owner)
        self.name = name
        self.warmup_target = (
            None if warmup_target is None else finite(warmup_target, "warmup_target", owner)
        )
        self.warmup_steps = finite(warmup_steps, "warmup_steps", owner)

    def __call__(self, step: int) -> float:
        top, decayed = self.initial_learning_rate, float(step)
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return top + (self.warmup_target - top) * step / self.warmup_steps
            top = self.warmup_target
            decayed = step - self.warmup_steps
        done = min(decayed, self.decay_steps) / self.decay_steps
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
        self.boundaries = [finite(step, "boundaries", owner) for step in boundaries]
        self.values = [finite(value, "values", owner) for value in values]
        if len(self.boundaries) != len(self.values) - 1:
            raise ValueError(
                f"{owner}: {len(self.boundaries)} boundaries and {len(self.values)} values "
                "were given; there must be one value more than boundaries"
            )
        if any(low >= high for low, high in pairwise(self.boundaries)):
            raise ValueError(f"{owner}: boundaries are {self.boundaries}; they must increase")
        self.name = name

    def __call__(self, step: int) -> float:
        return self.values[bisect_left(self.boundaries, step)]

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


def _steps(value: Any, argument: str, owner: str) -> float:
    """Return a finite number above 0; an int stays one."""
    above_zero(value, argument, owner)
    return finite(value, argument, owner)


def get(identifier: Any) -> LearningRateSchedule:
    """Return a schedule from what `serialize` returned, or itself.

    Raises ValueError for an unknown name and TypeError for anything else.
    """
    return _registry.get(identifier)


_registry: Registry[LearningRateSchedule] = Registry(
    LearningRateSchedule,
    {cls.__name__: cls for cls in (ExponentialDecay, CosineDecay, PiecewiseConstantDecay)},
    words=("schedules", "learning-rate schedule", "a LearningRateSchedule"),
)
