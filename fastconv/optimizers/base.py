"""What optimizers share: learning rate, clipping, weight decay, averages, steps and state."""

from __future__ import annotations

import copy
import re
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from .._core.json_values import Configured
from .._core.naming import describe
from .._core.options import Option, Strict
from .._core.validation import (
    anything,
    at_least_zero,
    fraction,
    natural,
    optional,
    positive_integer,
    truth,
)
from . import averages
from .arguments import SHARED, Rate, with_old_spellings
from .constraining import constrain
from .options import ClipOption, check_parameters, check_patterns, gradient_scales
from .schedules import LearningRateSchedule
from .schedules import get as get_schedule
from .slots import Slots, SlotTable, Trainable, from_arrays, to_arrays

OptimizerType = TypeVar("OptimizerType", bound="Optimizer")

#: Where a configuration has the names that are excluded from weight decay, if there are any.
_UNDECAYED = "exclude_from_weight_decay"


def latest_gradient(parameter: Trainable) -> Any:
    """Return the gradient for a function of `ops.optim`: as it is if deferred, else its array."""
    deferred = getattr(parameter, "deferred_gradient", None)
    return parameter.gradient if deferred is None else deferred


class Optimizer(Strict, Configured):
    """Base class: `apply(parameters)` makes one step.

    An optimizer trains one model: what it keeps (`slot_names`) belongs to that model's
    parameters.  One that is frozen for a while, or moves as layers come and go, finds its
    own again; a new one begins with zeros, at a first step of its own.  One that remembers
    nothing, SGD at a constant rate without momentum, may go on to another model; any other
    is refused there, as in Keras: `from_config(get_config())` makes a new one.  Every
    attribute may be assigned at any time, and counts from the next step on.

    Arguments: `learning_rate`, a number of at least 0 or a schedule (`lr=` is
    the old spelling, and `decay=` the old one of `InverseTimeDecay(learning_rate, 1, decay)`);
    `weight_decay`, the share of a value taken off at a step of rate 1; `clipnorm`,
    `global_clipnorm` and `clipvalue`, of which one may be given: the largest norm
    of one parameter's gradient, that of all gradients together, and the largest
    absolute value in them.  With `use_ema` averages of the values are kept, `average =
    ema_momentum * average + (1 - ema_momentum) * value` after each step; they become the
    values every `ema_overwrite_frequency` steps and at the end of `fit`, and
    `callbacks.SwapEMAWeights` evaluates with them.  Raises TypeError for an unknown
    argument, naming the known ones.
    """

    weight_decay = Option(optional(at_least_zero))
    clipnorm = ClipOption("clipvalue", "global_clipnorm")
    clipvalue = ClipOption("clipnorm", "global_clipnorm")
    global_clipnorm = ClipOption("clipnorm", "clipvalue")
    use_ema, ema_momentum = Option(truth), Option(fraction)
    ema_overwrite_frequency = Option(optional(positive_integer))
    iterations, name = Option(natural), Option(anything)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        name: str | None = None,
        **old: Any,
    ) -> None:
        learning_rate = with_old_spellings(type(self), learning_rate, old)
        self.name = name or type(self).__name__.lower()
        self.weight_decay = weight_decay
        self.clipnorm = self.clipvalue = self.global_clipnorm = None
        self.clipnorm, self.clipvalue = clipnorm, clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema, self.ema_momentum = use_ema, ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.iterations = 0
        self._averages_in_model = False
        self._undecayed_names: tuple[str, ...] = ()
        self._slots = SlotTable()
        self._model: weakref.ref[Any] | None = None
        self._model_name = ""
        self._copied = False
        self._learning_rate: float | LearningRateSchedule = 0.0
        self.learning_rate = learning_rate

    def __repr__(self) -> str:
        kept = vars(self)
        shared = {name: kept[name] for name in SHARED if kept.get(name) not in (None, False)}
        if not shared.get("use_ema"):
            shared.pop("ema_momentum", None)
        # A schedule says more than the rate of the next step.
        return describe(self, learning_rate=kept.get("_learning_rate"), **shared)

    # What a subclass defines.

    def slot_names(self) -> tuple[str, ...]:
        """Return the names of the arrays kept for each parameter."""
        return ()

    def initial_slot(self, name: str, parameter: Trainable) -> Any:
        """Return what the array `name` begins with: a number, or an array of the same shape."""
        return parameter.value if name == averages.AVERAGE else 0.0

    def update(
        self, parameter: Trainable, slots: Slots, learning_rate: float, **common: float
    ) -> None:
        """Change one parameter in place; `common` goes to the kernel as it is."""
        raise NotImplementedError(f"{type(self).__name__} does not define update")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; they fit JSON."""
        rate = self._learning_rate
        names = self._undecayed_names
        return {
            "name": self.name,
            "learning_rate": rate.serialize() if isinstance(rate, LearningRateSchedule) else rate,
            **{name: getattr(self, name) for name in SHARED},
            **({_UNDECAYED: list(names)} if names else {}),
        }

    @classmethod
    def from_config(cls: type[OptimizerType], config: dict[str, Any]) -> OptimizerType:
        """Make an optimizer from what `get_config` returned; its state is not part of it."""
        arguments = {name: value for name, value in config.items() if name != _UNDECAYED}
        optimizer = cls(**arguments)
        optimizer.exclude_from_weight_decay(var_names=config.get(_UNDECAYED))
        return optimizer

    # What users and models call.

    @property
    def learning_rate(self) -> float:
        """The rate of the next step; it can be set unless it comes from a schedule."""
        rate = self._learning_rate
        return Rate.of(
            self, rate(self.iterations) if isinstance(rate, LearningRateSchedule) else rate
        )

    @learning_rate.setter
    def learning_rate(self, value: float | LearningRateSchedule) -> None:
        if isinstance(value, (dict, LearningRateSchedule)):
            self._learning_rate = get_schedule(value)
            return
        if isinstance(self._learning_rate, LearningRateSchedule):
            raise TypeError(
                f"{type(self).__name__}: the learning rate comes from "
                f"{type(self._learning_rate).__name__} and cannot be set; make the optimizer "
                "with a number as its learning_rate"
            )
        self._learning_rate = at_least_zero(value, "learning_rate", type(self).__name__)

    @property
    def lr(self) -> float:
        """The old spelling of `learning_rate`."""
        return self.learning_rate

    @lr.setter
    def lr(self, value: float | LearningRateSchedule) -> None:
        self.learning_rate = value

    def claim(self, model: Any) -> None:
        """Train `model` from now on; raise ValueError if steps for another one still count."""
        if self._model is not None and self._model() is model:
            return
        others = self._model_name or not self._slots.all_among(model.weights)
        if others and self._remembers():
            trained = self._model_name or "other weights"
            raise self._taken(f"it has trained {trained} and is now given to {model.owner}")
        self._model, self._model_name = weakref.ref(model), model.owner

    def apply(self, parameters: Sequence[Trainable]) -> None:
        """Change the value of each parameter by its gradient, and count the step.

        Raises ValueError for parameters that are not those of the model that it trains, and
        without a model for some of other shapes than before; others of the same shapes
        begin anew, but go on for a copied optimizer, whose own parameters are nobody's.
        """
        self.restore_values()
        self.build(parameters)
        pairs = list(zip(parameters, self._slots_of(parameters), strict=True))
        rate, clip_value = self.learning_rate, self.clipvalue or 0.0
        scales = gradient_scales(parameters, self.clipnorm, self.global_clipnorm)
        for (parameter, slots), scale in zip(pairs, scales, strict=True):
            if not getattr(parameter, "reached", True):  # no decay either, as in Keras
                parameter.reached = True  # type: ignore[attr-defined]
                continue
            self.update(
                parameter,
                slots,
                rate,
                gradient_scale=scale,
                clip_value=clip_value,
                weight_decay=self._decay_of(parameter, slots),
            )
        if self.use_ema:
            averages.follow(pairs, self.ema_momentum, self.iterations)
            every = self.ema_overwrite_frequency
            if every is not None and (self.iterations + 1) % every == 0:
                averages.to_values(pairs)
        constrain(parameters)  # as in Keras after the averages, which are of what a step gave
        self.iterations += 1

    def build(self, parameters: Sequence[Trainable]) -> None:
        """Create the slots of new parameters, zeros, or raise where they are not known."""
        if list(parameters) != self._slots.parameters:
            self._check_known(list(parameters))
        self._slots_of(parameters)

    def _slots_of(self, parameters: Sequence[Trainable]) -> list[Slots]:
        names = self._all_slot_names()
        return self._slots.of(list(parameters), names, self.iterations, self.initial_slot)

    def _all_slot_names(self) -> tuple[str, ...]:
        return (*self.slot_names(), averages.AVERAGE) if self.use_ema else self.slot_names()

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Trainable] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """Take parameters out of weight decay, and bring back those of an earlier call.

        `var_list` has parameters themselves, `var_names` regular expressions that are
        searched for in names: ["bias", "gamma"].  Counts from the next step on.
        """
        owner = f"{type(self).__name__}: exclude_from_weight_decay"
        names = check_patterns(var_names, owner)
        parameters = check_parameters(var_list, owner)
        for slots in self._slots:
            slots.undecayed = False
        for parameter in parameters:
            self._slots.at(parameter, self.iterations).undecayed = True
        self._undecayed_names = names

    def _decay_of(self, parameter: Trainable, slots: Slots) -> float:
        if not self.weight_decay or slots.undecayed:
            return 0.0
        excluded = any(re.search(name, parameter.name) for name in self._undecayed_names)
        return 0.0 if excluded else self.weight_decay

    @property
    def averages_in_model(self) -> bool:
        """Whether the parameters' values are their averages for now; see `swap_averages`."""
        return self._averages_in_model

    def swap_averages(self) -> None:
        """Exchange values and averages of all that has been trained, until called again.

        A step of training changes back first.  Raises ValueError without `use_ema`.
        """
        if not self.use_ema:
            raise ValueError(
                f"{type(self).__name__}: use_ema is False; it must be True for there to be averages"
            )
        self._exchange_averages()

    def _exchange_averages(self) -> None:
        averages.swap(self._averaged())
        self._averages_in_model = not self._averages_in_model

    def restore_values(self) -> None:
        """Give back the values that training goes on with, where averages are in the model."""
        if self._averages_in_model:
            self._exchange_averages()

    def finalize_variable_values(self, var_list: Iterable[Trainable]) -> None:
        """Give parameters their averages as values for good, where there are such."""
        if self._averages_in_model:
            averages.from_values(self._averaged())
            self._averages_in_model = False
        if self.use_ema:
            wanted = set(map(id, var_list))
            averages.to_values(pair for pair in self._averaged() if id(pair[0]) in wanted)

    def _averaged(self) -> Iterator[tuple[Trainable, Slots]]:
        for parameter, slots in self._slots.items():
            if averages.AVERAGE in slots and slots.start < self.iterations:
                yield parameter, slots

    def _check_known(self, parameters: list[Trainable]) -> None:
        model = None if self._model is None else self._model()
        weights = set(map(id, model.weights)) if model is not None else set()
        foreign = [one for one in parameters if one not in self._slots and id(one) not in weights]
        if not foreign:
            return
        shapes = [parameter.shape for parameter in self._slots.parameters]
        given = [parameter.shape for parameter in parameters]
        if not self._remembers():
            self._model, self._model_name = None, ""  # used by itself, without the model
        elif shapes != given or (self._model_name and not self._copied):
            raise self._taken(
                f"the optimizer has been used with {len(shapes)} parameters of shapes {shapes} "
                + (f"of {self._model_name} " if self._model_name else "")
                + f"and is now given {given}"
            )
        elif self._copied:
            self._slots.hand_over(parameters)
            self._copied = False

    def _remembers(self) -> bool:
        """Return whether the steps made so far count for the next one."""
        scheduled = isinstance(self._learning_rate, LearningRateSchedule)
        return any(self._slots) or (
            self.iterations > 0 and (scheduled or bool(self._all_slot_names()))
        )

    def _taken(self, reason: str) -> ValueError:
        kind = type(self).__name__
        return ValueError(
            f"{kind}: {reason}; what it remembers belongs to the weights that it has trained: make "
            f"a new optimizer, {kind}.from_config(optimizer.get_config())"
        )

    def get_state(self) -> dict[str, np.ndarray | int | float]:
        """Return copies of the slots as "position/name", `iterations` and `learning_rate`.

        Positions are those of the model's trainable weights, or of the parameters of the
        last step.  The rate is left out where it comes from a schedule.  "position/start" is
        the step at which a parameter came in, if it was not there from the beginning;
        "position/undecayed" tells of one that is excluded from weight decay.
        """
        state: dict[str, Any] = {"iterations": self.iterations}
        if self._averages_in_model:
            state["averages_in_model"] = 1
        if not isinstance(self._learning_rate, LearningRateSchedule):
            state["learning_rate"] = self._learning_rate
        if not self._slots:
            return state
        model = None if self._model is None else self._model()
        parameters = self._slots.parameters if model is None else model.trainable_weights
        return state | to_arrays(self._slots_of(parameters))

    def set_state(self, state: dict[str, Any], parameters: Sequence[Trainable]) -> None:
        """Restore what `get_state` returned, for `parameters`; on an error nothing is changed.

        What was excluded from weight decay before stays so.
        """
        kind = type(self).__name__
        iterations = state.get("iterations")
        if iterations is None or int(iterations) < 0:
            raise ValueError(f"{kind}: the state's 'iterations' is {iterations!r}")
        rate = self._learning_rate
        if "learning_rate" in state and not isinstance(rate, LearningRateSchedule):
            rate = at_least_zero(float(state["learning_rate"]), "learning_rate", kind)
        arrays = {key: value for key, value in state.items() if "/" in key}
        undecayed = [one for one, slots in self._slots.items() if slots.undecayed]
        if arrays or int(iterations):
            slots = from_arrays(arrays, parameters, self._all_slot_names(), kind)
            self._slots.put(list(parameters), slots)
        else:
            self._slots.clear()
        self._learning_rate, self.iterations = rate, int(iterations)
        self._averages_in_model = bool(state.get("averages_in_model", False))
        for one in undecayed:
            self._slots.at(one, self.iterations).undecayed = True

    # Copies

    def __getstate__(self) -> dict[str, Any]:
        model = None if self._model is None else self._model()
        pairs = self._slots.pairs(None if model is None else model.weights)
        return {**self.__dict__, "_model": None, "_slots": pairs, "_copied": True}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _slots=SlotTable())
        # Copied arrays lie where their sender left them: a file, another process's memory.
        pairs = [(parameter, slots.copy()) for parameter, slots in state["_slots"]]
        if pairs:
            self._slots.put(*map(list, zip(*pairs, strict=True)))

    def __copy__(self) -> Optimizer:
        return copy.deepcopy(self)

    def follow(self, model: Any) -> None:
        """Go on with `model`, a copy of the one that the original of this copy trains."""
        if self._slots.all_among(model.weights):
            self._model, self._model_name = weakref.ref(model), model.owner
            self._copied = False
