"""Learning rates that depend on the step: `schedule(step)` gives the rate, from step 0."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .._core.json_values import Configured
from .._core.naming import describe
from .._core.registry import Registry, custom_object_scope
from .._core.validation import above_zero, at_least_zero, finite, truth, wrong_value


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


class _RateDecay(LearningRateSchedule):
    """What decays by `decay_rate` over `decay_steps`, with `staircase` in whole steps."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        owner = type(self).__name__
        self.initial_learning_rate = finite(initial_learning_rate, "initial_learning_rate", owner)
        self.decay_steps = _steps(decay_steps, "decay_steps", owner)
        self.decay_rate = finite(decay_rate, "decay_rate", owner)
        self.staircase = bool(staircase)
        self.name = owner if name is None else name

    def _done(self, step: int) -> float:
        done = step / self.decay_steps
        return math.floor(done) if self.staircase else done

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


class ExponentialDecay(_RateDecay):
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
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def __call__(self, step: int) -> float:
        rate: float = self.initial_learning_rate * self.decay_rate ** self._done(step)
        return rate


class InverseTimeDecay(_RateDecay):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps).

    With `staircase` step / decay_steps is rounded down to a whole number.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)
        self.decay_rate = at_least_zero(decay_rate, "decay_rate", type(self).__name__)

    def __call__(self, step: int) -> float:
        return self.initial_learning_rate / (1 + self.decay_rate * self._done(step))


class PolynomialDecay(LearningRateSchedule):
    """From the initial rate to `end_learning_rate` over `decay_steps`, by (1 - share) ** power.

    With `cycle` it begins again instead of staying there: each time the steps until the end
    are the next multiple of `decay_steps`.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        owner = "PolynomialDecay"
        self.initial_learning_rate = finite(initial_learning_rate, "initial_learning_rate", owner)
        self.decay_steps = _steps(decay_steps, "decay_steps", owner)
        self.end_learning_rate = finite(end_learning_rate, "end_learning_rate", owner)
        self.power = _steps(power, "power", owner)
        self.cycle = truth(cycle, "cycle", owner)
        self.name = name

    def __call__(self, step: int) -> float:
        steps = self.decay_steps
        if self.cycle:
            steps *= max(1, math.ceil(step / steps))
        left = 1 - min(step, steps) / steps
        first, last = self.initial_learning_rate, self.end_learning_rate
        rate: float = (first - last) * left**self.power + last
        return rate

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
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


class CosineDecayRestarts(LearningRateSchedule):
    """Half cosines one after the other, from the initial rate down to `alpha` of it.

    The first takes `first_decay_steps`, each next one `t_mul` times as long and from `m_mul`
    times as high as the one before (Loshchilov and Hutter, 2017).
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        owner = "CosineDecayRestarts"
        self.initial_learning_rate = finite(initial_learning_rate, "initial_learning_rate", owner)
        self.first_decay_steps = _steps(first_decay_steps, "first_decay_steps", owner)
        self.t_mul = finite(t_mul, "t_mul", owner)
        if self.t_mul < 1:  # periods that get shorter come to an end, and Keras's rate to NaN
            raise wrong_value(t_mul, "t_mul", owner, "at least 1")
        self.m_mul = finite(m_mul, "m_mul", owner)
        self.alpha = finite(alpha, "alpha", owner)
        self.name = name

    def __call__(self, step: int) -> float:
        restarts, done = self._period(step / self.first_decay_steps)
        cosine = 0.5 * self.m_mul**restarts * (1 + math.cos(math.pi * done))
        rate: float = self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha)
        return rate

    def _period(self, time: float) -> tuple[int, float]:
        """Return how many periods are over at a time, in first periods, and the share of this."""
        ratio = self.t_mul
        if ratio == 1:
            return math.floor(time), time - math.floor(time)
        # The logarithm may be off by a rounding, which at a restart is a whole period.
        over = math.floor(math.log1p(time * (ratio - 1)) / math.log(ratio))
        while (ratio ** (over + 1) - 1) / (ratio - 1) <= time:
            over += 1
        while (begin := (ratio**over - 1) / (ratio - 1)) > time:
            over -= 1
        return over, (time - begin) / ratio**over

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self.t_mul,
            "m_mul": self.m_mul,
            "alpha": self.alpha,
            "name": self.name,
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


def deserialize(
    config: dict[str, Any], custom_objects: dict[str, Any] | None = None
) -> LearningRateSchedule:
    """Return the schedule that `serialize` has described."""
    with custom_object_scope(custom_objects):
        return get(config)


def serialize(schedule: LearningRateSchedule) -> dict[str, Any]:
    """Return {"class_name", "config"}, from which `get` makes the same schedule again."""
    return schedule.serialize()


_registry: Registry[LearningRateSchedule] = Registry(
    LearningRateSchedule,
    {
        cls.__name__: cls
        for cls in (
            ExponentialDecay, CosineDecay, CosineDecayRestarts, PiecewiseConstantDecay,
            PolynomialDecay, InverseTimeDecay,
        )
    },
    words=("schedules", "learning-rate schedule", "a LearningRateSchedule"),
)  # fmt: skip
