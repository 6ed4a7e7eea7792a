"""A weight of a layer with its gradient, and the memory both live in."""

from __future__ import annotations

import copy
from typing import Any, Protocol

import numpy as np

from .. import constraints, regularizers
from .._core.memory import aligned_empty
from .._core.options import Option, Strict
from .._core.validation import truth
from . import revision


class DeferredGradient(Protocol):
    """A gradient as what it is made of, for an optimizer that needs no array of it."""

    def write(self, out: np.ndarray) -> None:
        """Write the gradient to `out`."""

    def update(self, rule: dict[str, Any], value: np.ndarray, slots: tuple[Any, ...]) -> None:
        """Take an optimizer's step, see `ops.optim`."""


_ARGUMENTS = ("name", "trainable", "regularizer", "constraint")


class _Trainable(Option[bool]):
    """Whether a parameter is trained; models look again when it changes."""

    def __set__(self, instance: Any, value: Any) -> None:
        super().__set__(instance, value)
        revision.changed()


def regularizer_of(value: Any, argument: str, owner: str) -> regularizers.Regularizer | None:
    """Return an option's value as a regularizer, by whatever `regularizers.get` knows."""
    return regularizers.get(value, owner=f"{owner}: {argument}")


def constraint_of(value: Any, argument: str, owner: str) -> constraints.Constraint | None:
    """Return an option's value as a constraint, by whatever `constraints.get` knows."""
    return constraints.get(value, owner=f"{owner}: {argument}")


class Parameter(Strict):
    """An array that training changes: `value` and, of the same shape, `gradient`.

    Both are C-contiguous float32 arrays that stay where they are: assigning to
    either attribute copies into it.  The gradient's memory comes with its first
    use: a model that only predicts has none, nor has a large weight whose
    layer leaves the gradient to the optimizer (`defer`) while nobody reads it.
    `trainable` may be assigned at any time; it counts together with the layer's.
    So may `regularizer`, whose penalty training adds to the loss, and `constraint`,
    which is applied after each step; files know those of the layer's options alone.
    """

    name: str = ""
    #: Whether the loss of the last step depends on it; if not, the next step leaves it alone.
    reached: bool = True
    trainable = _Trainable(truth)
    regularizer, constraint = Option(regularizer_of), Option(constraint_of)

    def __init__(
        self,
        name: str,
        value: Any,
        *,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
    ) -> None:
        array = np.asarray(value, np.float32)
        self.name = name
        self.trainable = trainable
        self.regularizer, self.constraint = regularizer, constraint
        self._value = aligned_empty(array.shape)
        self._value[...] = array
        self._gradient: np.ndarray | None = None
        self._deferred: DeferredGradient | None = None

    def __repr__(self) -> str:
        return f"<Parameter {self.name!r} of shape {self.shape}>"

    @property
    def owner(self) -> str:
        """The parameter as error messages name it."""
        return f"Parameter '{self.name}'"

    def __getstate__(self) -> dict[str, Any]:
        state = {name: self.__dict__[name] for name in _ARGUMENTS}
        # A deferred gradient lies in memory that the copy has no part of.
        has_gradient = self._gradient is not None or self._deferred is not None
        return {**state, "value": self._value, "gradient": self.gradient if has_gradient else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        gradient = state["gradient"]
        Parameter.__init__(self, **{name: state[name] for name in ("value", *_ARGUMENTS)})
        if gradient is not None:
            self.gradient = gradient

    def __copy__(self) -> Parameter:
        return copy.deepcopy(self)  # memory of its own

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False and dtype not in (None, np.float32):
            raise ValueError(f"Parameter '{self.name}': {dtype} needs a copy of the float32 value")
        array = self.value if dtype is None else self.value.astype(dtype, copy=False)
        return array.copy() if copy else array

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        return self._value.shape

    @property
    def dtype(self) -> str:
        """ "float32"."""
        return "float32"

    def numpy(self) -> np.ndarray:
        """Return a copy of the value."""
        return np.array(self._value)

    @property
    def size(self) -> int:
        """How many numbers the value holds."""
        return self._value.size

    @property
    def value(self) -> np.ndarray:
        """The value; writing to it changes the parameter, as long as the array or a view is held.

        A bare address, `value.ctypes.data`, holds nothing: predictions need not see what is written
        there when the array has been let go of.
        """
        revision.weights_handed_out()
        return self._value

    @value.setter
    def value(self, array: Any) -> None:
        self.assign(array)

    @property
    def contents(self) -> np.ndarray:
        """The value for who only reads it.

        What a model makes of its weights it uses again while these are nobody else's to write to:
        `value` has not been asked for since, and no array is left that looks at its memory.
        """
        return self._value

    @property
    def memory(self) -> tuple[Any, ...]:
        """The objects of which one has a reference more when somebody has the value's memory."""
        return self._value, self._value.base

    @property
    def gradient(self) -> np.ndarray:
        """The gradient that the layer's last `backward` wrote."""
        if self._gradient is None:
            self._gradient = aligned_empty(self.shape)
            if self._deferred is None:
                self._gradient.fill(0)
            else:
                self._deferred.write(self._gradient)
                self._deferred = None
        return self._gradient

    @gradient.setter
    def gradient(self, array: Any) -> None:
        array = np.asarray(array)
        self.check(array, what="gradient")
        self.gradient[...] = array

    @property
    def can_defer(self) -> bool:
        """Whether a layer may give a deferred gradient: nobody holds the array yet."""
        return self._gradient is None

    @property
    def deferred_gradient(self) -> DeferredGradient | None:
        """The gradient where it was deferred and not read since, else None."""
        return self._deferred

    def defer(self, gradient: DeferredGradient) -> None:
        """Take a gradient that is written out only if `gradient` is read.

        Once it has been, its array is somebody's: from then on the layer has to
        write there, which `can_defer` tells it.
        """
        if not self.can_defer:
            raise RuntimeError(f"Parameter '{self.name}': the gradient has its array already")
        self._deferred = gradient

    def assign(self, array: Any) -> None:
        """Copy `array`, of the same shape, into the value."""
        array = np.asarray(array)
        self.check(array)
        self._value[...] = array
        revision.weights_handed_out()

    def check(self, array: np.ndarray, *, owner: str = "", what: str = "array") -> None:
        """Raise unless `array` has this parameter's shape and holds real numbers."""
        where = f"{owner}: " if owner else ""
        if array.shape != self.shape:
            raise ValueError(
                f"{where}weight '{self.name}' has shape {self.shape}; the {what} given has "
                f"{array.shape}"
            )
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"{where}weight '{self.name}' holds float32 numbers; the {what} given has dtype "
                f"{array.dtype}"
            )
