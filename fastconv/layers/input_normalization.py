"""Normalization by the mean and variance of the data."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .._core.memory import contiguous
from .._core.validation import integer, number_array, optional, truth, wrong_value
from .arguments import Shape
from .base import Layer
from .options import FixedOption, LayerOption, Weight
from .rescaling import along_rows

_LEAST_DEVIATION = 1e-7
_ROWS_AT_ONCE = 256


def _axes(value: Any, argument: str, owner: str) -> tuple[int, ...]:
    if value is None:
        return ()
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    return tuple(integer(axis, argument, owner) for axis in values)


def _moments(value: Any, argument: str, owner: str) -> Any:
    array = number_array(value, argument, owner)
    if not np.isfinite(array).all():
        raise wrong_value(value, argument, owner, "finite")
    if argument == "variance" and array.min(initial=0) < 0:
        raise wrong_value(value, argument, owner, "at least 0")
    return array.tolist()


class _MomentOption(FixedOption[Any]):
    """The mean or the variance: what was given, and once the layer is built what counts."""

    def __get__(self, instance: Any, cls: type) -> Any:
        if instance is None:
            return self
        return instance._moment(self.name) if instance.built else instance.__dict__[self.name]


class Normalization(Layer):
    """Returns `(x - mean) / sqrt(variance)`, in training and without.

    Args:
        axis: the axes that have a mean and a variance for each of their places, the channels
            by default; None for one of everything.
        mean, variance: the numbers, both or neither; without them `adapt(data)` measures.
        invert: return `x * sqrt(variance) + mean` instead.

    Attributes `mean` and `variance`, once the layer is built, are arrays that broadcast to the
    inputs.  Weights, none of them trained, where the numbers are not given: `mean`, `variance` and
    `count`, which is there because Keras's files have it. A standard deviation counts as at
    least 1e-7.
    """

    axis = FixedOption(_axes)
    mean, variance = _MomentOption(optional(_moments)), _MomentOption(optional(_moments))
    invert = LayerOption(truth)
    adapt_mean, adapt_variance, count = Weight(), Weight(), Weight()

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.axis, self.invert = axis, invert
        if (mean is None) != (variance is None):
            raise ValueError(
                f"{self.owner}: mean is {mean!r} and variance is {variance!r}; both must be given, "
                "or neither"
            )
        self.mean, self.variance = mean, variance
        shapes = np.shape(mean), np.shape(variance)
        if shapes[0] != shapes[1] or len(shapes[0]) > len(self.axis):
            raise ValueError(
                f"{self.owner}: mean has shape {shapes[0]} and variance {shapes[1]}; they must "
                f"have one shape, of at most {len(self.axis)} dimensions, as axis is {self.axis}"
            )
        self.adapt_mean = self.adapt_variance = self.count = None

    @property
    def _given(self) -> Any:
        return self.__dict__["mean"]

    def build(self, input_shape: Shape) -> None:
        rank = len(input_shape)
        if any(not -rank <= axis < rank for axis in self.axis):
            raise ValueError(
                f"{self.owner}: axis is {self.axis}; it must be of the inputs, {tuple(input_shape)}"
            )
        kept = sorted(axis % rank for axis in self.axis)
        if any(input_shape[axis] is None for axis in kept):
            raise ValueError(
                f"{self.owner}: axis is {self.axis}; it must be of known size in the inputs, "
                f"{tuple(input_shape)}"
            )
        self._kept = tuple(kept)
        sizes = tuple(input_shape[axis] or 0 for axis in kept)
        self._broadcast = tuple((input_shape[a] or 0) if a in kept else 1 for a in range(rank))
        if self._given is None:
            weights = (
                ("mean", "zeros", sizes),
                ("variance", "ones", sizes),
                ("count", "zeros", ()),
            )
            self.adapt_mean, self.adapt_variance, self.count = (
                self.add_weight(shape, initializer, trainable=False, name=name)
                for name, initializer, shape in weights
            )
        else:
            self._check_given(sizes)

    def _check_given(self, sizes: tuple[int, ...]) -> None:
        shape = np.shape(self._given)
        aligned = sizes[len(sizes) - len(shape) :]
        if any(mine not in (1, size) for mine, size in zip(shape, aligned, strict=True)):
            raise ValueError(
                f"{self.owner}: mean has shape {shape}; it must have the sizes of the axes "
                f"{self.axis} of the inputs, {sizes}"
            )

    def _moment(self, name: str) -> np.ndarray:
        """Return the mean or the variance in a shape that broadcasts to the inputs."""
        given = self.__dict__[name]
        if given is None:
            measured = self.adapt_mean if name == "mean" else self.adapt_variance
            return np.array(measured.contents).reshape(self._broadcast)
        sizes = tuple(self._broadcast[axis] for axis in self._kept)
        array: np.ndarray = np.broadcast_to(np.asarray(given, np.float32), sizes)
        return array.reshape(self._broadcast)

    def adapt(self, data: Any) -> None:
        """Measure mean and variance: of an array (n, ...), or of all batches of an iterable.

        Batches are `x` or (x, ...); a list is one of batches. What was measured before is
        forgotten. Raises ValueError where `data` are empty, hold a value that is not finite or
        do not fit the inputs the layer is built for; nothing is changed then.
        """
        if self._given is not None:
            raise ValueError(f"{self.owner}: adapt: the layer was given its mean and variance")
        batches = _batches(data, self.owner)
        first = next(batches, None)
        if first is None:
            raise ValueError(f"{self.owner}: adapt: the data are empty; give at least one row")
        if not self.built:
            self.build((None, *first.shape[1:]))
        mean, variance = self._measured(itertools.chain([first], batches))
        with self._workspaces.locked():
            self.adapt_mean.assign(mean)
            self.adapt_variance.assign(variance)

    def _measured(self, batches: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance of all batches, in float64."""
        total, mean, squares = 0, np.zeros(()), np.zeros(())
        for batch in batches:
            fits = batch.ndim == len(self._broadcast) and all(
                batch.shape[axis] == self._broadcast[axis] for axis in self._kept
            )
            if not fits:
                raise ValueError(
                    f"{self.owner}: adapt: a batch has shape {batch.shape}; it must fit the "
                    f"inputs, {self.input_shape}"
                )
            reduced = tuple(axis for axis in range(batch.ndim) if axis not in self._kept)
            count = math.prod(batch.shape[axis] for axis in reduced)
            if not count:
                continue
            batch = batch.astype(np.float64)
            batch_mean = batch.mean(axis=reduced, keepdims=True)
            batch -= batch_mean
            apart = batch_mean - mean
            squares = squares + np.square(batch, out=batch).sum(axis=reduced, keepdims=True)
            squares = squares + apart**2 * (total * count / (total + count))
            total += count
            mean = mean + apart * (count / total)
        if not np.isfinite(squares).all():
            raise ValueError(f"{self.owner}: adapt: the data hold values that are not finite")
        if not total:
            raise ValueError(f"{self.owner}: adapt: the data are empty; give at least one row")
        shape = self.adapt_mean.shape
        return mean.reshape(shape), (squares / total).reshape(shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[1:])

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self._workspace.saved_for_backward = x.shape if training else None
        x = contiguous(x, np.float32)
        out = self.buffer("output", x.shape)
        mean, deviation = along_rows(self.mean, x.shape), self._deviation(x.shape)
        if self.invert:
            np.multiply(x, deviation, out=out)
            np.add(out, mean, out=out)
        else:
            np.subtract(x, mean, out=out)
            np.divide(out, deviation, out=out)
        return out

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        dy = self.checked_gradient(dy, self._saved_for_backward())
        if not self.needs_input_gradient:
            return None
        operation, dx = np.multiply if self.invert else np.divide, self.buffer("dx", dy.shape)
        operation(dy, self._deviation(dy.shape), out=dx)
        return dx

    def _deviation(self, shape: Sequence[int]) -> np.ndarray:
        return along_rows(np.maximum(np.sqrt(self.variance), _LEAST_DEVIATION), shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": list(self.axis),
            "mean": self._given,
            "variance": self.__dict__["variance"],
            "invert": self.invert,
        }


