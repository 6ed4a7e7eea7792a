"""The arrays that an optimizer keeps for each parameter, and whose parameters they are."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np


class Trainable(Protocol):
    """What an optimizer needs of a parameter: C-contiguous float32 arrays of one shape."""

    @property
    def name(self) -> str:
        """What errors call it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""

    @property
    def value(self) -> np.ndarray:
        """The array to change in place."""

    @property
    def gradient(self) -> np.ndarray:
        """The loss's gradient with respect to `value`."""


Initial = Callable[[str, "Trainable"], Any]
"""What a slot begins with: a number, or an array of the parameter's shape."""


class Slots(dict[str, np.ndarray]):
    """One parameter's arrays by name, and the step, `start`, at which they began."""

    start: int = 0
    #: Whether the parameter was taken out of weight decay, as itself and not by its name.
    undecayed: bool = False

    def fit(self, parameter: Trainable, names: Sequence[str], initial: Initial) -> None:
        """Have these arrays and no others: one that comes later begins with its initial value."""
        for name in self.keys() - set(names):
            del self[name]
        for name in names:
            if name not in self:
                self[name] = np.empty(parameter.shape, np.float32)
                self[name][...] = initial(name, parameter)

    def copy(self) -> Slots:
        """Return slots with arrays of their own."""
        slots = Slots(
            {name: np.array(array, np.float32, order="C") for name, array in self.items()}
        )
        slots.start, slots.undecayed = self.start, self.undecayed
        return slots


class SlotTable:
    """Slots by parameter: they follow it wherever it stands, and end with it."""

    def __init__(self) -> None:
        self._slots: weakref.WeakKeyDictionary[Trainable, Slots] = weakref.WeakKeyDictionary()
        #: Those asked for last, in their order.
        self.parameters: list[Trainable] = []
        self._names: tuple[str, ...] | None = None
        self._ready: list[Slots] = []

    def __bool__(self) -> bool:
        return bool(self._slots)

    def __contains__(self, parameter: Trainable) -> bool:
        return parameter in self._slots

    def __iter__(self) -> Iterator[Slots]:
        return iter(list(self._slots.values()))

    def items(self) -> list[tuple[Trainable, Slots]]:
        """Return every parameter with its slots."""
        return list(self._slots.items())

    def all_among(self, parameters: Iterable[Trainable]) -> bool:
        """Return whether there are slots of no other parameters than these."""
        given = set(map(id, parameters))
        return all(id(parameter) in given for parameter in self._slots)

    def of(
        self,
        parameters: list[Trainable],
        names: tuple[str, ...],
        iterations: int,
        initial: Initial,
    ) -> list[Slots]:
        """Return the slots of parameters in their order; what is new begins with `initial`."""
        if not (parameters == self.parameters and names == self._names):  # each is itself alone
            self._ready = [self.at(one, iterations) for one in parameters]
            for one, slots in zip(parameters, self._ready, strict=True):
                slots.fit(one, names, initial)
            self.parameters, self._names = parameters, names
        return self._ready

    def at(self, parameter: Trainable, iterations: int) -> Slots:
        """Return a parameter's slots, new ones without arrays if there are none."""
        slots = self._slots.get(parameter)
        if slots is None:
            slots = self._slots[parameter] = Slots()
            slots.start = iterations
        return slots

    def put(self, parameters: list[Trainable], slots: Sequence[Slots]) -> None:
        """Take these slots for these parameters."""
        for parameter, own in zip(parameters, slots, strict=True):
            self._slots[parameter] = own
        self.parameters, self._names, self._ready = parameters, None, []

    def clear(self) -> None:
        """Forget all slots."""
        self._slots.clear()
        self.put([], [])

    def hand_over(self, parameters: list[Trainable]) -> None:
        """Give the slots, in their order, to other parameters of the same shapes."""
        slots = [self._slots[one] for one in self.parameters]
        self.clear()
        self.put(parameters, slots)

    def pairs(self, among: Sequence[Trainable] | None) -> list[tuple[Trainable, Slots]]:
        """Return parameters with copies of their slots, those `among` alone if it is given."""
        first = [one for one in self.parameters if one in self._slots]
        known = [*first, *(one for one in self._slots if one not in first)]
        if among is not None:
            kept = set(map(id, among))
            known = [one for one in known if id(one) in kept]
        return [(one, self._slots[one].copy()) for one in known]


def from_arrays(
    arrays: dict[str, Any],
    parameters: Sequence[Trainable],
    names: Sequence[str],
    owner: str,
) -> list[Slots]:
    """Return copies of a state's "position/name" as slots, or raise where they do not fit."""
    found, expected = [], set()
    for position, parameter in enumerate(parameters):
        slots = Slots()
        for name in names:
            key = f"{position}/{name}"
            array = None if key not in arrays else np.asarray(arrays[key])
            if array is None or array.shape != tuple(parameter.shape):
                given = "missing" if array is None else f"of shape {array.shape}"
                raise ValueError(
                    f"{owner}: the state's '{key}' is {given}; weight '{parameter.name}' has "
                    f"shape {parameter.shape}"
                )
            slots[name] = np.array(array, np.float32, order="C")
        slots.start = int(arrays.get(f"{position}/start", 0))
        slots.undecayed = bool(arrays.get(f"{position}/undecayed", False))
        expected |= {f"{position}/{name}" for name in ("start", "undecayed", *names)}
        found.append(slots)
    if extra := sorted(arrays.keys() - expected):
        raise ValueError(f"{owner}: the state has {extra}, which fit no parameter")
    return found


def to_arrays(slots: Sequence[Slots]) -> dict[str, np.ndarray | int]:
    """Return copies of slots as "position/name", "start" and "undecayed" where they are not 0."""
    arrays: dict[str, np.ndarray | int] = {}
    for position, own in enumerate(slots):
        arrays |= {f"{position}/{name}": slot.copy() for name, slot in own.items()}
        for name in ("start", "undecayed"):
            if getattr(own, name):
                arrays[f"{position}/{name}"] = int(getattr(own, name))
    return arrays
