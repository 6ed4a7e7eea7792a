"""What a metric is: it takes in batches and has a result; and what it keeps its sums in."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .. import initializers
from .._core.json_values import Configured
from .._core.naming import describe, snake_case
from ..losses.base import check_dtype, match_rank

# Words, which single spaces or marks may join: "val accuracy", "top-5", "f1@0.5", "head/loss".
_NAME = re.compile(r"\w+(?:[ .@/+:=-]\w+)*")
_LONGEST_NAME = 100


def is_name(name: Any) -> bool:
    """Whether `name` is made of words, as a metric's must be."""
    return isinstance(name, str) and len(name) <= _LONGEST_NAME and bool(_NAME.fullmatch(name))


def check_name(name: Any) -> str:
    """Return a metric's name if it is made of words.

    It becomes a column of tables, a part of files' names and a line on the
    screen, and may come out of a file of a stranger's. Raises ValueError.
    """
    if not is_name(name):
        raise ValueError(
            f"metrics: the name {str(name)[:_LONGEST_NAME]!r} is not made of words; give letters, "
            f"digits and '_', at most {_LONGEST_NAME}, such as 'accuracy' or 'top_5'"
        )
    return str(name)


class Variable(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of float64 that a metric keeps: `assign`, `assign_add`, `assign_sub`.

    NumPy's functions and Python's operators take it for the array that it holds.
    """

    def __init__(self, value: Any, name: str) -> None:
        self.name = name
        self._array = np.array(value, np.float64)

    @property
    def value(self) -> np.ndarray:
        """A copy of what it holds."""
        return np.array(self._array)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what it holds, which stays."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype:
        """float64."""
        return np.dtype(np.float64)

    def numpy(self) -> np.ndarray:
        """Return a copy of what it holds."""
        return self.value

    def assign(self, value: Any) -> Variable:
        """Hold `value`, of the same shape, from now on."""
        array = np.asarray(value, np.float64)
        if array.shape != self._array.shape:
            raise ValueError(
                f"{self.name}: the value has shape {array.shape}; it must be {self._array.shape}"
            )
        self._array = array.copy()
        return self

    def clear(self) -> None:
        """Hold zeros from now on."""
        self._array.fill(0)

    def assign_add(self, value: Any) -> Variable:
        """Add `value`."""
        np.add(self._array, value, out=self._array)
        return self

    def assign_sub(self, value: Any) -> Variable:
        """Subtract `value`."""
        np.subtract(self._array, value, out=self._array)
        return self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._array, dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        out = options.pop("out", None)
        plain = (one._array if isinstance(one, Variable) else one for one in inputs)
        result = getattr(ufunc, method)(*plain, **options)
        if out is None:
            return result
        return out[0].assign(result) if isinstance(out[0], Variable) else np.copyto(out[0], result)

    def __getitem__(self, index: Any) -> Any:
        return self._array[index].copy()

    def __len__(self) -> int:
        return len(self._array)

    def __float__(self) -> float:
        return float(self._array)

    def __bool__(self) -> bool:
        return bool(self._array)

    def __repr__(self) -> str:
        return f"Variable(name={self.name!r}, value={self._array!r})"


class Metric(Configured):
    """Base class: `update_state` with each batch, `result` at any time, `reset_state` in between.

    `name`, made from the class's name unless given, is what the logs say; it
    must be made of words (`check_name`). `larger_is_better` says which way the
    metric gets better, for callbacks that look for the best epoch; None leaves
    it to their `mode=`. `result` returns a number; of an array the logs have the
    mean, of a dict each number under its key.

    A class of your own keeps what it likes in attributes; what it makes with
    `add_variable`, and the metrics that are its attributes, `reset_state` sets
    to 0 by itself. `dtype` is kept for configurations: sums are float64.
    """

    larger_is_better: bool | None = None

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = check_name(name or snake_case(type(self).__name__))
        self._dtype = check_dtype(dtype, self.name) or "float32"
        self._variables: list[Variable] = []

    @property
    def dtype(self) -> str:
        """The dtype that was asked for; sums are float64."""
        return self._dtype

    def add_variable(
        self,
        shape: Any,
        initializer: Any = None,
        dtype: Any = None,
        aggregation: str | None = None,
        name: str | None = None,
    ) -> Variable:
        """Return a new `Variable` of `shape` which `reset_state` sets to 0.

        `initializer` is None (zeros), a name or an initializer; dtype and
        aggregation change nothing: it is float64, and there is one process.
        """
        if "_variables" not in self.__dict__:
            raise RuntimeError(
                f"{type(self).__name__}: add_variable was called before super().__init__()"
            )
        shape = tuple(shape) if np.iterable(shape) else (shape,)
        zeros = initializer is None or isinstance(initializer, initializers.Zeros)
        value = np.zeros(shape) if zeros else initializers.get(initializer)(shape)
        variable = Variable(value, name or f"{self.name}/variable_{len(self._variables)}")
        self._variables.append(variable)
        return variable

    def add_weight(
        self, shape: Any = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Variable:
        """Return `add_variable(shape, initializer, dtype, name=name)`."""
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        """What `add_variable` has made, of metrics that are attributes too."""
        own = list(self.__dict__.get("_variables", ()))
        return own + [one for metric in self._metrics() for one in metric.variables]

    def _metrics(self) -> Iterator[Metric]:
        for value in self.__dict__.values():
            inner = value.values() if isinstance(value, dict) else value
            for one in inner if isinstance(value, (dict, list, tuple)) else (value,):
                if isinstance(one, Metric):
                    yield one

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take in a batch: (y_true, y_pred, sample_weight=None) where a model is to use it."""
        raise NotImplementedError(
            f"{type(self).__name__} does not define update_state(y_true, y_pred, sample_weight)"
        )

    def result(self) -> Any:
        """Return the metric of what was taken in since the last `reset_state`."""
        raise NotImplementedError(f"{type(self).__name__} does not define result")

    def reset_state(self) -> None:
        """Forget every batch."""
        inner = list(self._metrics())
        if not inner and not self.__dict__.get("_variables"):
            raise NotImplementedError(
                f"{type(self).__name__} does not define reset_state, and has made nothing with "
                "add_variable that could be set to 0"
            )
        for variable in self._variables:
            variable.clear()
        for metric in inner:
            metric.reset_state()

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Do what `update_state` does, by its short name."""
        self.update_state(*args, **kwargs)

    def reset(self) -> None:
        """Do what `reset_state` does, by its short name."""
        self.reset_state()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take in a batch and return the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; they fit JSON."""
        return {"name": self.name, "dtype": self._dtype}

    def __repr__(self) -> str:
        return self._described()

    def _described(self, **values: Any) -> str:
        return describe(self, dtype=None if self._dtype == "float32" else self._dtype, **values)


def logged(name: str, result: Any) -> dict[str, float]:
    """Return what the logs have of a metric's result, by name.

    The mean of an array, as Keras's line of progress shows it; a dict's own entries.
    Raises TypeError for what is no number.
    """
    if isinstance(result, Mapping):
        return {check_name(key): float(value) for key, value in result.items()}
    if isinstance(result, (np.ndarray, Variable)):
        return {name: float(np.mean(np.asarray(result)))}
    return {name: float(result)}


def fitting(owner: str, y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and predictions as arrays of one shape, or raise ValueError."""
    predictions = np.asarray(y_pred)
    targets = match_rank(np.asarray(y_true), predictions.shape)
    if targets.shape != predictions.shape:
        raise mismatch(owner, np.asarray(y_true), predictions)
    return targets, predictions


def as_rows(array: np.ndarray) -> np.ndarray:
    """Return `array` as (samples, outputs), whatever lies between."""
    return array.reshape(math.prod(array.shape[:-1]), array.shape[-1])


def mismatch(owner: str, y_true: np.ndarray, y_pred: np.ndarray) -> ValueError:
    """Return the error of targets and predictions of different shapes."""
    return ValueError(
        f"{owner}: the targets have shape {y_true.shape} and the predictions {y_pred.shape}; "
        "they do not fit each other"
    )


def divide(dividend: Any, divisor: Any) -> np.ndarray:
    """Return the quotient, 0 where the divisor is."""
    dividend, divisor = np.broadcast_arrays(
        np.asarray(dividend, np.float64), np.asarray(divisor, np.float64)
    )
    quotient: np.ndarray = np.divide(
        dividend, divisor, out=np.zeros(dividend.shape), where=divisor != 0
    )
    return quotient