def _batches(data: Any, owner: str) -> Iterator[np.ndarray]:
    """Yield the arrays of data: parts of one, or what each batch has first."""
    if hasattr(data, "__array__") or hasattr(data, "__dlpack__"):
        array = number_array(data, "data", f"{owner}: adapt")
        if array.ndim == 0:
            raise ValueError(f"{owner}: adapt: data is one number; it must be an array (n, ...)")
        for start in range(0, len(array), _ROWS_AT_ONCE):
            yield array[start : start + _ROWS_AT_ONCE]
        return
    if hasattr(data, "__len__") and hasattr(data, "__getitem__"):  # which may have no end by iter()
        batches: Iterable[Any] = map(data.__getitem__, range(len(data)))
    else:
        batches = data
    if not isinstance(batches, Iterable) or isinstance(data, (str, bytes, dict)):
        raise TypeError(
            f"{owner}: adapt: data is a {type(data).__name__}; it must be an array or batches"
        )
    for batch in batches:
        # As everywhere: a list is one of parts where its first is an array, else of rows.
        of_parts = isinstance(batch, list) and 1 <= len(batch) <= 3 and hasattr(batch[0], "shape")
        x = batch[0] if of_parts or isinstance(batch, tuple) else batch
        yield number_array(x, "a batch", f"{owner}: adapt")
