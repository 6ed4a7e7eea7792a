"""Batches: what one is, arrays as batches, and the stream over what hands them out by index."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .._core.memory import contiguous
from .._core.validation import any_array, number_array
from .ports import ONE, Ports, by_port, only_value, parts_by_name


class Batch(NamedTuple):
    """One batch: `x` float32 (n, ...), `y` (n, ...) or None, `sample_weight` (n,) or None.

    `x` is a tuple of arrays where the model has several inputs; `y` and `sample_weight` are,
    with None where there is none, where it has several outputs.
    """

    x: Any
    y: Any
    sample_weight: Any

    @property
    def rows(self) -> int:
        return rows_of(self.x)


def rows_of(arrays: Any) -> int:
    """Return how many rows an array has, or each of a tuple of them."""
    return len(arrays[0] if isinstance(arrays, tuple) else arrays)


def each(function: Callable[[Any], Any], arrays: Any) -> Any:
    """Return what `function` makes of an array, or of each of a tuple; None stays."""
    if isinstance(arrays, tuple):
        return tuple(each(function, one) for one in arrays)
    return None if arrays is None else function(arrays)


class ArrayBatches:
    """Arrays as a sequence of batches, shuffled anew in every pass where asked.

    Shuffling is a function of (seed, pass) alone. `x` of float32 is gathered
    into one buffer that the next batch overwrites.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        batch_size: int = 32,
        seed: int | None = None,
    ) -> None:
        self.x, self.y, self.sample_weight = x, y, sample_weight
        self.batch_size = batch_size
        self.seed = seed
        self.set_epoch(0)

    def __len__(self) -> int:
        return -(-rows_of(self.x) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Take the order of pass number `epoch`."""
        self.epoch = epoch
        if self.seed is None:
            self._order = None
        else:
            self._order = np.random.default_rng([self.seed, epoch]).permutation(rows_of(self.x))

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        rows: Any = slice(index * self.batch_size, (index + 1) * self.batch_size)
        if self._order is None:
            x = each(lambda a: a[rows], self.x)
        else:
            rows = self._order[rows]
            several = isinstance(self.x, tuple)
            x = each(lambda a: a[rows], self.x) if several else self._gather(rows)
        return x, *(each(lambda a: a[rows], one) for one in (self.y, self.sample_weight))

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
        if set(state) != {"seed", "epoch"}:
            raise ValueError(f"a state with {', '.join(state)} is not of arrays")
        seed = state["seed"]
        self.seed = None if seed is None else operator.index(seed)
        self.set_epoch(operator.index(state["epoch"]))


class SequenceStream:
    """A stream over an object with `__len__` and `__getitem__(index) -> (x, y[, weights])`.

    Where the object has them, `on_epoch_end()` is called after every pass,
    `set_epoch(pass)` before it, and `get_state` / `set_state` carry its seed.
    Every batch is asked for once, also the one that is looked at beforehand.
    """

    needs_steps = False

    def __init__(
        self, sequence: Any, steps: int | None, owner: str, start: int = 0, ports: Ports = ONE
    ) -> None:
        if len(sequence) < 1:
            raise ValueError(f"{owner}: the data is empty; it must have at least one batch")
        self.sequence = sequence
        self._steps = steps
        self._owner, self._ports = owner, ports
        self._index = 0
        # An iterator that was used before goes on where it is; a fresh one in a
        # run that begins at a later epoch starts at that epoch.
        self._pass = max(start, self._epoch())
        # The batch that was looked at: of which epoch and which index.
        self._peeked: tuple[tuple[int, int], Batch] | None = None

    def _epoch(self) -> int:
        """The epoch that the sequence's batches are of now, 0 where it does not tell."""
        saved = self.sequence.get_state() if hasattr(self.sequence, "get_state") else {}
        return int(saved.get("epoch", 0))

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(self.sequence) if self._steps is None else self._steps

    def peek(self) -> Batch:
        """Return the first batch without taking it."""
        if self._peeked is None:
            length = len(self.sequence)
            for index in range(self._index, self._index + length):
                batch = self._batch(index % length)
                if batch is not None:
                    self._peeked = ((self._epoch(), index % length), batch)
                    return batch
            raise ValueError(f"{self._owner}: no batch of the data has a row")
        return self._peeked[1]

    def _batch(self, index: int) -> Batch | None:
        """Return a batch, by now of the pass that is running; None if it has no rows left."""
        if self._peeked is not None and self._peeked[0] == (self._epoch(), index):
            batch, self._peeked = self._peeked[1], None
            return batch
        item = self.sequence[index]
        return as_batch(item, self._owner, self._ports) if has_rows(item) else None

    def all_labels(self) -> tuple[Any, Any]:
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
            batch = self._batch(self._index)
            self._index += 1
            if batch is not None:
                yield batch
        if self._index >= len(self.sequence):
            self._end_pass()

    def one_pass(self) -> Iterator[Batch]:
        """Yield the batches from the beginning without counting it as a pass."""
        length = len(self.sequence)
        for index in range(self.steps):
            batch = self._batch(index % length)
            if batch is not None:
                yield batch

    def _end_pass(self) -> None:
        self._index = 0
        self._pass += 1
        if hasattr(self.sequence, "on_epoch_end"):
            self.sequence.on_epoch_end()
        self.begin()

    def get_state(self) -> dict[str, Any]:
        own = self.sequence.get_state() if hasattr(self.sequence, "get_state") else None
        return {"kind": self._kind, "pass": self._pass, "index": self._index, "sequence": own}

    @property
    def _kind(self) -> str:
        return "arrays" if isinstance(self.sequence, ArrayBatches) else "a batch iterator"

    def set_state(self, state: Mapping[str, Any]) -> None:
        check_kind(state, self._kind)
        first, index = operator.index(state["pass"]), operator.index(state["index"])
        if first < 0 or not 0 <= index <= len(self.sequence):
            raise ValueError(
                f"there is no batch {index} of pass {first} among {len(self.sequence)}"
            )
        self._peeked = None
        if state.get("sequence") is not None and hasattr(self.sequence, "set_state"):
            self.sequence.set_state(state["sequence"])
        self._pass, self._index = first, index
        self.begin()


def check_kind(state: Mapping[str, Any], mine: str) -> None:
    """Refuse a state that was saved by another kind of stream; old ones do not tell theirs."""
    saved = state.get("kind", mine if state else "an iterable")
    if saved != mine:
        raise ValueError(f"the saved run took its batches from {saved}, this one has {mine}")


def check_arrays(
    x: Any, y: Any, sample_weight: Any, owner: str, ports: Ports = ONE
) -> tuple[Any, ...]:
    """Return the three as arrays of one length, or raise; None stays None.

    Where there are several inputs or outputs they are tuples of such.
    """
    if x is None:
        raise ValueError(f"{owner}: x is None; it must be an array, with y, or a batch iterator")
    alone = y is None and sample_weight is None and ports.inputs is None
    if alone and type(x) is np.ndarray and x.size:
        return number_array(x, "x", owner), None, None  # as most predictions
    if ports.inputs is None:
        x = number_array(_unwrapped(only_value(x, "x", owner, ports), y), "x", owner)
    else:
        parts = by_port(x, ports.inputs, "x", owner)
        x = tuple(number_array(one, what, owner) for what, one in parts)
    if ports.outputs is None:
        if y is not None:  # of any dtype: a prediction ignores the labels that an iterator brings
            y = any_array(_unwrapped(only_value(y, "y", owner, ports), x), "y", owner)
        if sample_weight is not None:
            given = _unwrapped(only_value(sample_weight, "sample_weight", owner, ports), x)
            sample_weight = number_array(given, "sample_weight", owner)
    else:
        if y is not None:
            parts = by_port(y, ports.outputs, "y", owner, optional=True)
            y = tuple(None if one is None else any_array(one, what, owner) for what, one in parts)
        if sample_weight is not None:
            if not isinstance(sample_weight, (list, tuple, Mapping)):
                sample_weight = [sample_weight] * len(ports.outputs)
            parts = by_port(sample_weight, ports.outputs, "sample_weight", owner, optional=True)
            sample_weight = tuple(
                None if one is None else number_array(one, what, owner) for what, one in parts
            )
    _check_rows({"x": x, "y": y, "sample_weight": sample_weight}, owner)
    return x, y, sample_weight


def _check_rows(named: dict[str, Any], owner: str) -> None:
    """Raise unless all arrays have as many rows as the first, and at least one."""
    rows, first = None, ""
    for name, arrays in named.items():
        several = isinstance(arrays, tuple)
        for place, array in enumerate(arrays if several else (arrays,)):
            if array is None:
                continue
            of = f"{name}[{place}]" if several else name
            first = first or of
            if array.ndim < 1 or len(array) == 0:
                single = "" if array.ndim else "; make batches of single rows: data.batch(32)"
                raise ValueError(
                    f"{owner}: {of} has shape {array.shape}; it must have at least one row{single}"
                )
            rows = len(array) if rows is None else rows
            if len(array) != rows:
                raise ValueError(
                    f"{owner}: {first} has {rows} rows and {of} has {len(array)}; they must "
                    "be as many"
                )


def _unwrapped(value: Any, other: Any) -> Any:
    """Return the array of `[array]`, as Keras's lists of inputs, where it has as many rows."""
    if type(value) is np.ndarray:
        return value
    inner, rows = _inner(value), length(_inner(other))
    return inner if rows not in (None, 1) and length(inner) == rows else value


def _inner(value: Any) -> Any:
    is_list = isinstance(value, (list, tuple)) and len(value) == 1
    return value[0] if is_list and len(getattr(value[0], "shape", ())) > 0 else value


def length(data: Any) -> int | None:
    """Return how much there is of `data`, None where that is not known."""
    try:
        return len(data)
    except TypeError:  # as of a generator, or of an IterableDataset's loader
        return None


def only_input(x: Any, shape: tuple[Any, ...] | None, owner: str) -> Any:
    """Return `x`, or the one array of a list of a model's inputs; `shape` is (None, ...)."""
    is_list = isinstance(x, (list, tuple)) and len(x) > 0 and hasattr(x[0], "shape")
    if shape is None or not is_list or len(x[0].shape) != len(shape):
        return x
    if len(x) > 1:
        raise ValueError(
            f"{owner}: x is a list of {len(x)} arrays; it must be one: the model has one input"
        )
    return x[0]


def as_batch(item: Any, owner: str, ports: Ports = ONE) -> Batch:
    """Return what an iterator handed out: `x`, or a tuple or list of `x`, `y` and weights.

    A list is one of parts where it has up to three and the first is an array,
    as PyTorch's DataLoader gives it; else it is rows of `x`.
    """
    if type(item) is not tuple and isinstance(item, Mapping):
        item = parts_by_name(item, owner, ports)
    of_parts = isinstance(item, list) and 1 <= len(item) <= 3
    of_parts = of_parts and (ports is not ONE or hasattr(item[0], "shape"))
    parts = tuple(item) if of_parts or isinstance(item, tuple) else (item,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(
            f"{owner}: the iterator gave {len(parts)} values; it must give (x, y) or "
            "(x, y, sample_weight)"
        )
    x, y, weight = (*parts, None, None)[:3]
    x, y, weight = check_arrays(x, y, weight, owner, ports)
    return Batch(each(_float32, x), y, weight)


def _float32(array: np.ndarray) -> np.ndarray:
    return contiguous(array, np.float32)


def has_rows(item: Any) -> bool:
    """Whether a batch has rows: an iterator of files has none left where all of them broke."""
    x = item[0] if isinstance(item, tuple) and item else item
    return getattr(x, "shape", (1,))[:1] != (0,)
