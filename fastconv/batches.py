"""Where batches come from: arrays, iterators of batches and plain generators, under one face.

A *stream* hands out batches `(x, y, sample_weight)` for one epoch after the
other. Which images are in which batch depends on the data's seed and on how
many passes over it were made, never on anything else, so that a stream can
go on from a saved state.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ._memory import contiguous
from ._validation import NUMBER_KINDS, any_array, number_array, positive_integer


class Batch(NamedTuple):
    """One batch: `x` float32 (n, ...), `y` (n, ...) or None, `sample_weight` (n,) or None."""

    x: np.ndarray
    y: np.ndarray | None
    sample_weight: np.ndarray | None


class ArrayBatches:
    """Arrays as a sequence of batches, shuffled anew in every pass where asked.

    Shuffling is a function of (seed, pass) alone. `x` of float32 is gathered
    into one buffer that the next batch overwrites.
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
        *,
        batch_size: int = 32,
        seed: int | None = None,
    ) -> None:
        self.x, self.y, self.sample_weight = x, y, sample_weight
        self.batch_size = batch_size
        self.seed = seed
        self.set_epoch(0)

    def __len__(self) -> int:
        return -(-len(self.x) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Take the order of pass number `epoch`."""
        self.epoch = epoch
        if self.seed is None:
            self._order = None
        else:
            self._order = np.random.default_rng([self.seed, epoch]).permutation(len(self.x))

    def __getitem__(self, index: int) -> tuple:
        rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        if self._order is None:
            x = self.x[rows]
        else:
            rows = self._order[rows]
            x = self._gather(rows)
        y, weight = (None if a is None else a[rows] for a in (self.y, self.sample_weight))
        return x, y, weight

    def _gather(self, rows: np.ndarray) -> np.ndarray:
        if self.x.dtype != np.float32:
            return self.x[rows]
        buffer = getattr(self, "_buffer", None)
        if buffer is None:
            size = min(self.batch_size, len(self.x))
            buffer = self._buffer = np.empty((size, *self.x.shape[1:]), np.float32)
        # mode="clip" lets take() write straight into `out`; the rows are in range.
        return np.take(self.x, rows, axis=0, out=buffer[: len(rows)], mode="clip")

    def get_state(self) -> dict[str, Any]:
        return {"seed": self.seed, "epoch": self.epoch}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.seed = state["seed"]
        self.set_epoch(int(state["epoch"]))


class SequenceStream:
    """A stream over an object with `__len__` and `__getitem__(index) -> (x, y[, weights])`.

    Where the object has them, `on_epoch_end()` is called after every pass,
    `set_epoch(pass)` before it, and `get_state` / `set_state` carry its seed.
    """

    def __init__(self, sequence: Any, steps: int | None, owner: str, start: int = 0) -> None:
        if len(sequence) < 1:
            raise ValueError(f"{owner}: the data is empty; at least one batch is needed")
        self.sequence = sequence
        self._steps = steps
        self._owner = owner
        self._index = 0
        saved = sequence.get_state() if hasattr(sequence, "get_state") else {}
        # An iterator that was used before goes on where it is; a fresh one in a
        # run that begins at a later epoch starts at that epoch.
        self._pass = max(start, int(saved.get("epoch", 0)))

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(self.sequence) if self._steps is None else self._steps

    def peek(self) -> Batch:
        """Return the first batch without taking it."""
        return as_batch(self.sequence[self._index], self._owner)

    def all_labels(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the labels and weights that can be seen beforehand: all rows of arrays."""
        if isinstance(self.sequence, ArrayBatches):
            return self.sequence.y, self.sequence.sample_weight
        return self.peek()[1:]

    def begin(self) -> None:
        """Put the sequence on the pass that the next batch belongs to."""
        if hasattr(self.sequence, "set_epoch"):
            self.sequence.set_epoch(self._pass)

    def take(self) -> Iterator[Batch]:
        """Yield the batches of one epoch; with `steps` given, passes flow into each other."""
        for _ in range(self.steps):
            if self._index >= len(self.sequence):
                self._end_pass()
            item = self.sequence[self._index]
            self._index += 1
            yield as_batch(item, self._owner)
        if self._index >= len(self.sequence):
            self._end_pass()

    def one_pass(self) -> Iterator[Batch]:
        """Yield the batches from the beginning without counting it as a pass."""
        length = len(self.sequence)
        for index in range(self.steps):
            yield as_batch(self.sequence[index % length], self._owner)

    def _end_pass(self) -> None:
        self._index = 0
        self._pass += 1
        if hasattr(self.sequence, "on_epoch_end"):
            self.sequence.on_epoch_end()
        self.begin()

    def get_state(self) -> dict[str, Any]:
        own = self.sequence.get_state() if hasattr(self.sequence, "get_state") else None
        return {"pass": self._pass, "index": self._index, "sequence": own}

    def set_state(self, state: Mapping[str, Any]) -> None:
        if state.get("sequence") is not None and hasattr(self.sequence, "set_state"):
            self.sequence.set_state(state["sequence"])
        if "pass" in state:
            self._pass, self._index = int(state["pass"]), int(state["index"])
        self.begin()


class GeneratorStream:
    """A stream over a plain generator; its position cannot be saved."""

    def __init__(self, generator: Any, steps: int | None, owner: str) -> None:
        self.generator = generator
        self.steps = steps
        self._owner = owner
        self._peeked: list[Batch] = []

    def peek(self) -> Batch:
        if not self._peeked:
            self._peeked.append(self._next())
        return self._peeked[0]

    def all_labels(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        return self.peek()[1:]

    def begin(self) -> None:
        """Nothing to prepare: a generator has no passes."""

    def take(self) -> Iterator[Batch]:
        taken = 0
        while self.steps is None or taken < self.steps:
            try:
                batch = self._peeked.pop() if self._peeked else self._next()
            except StopIteration:
                if self.steps is None and taken:
                    return
                raise ValueError(
                    f"{self._owner}: the generator ended after {taken} of {self.steps or 'some'} "
                    "batches; let it go on for ever or ask for fewer steps"
                ) from None
            taken += 1
            yield batch

    one_pass = take

    def _next(self) -> Batch:
        return as_batch(next(self.generator), self._owner)

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Nothing to restore."""


Stream = SequenceStream | GeneratorStream


def is_batch_iterator(data: Any) -> bool:
    """Whether `data` hands out batches itself, rather than being an array or a list."""
    if isinstance(data, (list, tuple, np.ndarray)) or hasattr(data, "__array__"):
        return False
    return hasattr(data, "__next__") or (hasattr(data, "__len__") and hasattr(data, "__getitem__"))


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
) -> Stream:
    """Return a stream over arrays `x`, `y`, `sample_weight`, or over the batch iterator `x`.

    `seed` shuffles arrays; an iterator is asked for its batches in its own
    order. `steps` is the number of batches an epoch has, by default one pass;
    `start` the epoch a run begins at.
    """
    if steps is not None:
        steps = positive_integer(steps, "steps", owner)
    if is_batch_iterator(x):
        if isinstance(x, Mapping):
            raise TypeError(f"{owner}: x is a {type(x).__name__}; a model has one input: an array")
        for name, value in (("y", y), ("sample_weight", sample_weight), ("batch_size", batch_size)):
            if value is not None:
                raise ValueError(
                    f"{owner}: {name} is given together with a batch iterator, which brings its "
                    "own; leave it out"
                )
        if hasattr(x, "__getitem__"):
            return SequenceStream(x, steps, owner, start)
        return GeneratorStream(x, steps, owner)
    x, y, sample_weight = check_arrays(x, y, sample_weight, owner)
    batch_size = 32 if batch_size is None else positive_integer(batch_size, "batch_size", owner)
    batches = ArrayBatches(x, y, sample_weight, batch_size=batch_size, seed=seed)
    return SequenceStream(batches, steps, owner, start)


def check_arrays(x: Any, y: Any, sample_weight: Any, owner: str) -> tuple:
    """Return the three as arrays of one length, or raise; None stays None."""
    if x is None:
        raise ValueError(f"{owner}: there is no data; give arrays x and y or a batch iterator")
    x = number_array(x, "x", owner)
    if y is not None:  # of any dtype: a prediction ignores the labels that an iterator brings
        y = any_array(y, "y", owner)
    if sample_weight is not None:
        sample_weight = number_array(sample_weight, "sample_weight", owner)
    for name, array in (("x", x), ("y", y), ("sample_weight", sample_weight)):
        if array is None:
            continue
        if array.ndim < 1 or len(array) == 0:
            raise ValueError(f"{owner}: {name} has shape {array.shape}; at least one row is needed")
        if len(array) != len(x):
            raise ValueError(
                f"{owner}: x has {len(x)} rows and {name} has {len(array)}; they must be as many"
            )
    return x, y, sample_weight


def check_label_dtype(y: np.ndarray, owner: str) -> None:
    """Refuse labels that are no numbers, such as the classes' names."""
    if y.dtype.kind not in NUMBER_KINDS:
        raise TypeError(
            f"{owner}: y has dtype {y.dtype}; numbers are needed: for names of classes give "
            "numpy.unique(y, return_inverse=True)[1]"
        )


def as_batch(item: Any, owner: str) -> Batch:
    """Return what an iterator handed out, `x`, `(x,)`, `(x, y)` or `(x, y, weights)`."""
    parts = item if isinstance(item, tuple) else (item,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(
            f"{owner}: the iterator gave {len(parts)} values; (x, y) or (x, y, sample_weight) "
            "are accepted"
        )
    x, y, weight = check_arrays(*parts, *(None,) * (3 - len(parts)), owner)
    return Batch(contiguous(x, np.float32), y, weight)


def split_validation(fraction: float, x: Any, y: Any, sample_weight: Any, owner: str) -> tuple:
    """Split the last `fraction` of the rows off: `(x, y, w), (x, y, w)`."""
    if not 0 < fraction < 1:
        raise ValueError(f"{owner}: validation_split is {fraction}; give a number between 0 and 1")
    if is_batch_iterator(x):
        raise ValueError(
            f"{owner}: validation_split works on arrays; give a batch iterator's validation part "
            "as validation_data"
        )
    arrays = check_arrays(x, y, sample_weight, owner)
    at = int(len(arrays[0]) * (1 - fraction))
    if at in (0, len(arrays[0])):
        raise ValueError(
            f"{owner}: validation_split={fraction} of {len(arrays[0])} rows leaves an empty part"
        )
    first = tuple(None if a is None else a[:at] for a in arrays)
    return first, tuple(None if a is None else a[at:] for a in arrays)


def check_class_weight(class_weight: Any, owner: str) -> dict[int, float] | None:
    """Return `class_weight`, class index to weight, or raise."""
    if class_weight is None:
        return None
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f"{owner}: class_weight is {class_weight!r}; give a dict such as {{0: 1.0, 1: 2.0}}"
        )
    try:
        weights = {int(index): float(weight) for index, weight in class_weight.items()}
        if all(map(math.isfinite, weights.values())):
            return weights
        raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"{owner}: class_weight is {class_weight!r}; its keys are class indices (0, 1, ...) "
            "and its values finite numbers"
        ) from None


def weigh_classes(batch: Batch, class_weight: dict[int, float] | None) -> Batch:
    """Multiply each row's weight by that of its class; classes not named weigh 1.

    Raises ValueError where `sample_weight` has more than one number for a row.
    """
    if class_weight is None or batch.y is None:
        return batch
    labels = batch.y
    if labels.ndim > 1:
        labels = labels.argmax(axis=-1) if labels.shape[-1] > 1 else labels.reshape(len(labels))
    weight = np.ones(len(labels), np.float32)
    for index, value in class_weight.items():
        weight[labels == index] = value
    if batch.sample_weight is not None:
        if batch.sample_weight.size != len(labels):
            raise ValueError(
                f"class_weight: sample_weight has shape {batch.sample_weight.shape}; together with "
                f"class_weight {labels.shape} is expected"
            )
        weight *= batch.sample_weight.reshape(len(labels))
    return batch._replace(sample_weight=weight)
