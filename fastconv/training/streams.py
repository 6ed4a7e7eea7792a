"""Where batches come from: arrays, iterators of batches and plain generators, under one face.

A *stream* hands out batches `(x, y, sample_weight)` for one epoch after the
other. Which images are in which batch depends on the data's seed and on how
many passes over it were made, never on anything else, so that a stream can
go on from a saved state.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any

import numpy as np

from .._core.validation import is_array, positive_integer
from .batches import (
    ArrayBatches,
    Batch,
    SequenceStream,
    as_batch,
    check_arrays,
    check_kind,
    each,
    length,
    rows_of,
)
from .ports import ONE, Ports


class IterableStream:
    """A stream over what can be gone through: a PyTorch DataLoader, a generator.

    A pass ends where the data end, and the next one begins with a new
    `iter(data)`. With `steps` given, passes flow into each other. A generator
    has one pass alone, and its position cannot be saved.
    """

    def __init__(self, data: Any, steps: int | None, owner: str, ports: Ports = ONE) -> None:
        self.data = data
        self._owner, self._ports = owner, ports
        self._steps = steps
        self._iterator: Iterator[Any] | None = None
        self._peeked: list[Batch] = []
        self._in_pass = 0

    @property
    def steps(self) -> int | None:
        """Batches in an epoch, None where only its end will tell."""
        return length(self.data) if self._steps is None else self._steps

    @property
    def needs_steps(self) -> bool:
        """Whether it must be told how many batches an epoch has: there may be no end."""
        return self.steps is None and hasattr(self.data, "__next__")

    def peek(self) -> Batch:
        """Return the first batch without taking it."""
        if not self._peeked:
            try:
                self._peeked.append(self._next())
            except StopIteration:
                raise self._ended(0) from None
        return self._peeked[0]

    def all_labels(self) -> tuple[Any, Any]:
        """Return the first batch's labels and weights; later ones are seen as they come."""
        return self.peek()[1:]

    def begin(self) -> None:
        """Nothing to prepare: a pass begins with its first batch."""

    def take(self) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        return self._batches(anew=self._steps is None)

    def one_pass(self) -> Iterator[Batch]:
        """Yield the batches from the beginning, as far as the data have one."""
        return self._batches(anew=True)

    def _batches(self, anew: bool) -> Iterator[Batch]:
        if anew and not self._peeked:
            self._iterator = None
        taken = 0
        while self._steps is None or taken < self._steps:
            try:
                batch = self._peeked.pop() if self._peeked else self._next()
            except StopIteration:
                self._iterator = None
                if self._in_pass == 0:
                    raise self._ended(taken) from None
                if self._steps is None:
                    return
                continue
            self._in_pass += 1
            taken += 1
            yield batch

    def _next(self) -> Batch:
        if self._iterator is None:
            begin = iter if hasattr(self.data, "__iter__") else lambda data: data
            self._iterator = begin(self.data)
            self._in_pass = 0
        return as_batch(next(self._iterator), self._owner, self._ports)

    def _ended(self, taken: int) -> ValueError:
        if self._steps is not None and taken:
            return ValueError(
                f"{self._owner}: the generator ended after {taken} of {self._steps} batches; let "
                "it go on for ever or ask for fewer steps"
            )
        return ValueError(
            f"{self._owner}: the {type(self.data).__name__} gave no batch; at least one is needed "
            "(a generator that ended does not begin again)"
        )

    def get_state(self) -> dict[str, Any]:
        return {"kind": "an iterable"}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Check that the state is of such data, too; nothing is restored, a new pass begins."""
        check_kind(state, "an iterable")


Stream = SequenceStream | IterableStream

#: Rows of arrays in a batch, unless it is said.
BATCH_SIZE = 32


def is_batch_iterator(data: Any) -> bool:
    """Whether `data` hands out batches itself, rather than being an array or a list."""
    if isinstance(data, (list, tuple, np.ndarray, Mapping)) or _is_array(data):
        return False
    return hasattr(data, "__next__") or hasattr(data, "__iter__") or _is_sequence(data)


def _is_sequence(data: Any) -> bool:
    return hasattr(data, "__len__") and hasattr(data, "__getitem__")


def _is_array(data: Any) -> bool:
    sparse = hasattr(data, "nnz") and hasattr(data, "toarray")  # which is refused as an array
    return sparse or is_array(data)


def _is_endless(data: Any) -> bool:
    """Whether `data` says that it has no end, as a repeated `tf.data.Dataset` does."""
    if not hasattr(data, "__iter__") or not callable(getattr(data, "cardinality", None)):
        return False
    return int(data.cardinality()) == -1


def stream_of(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    seed: int | None = None,
    steps: int | None = None,
    start: int = 0,
    owner: str,
    steps_argument: str = "steps",
    ports: Ports = ONE,
) -> Stream:
    """Return a stream over arrays `x`, `y`, `sample_weight`, or over the batch iterator `x`.

    `seed` shuffles arrays; an iterator is asked for its batches in its own
    order. `steps` is the number of batches an epoch has, by default one pass;
    `start` the epoch a run begins at.
    """
    if steps is not None:
        if isinstance(steps, (float, np.floating)) and math.isfinite(steps):
            steps = math.ceil(steps)  # what len(x) / batch_size stands for
        steps = positive_integer(steps, steps_argument, owner)
    _refuse_what_is_no_data(x, owner, ports)
    if is_batch_iterator(x):
        for name, value in (("y", y), ("sample_weight", sample_weight), ("batch_size", batch_size)):
            if value is not None:
                raise ValueError(
                    f"{owner}: {name} is given with a batch iterator; it must be left out: the "
                    "iterator brings its own"
                )
        if _is_sequence(x):
            return SequenceStream(x, steps, owner, start, ports)
        if steps is None and _is_endless(x):
            raise ValueError(
                f"{owner}: {steps_argument} is None; it must be given: the {type(x).__name__} has "
                "no end, as after repeat()"
            )
        return IterableStream(x, steps, owner, ports)
    x, y, sample_weight = check_arrays(x, y, sample_weight, owner, ports)
    if batch_size is None:
        batch_size = BATCH_SIZE
    batch_size = positive_integer(batch_size, "batch_size", owner)
    batches = ArrayBatches(x, y, sample_weight, batch_size=batch_size, seed=seed)
    return SequenceStream(batches, steps, owner, start, ports)


def _refuse_what_is_no_data(x: Any, owner: str, ports: Ports) -> None:
    kind = type(x).__name__
    if isinstance(x, Mapping) and not ports.names:
        raise TypeError(f"{owner}: x is a {kind}; it must be an array: a model has one input")
    if isinstance(x, (str, bytes, os.PathLike)):
        raise TypeError(
            f"{owner}: x is {x!r}; it must be arrays or batches; for a folder of images give "
            "ImageDataGenerator().flow_from_directory(...)"
        )
    if isinstance(x, type) or (callable(x) and not (_is_array(x) or is_batch_iterator(x))):
        name = getattr(x, "__name__", kind)
        raise TypeError(
            f"{owner}: x is {name} itself; it must be its batches; call it: {name}(...)"
        )


def split_validation(
    fraction: float, x: Any, y: Any, sample_weight: Any, owner: str, ports: Ports = ONE
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Split the last `fraction` of the rows off: `(x, y, w), (x, y, w)`."""
    if not (isinstance(fraction, Real) and 0 < fraction < 1):
        raise ValueError(
            f"{owner}: validation_split is {fraction!r}; it must be a number between 0 and 1"
        )
    if is_batch_iterator(x):
        raise ValueError(
            f"{owner}: validation_split is {fraction!r}; it must be left out with a batch "
            "iterator; give its validation part as validation_data"
        )
    arrays = check_arrays(x, y, sample_weight, owner, ports)
    rows = rows_of(arrays[0])
    at = int(rows * (1 - fraction))
    if at in (0, rows):
        raise ValueError(
            f"{owner}: validation_split is {fraction!r}; it must leave rows in both parts, of "
            f"{rows}"
        )
    return each(lambda a: a[:at], arrays), each(lambda a: a[at:], arrays)
