"""What optimizers share: learning rate, clipping, weight decay, slots and state."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from .._json import Configured
from ..ops import optim
from .schedules import LearningRateSchedule
from .schedules import get as get_schedule

Slots = dict[str, np.ndarray]


class Trainable(Protocol):
    """What an optimizer needs of a parameter: C-contiguous float32 arrays of one shape."""

    name: str
    shape: tuple[int, ...]

    @property
    def value(self) -> np.ndarray:
        """The array to change in place."""

    @property
    def gradient(self) -> np.ndarray:
        """The loss's gradient with respect to `value`."""


def latest_gradient(parameter: Trainable) -> Any:
    """Return the gradient for a function of `ops.optim`: as it is if deferred, else its array."""
    deferred = getattr(parameter, "deferred_gradient", None)
    return parameter.gradient if deferred is None else deferred


class Optimizer(Configured):
    """Base class: `apply(parameters)` makes one step.

    Arguments: `learning_rate`, a number of at least 0 or a schedule (`lr=` is
    the old spelling); `weight_decay`, the share of a value taken off at a step
    of rate 1; `clipnorm` and `clipvalue`, of which one may be given: the
    largest norm of one parameter's gradient, and the largest absolute value
    in it.  Raises TypeError for an unknown argument, naming the known ones.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        name: str | None = None,
        **old: Any,
    ) -> None:
        kind = type(self).__name__
        if "lr" in old:
            learning_rate = old.pop("lr")
        if old:
            accepted = list(inspect.signature(type(self).__init__).parameters)[1:-1]
            accepted += ["weight_decay", "clipnorm", "clipvalue", "name"]
            raise TypeError(
                f"{kind}: unknown argument {', '.join(map(repr, old))}; "
                f"accepted are {', '.join(accepted)}"
            )
        if clipnorm is not None and clipvalue is not None:
            raise ValueError(f"{kind}: clipnorm and clipvalue are both given; give one of them")
        self.name = name or kind.lower()
        self.weight_decay = self._optional("weight_decay", weight_decay)
        self.clipnorm = self._optional("clipnorm", clipnorm)
        self.clipvalue = self._optional("clipvalue", clipvalue)
        self.iterations = 0
        self._slots: list[Slots] = []
        if isinstance(learning_rate, (dict, LearningRateSchedule)):
            self._learning_rate: float | LearningRateSchedule = get_schedule(learning_rate)
        else:
            self._learning_rate = self._number("learning_rate", learning_rate)

    # What a subclass defines.

    def slot_names(self) -> tuple[str, ...]:
        """Return the names of the arrays kept for each parameter."""
        return ()

    def update(
        self, parameter: Trainable, slots: Slots, learning_rate: float, **common: float
    ) -> None:
        """Change one parameter in place; `common` goes to the kernel as it is."""
        raise NotImplementedError(f"{type(self).__name__} does not define update")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; they fit JSON."""
        rate = self._learning_rate
        scheduled = isinstance(rate, LearningRateSchedule)
        return {
            "name": self.name,
            "learning_rate": rate.serialize() if scheduled else rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
        }

    # What users and models call.

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Optimizer:
        """Make an optimizer from what `get_config` returned."""
        return cls(**config)

    @property
    def learning_rate(self) -> float:
        """The rate of the next step; it can be set unless it comes from a schedule."""
        if isinstance(self._learning_rate, LearningRateSchedule):
            return float(self._learning_rate(self.iterations))
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float | LearningRateSchedule) -> None:
        if isinstance(value, LearningRateSchedule):
            self._learning_rate = value
            return
        if isinstance(self._learning_rate, LearningRateSchedule):
            raise TypeError(
                f"{type(self).__name__}: the learning rate comes from "
                f"{type(self._learning_rate).__name__} and cannot be set; make the optimizer "
                "with a number as its learning_rate"
            )
        self._learning_rate = self._number("learning_rate", value)

    def apply(self, parameters: Sequence[Trainable]) -> None:
        """Change the value of each parameter by its gradient, and count the step.

        Slots belong to positions: give the same parameters in the same order
        each time.  Raises ValueError where they do not fit the slots.
        """
        self.build(parameters)
        rate = self.learning_rate
        clip_value, weight_decay = self.clipvalue or 0.0, self.weight_decay or 0.0
        for parameter, slots in zip(parameters, self._slots, strict=True):
            self.update(
                parameter,
                slots,
                rate,
                gradient_scale=self._gradient_scale(parameter),
                clip_value=clip_value,
                weight_decay=weight_decay,
            )
        self.iterations += 1

    def build(self, parameters: Sequence[Trainable]) -> None:
        """Create the slots, zeros, or check those there are against `parameters`."""
        names = self.slot_names()
        if not self._slots:
            self._slots = [
                {name: np.zeros(parameter.shape, np.float32) for name in names}
                for parameter in parameters
            ]
        fits = len(self._slots) == len(parameters) and all(
            slot.shape == parameter.shape
            for slots, parameter in zip(self._slots, parameters, strict=True)
            for slot in slots.values()
        )
        if not fits:
            shapes = [next((slot.shape for slot in slots.values()), None) for slots in self._slots]
            raise ValueError(
                f"{type(self).__name__}: the optimizer has been used with "
                f"{len(shapes)} parameters of shapes {shapes} and is now given "
                f"{[parameter.shape for parameter in parameters]}; if layers were frozen, unfrozen "
                "or added, call compile again with a new optimizer"
            )

    def get_state(self) -> dict[str, np.ndarray | int | float]:
        """Return copies of the slots as "position/name", `iterations` and `learning_rate`.

        The rate is left out where it comes from a schedule.
        """
        state: dict[str, Any] = {"iterations": self.iterations}
        if not isinstance(self._learning_rate, LearningRateSchedule):
            state["learning_rate"] = self._learning_rate
        for position, slots in enumerate(self._slots):
            for name, slot in slots.items():
                state[f"{position}/{name}"] = slot.copy()
        return state

    def set_state(self, state: dict[str, Any], parameters: Sequence[Trainable]) -> None:
        """Restore what `get_state` returned, for `parameters`; on an error nothing is changed."""
        kind = type(self).__name__
        iterations = state.get("iterations")
        if iterations is None or int(iterations) < 0:
            raise ValueError(f"{kind}: the state's 'iterations' is {iterations!r}")
        rate = self._learning_rate
        if "learning_rate" in state and not isinstance(rate, LearningRateSchedule):
            rate = self._number("learning_rate", float(state["learning_rate"]))
        arrays = {key: np.asarray(value) for key, value in state.items() if "/" in key}
        slots = self._slots_from(arrays, parameters) if arrays or int(iterations) else []
        self._learning_rate, self.iterations, self._slots = rate, int(iterations), slots

    def _slots_from(
        self, arrays: dict[str, np.ndarray], parameters: Sequence[Trainable]
    ) -> list[Slots]:
        """Return copies of a state's arrays as slots, or raise where they do not fit."""
        kind = type(self).__name__
        slots: list[Slots] = []
        for position, parameter in enumerate(parameters):
            slots.append({})
            for name in self.slot_names():
                found = arrays.get(f"{position}/{name}")
                if found is None or found.shape != tuple(parameter.shape):
                    given = "missing" if found is None else f"of shape {found.shape}"
                    raise ValueError(
                        f"{kind}: the state's '{position}/{name}' is {given}; weight "
                        f"'{parameter.name}' has shape {parameter.shape}"
                    )
                slots[-1][name] = np.array(found, np.float32, order="C")
        expected = {f"{position}/{name}" for position, own in enumerate(slots) for name in own}
        if extra := sorted(arrays.keys() - expected):
            raise ValueError(f"{kind}: the state has {extra}, which fit no parameter")
        return slots

    def _gradient_scale(self, parameter: Trainable) -> float:
        if not self.clipnorm:
            return 1.0
        norm = math.sqrt(optim.sum_of_squares(parameter.gradient))
        return self.clipnorm / norm if norm > self.clipnorm else 1.0

    def _number(self, argument: str, value: Any, highest: float = math.inf) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
            raise TypeError(f"{type(self).__name__}: {argument} is {value!r}; give a number")
        if not 0 <= value <= highest:
            limits = "of at least 0" if highest == math.inf else f"from 0 to {highest:g}"
            raise ValueError(
                f"{type(self).__name__}: {argument} is {value!r}; it must be a number {limits}"
            )
        return float(value)

    def _optional(self, argument: str, value: Any) -> float | None:
        return None if value is None else self._number(argument, value)
