"""What optimizers share: learning rate, clipping, weight decay, steps and state."""

from __future__ import annotations

import copy
import inspect
import math
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core.json_values import Configured
from .._core.options import Option, Strict
from .._core.validation import anything, at_least_zero, natural, optional
from ..ops import optim
from .options import ClipOption
from .schedules import LearningRateSchedule
from .schedules import get as get_schedule
from .slots import Slots, SlotTable, Trainable, from_arrays, to_arrays


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
    attribute may
    be assigned at any time, and counts from the next step on.

    Arguments: `learning_rate`, a number of at least 0 or a schedule (`lr=` is
    the old spelling); `weight_decay`, the share of a value taken off at a step
    of rate 1; `clipnorm` and `clipvalue`, of which one may be given: the
    largest norm of one parameter's gradient, and the largest absolute value
    in it.  Raises TypeError for an unknown argument, naming the known ones.
    """

    weight_decay = Option(optional(at_least_zero))
    clipnorm, clipvalue = ClipOption("clipvalue"), ClipOption("clipnorm")
    iterations = Option(natural)
    name = Option(anything)

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
        self.name = name or kind.lower()
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue = None, clipvalue
        self.clipnorm = clipnorm
        self.iterations = 0
        self._slots = SlotTable()
        self._model: weakref.ref[Any] | None = None
        self._model_name = ""
        self._copied = False
        self._learning_rate: float | LearningRateSchedule = 0.0
        self.learning_rate = learning_rate

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
        return {
            "name": self.name,
            "learning_rate": rate.serialize() if isinstance(rate, LearningRateSchedule) else rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
        }

    # What users and models call.

    @property
    def learning_rate(self) -> float:
        """The rate of the next step; it can be set unless it comes from a schedule."""
        if isinstance(self._learning_rate, LearningRateSchedule):
            return float(self._learning_rate(self.iterations))
        return self._learning_rate

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
        self.build(parameters)
        rate = self.learning_rate
        clip_value, weight_decay = self.clipvalue or 0.0, self.weight_decay or 0.0
        for parameter, slots in zip(parameters, self._slots_of(parameters), strict=True):
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
        """Create the slots of new parameters, zeros, or raise where they are not known."""
        if list(parameters) != self._slots.parameters:
            self._check_known(list(parameters))
        self._slots_of(parameters)

    def _slots_of(self, parameters: Sequence[Trainable]) -> list[Slots]:
        return self._slots.of(list(parameters), self.slot_names(), self.iterations)

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
        return any(self._slots) or (self.iterations > 0 and (scheduled or bool(self.slot_names())))

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
        the step at which a parameter came in, if it was not there from the beginning.
        """
        state: dict[str, Any] = {"iterations": self.iterations}
        if not isinstance(self._learning_rate, LearningRateSchedule):
            state["learning_rate"] = self._learning_rate
        if not self._slots:
            return state
        model = None if self._model is None else self._model()
        parameters = self._slots.parameters if model is None else model.trainable_weights
        return state | to_arrays(self._slots_of(parameters))

    def set_state(self, state: dict[str, Any], parameters: Sequence[Trainable]) -> None:
        """Restore what `get_state` returned, for `parameters`; on an error nothing is changed."""
        kind = type(self).__name__
        iterations = state.get("iterations")
        if iterations is None or int(iterations) < 0:
            raise ValueError(f"{kind}: the state's 'iterations' is {iterations!r}")
        rate = self._learning_rate
        if "learning_rate" in state and not isinstance(rate, LearningRateSchedule):
            rate = at_least_zero(float(state["learning_rate"]), "learning_rate", kind)
        arrays = {key: value for key, value in state.items() if "/" in key}
        if arrays or int(iterations):
            slots = from_arrays(arrays, parameters, self.slot_names(), kind)
            self._slots.put(list(parameters), slots)
        else:
            self._slots.clear()
        self._learning_rate, self.iterations = rate, int(iterations)

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

    def _gradient_scale(self, parameter: Trainable) -> float:
        if not self.clipnorm:
            return 1.0
        norm = math.sqrt(optim.sum_of_squares(parameter.gradient))
        return self.clipnorm / norm if norm > self.clipnorm else 1.0
