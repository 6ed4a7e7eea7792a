"""Batches that are gone through: changed by a function, kept, reordered, cut into parts."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .._core import random
from .._core.validation import integer, natural, truth, wrong_value


class BatchDataset:
    """Batches by number, with the methods of a `tf.data.Dataset` of batches.

    Each returns another data set and leaves this one as it is. What they are made of keeps its
    attributes, `class_names` and the like, and its state, so that a training can be resumed.
    """

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of an epoch; the next loop is the next epoch."""
        for index in range(len(self)):
            yield self[index]
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Go on to the next epoch."""

    def cardinality(self) -> int:
        """Return how many batches an epoch has, as `len` does."""
        return len(self)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """Yield the batches, which are NumPy's anyway."""
        return iter(self)

    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
    ) -> BatchDataset:
        """Return the batches that `map_func` makes of these: of (x, y), map_func(x, y).

        It is called when a batch is asked for, in every epoch anew. The other arguments are
        TensorFlow's and change nothing.
        """
        return Mapped(self, map_func)

    def cache(self) -> BatchDataset:
        """Return the batches as they are the first time, kept in memory from then on."""
        return Cached(self)

    def prefetch(self, buffer_size: Any = None) -> BatchDataset:
        """Return the same: batches of files are made ahead anyway."""
        return self

    def take(self, count: int) -> BatchDataset:
        """Return the first `count` batches, all for -1.

        As for `skip`, these are batches of the first epoch in every epoch: what one has, the
        other never gets.
        """
        count = _count(count, "take")
        return Part(self, 0, len(self) if count == -1 else min(count, len(self)))

    def skip(self, count: int) -> BatchDataset:
        """Return all but the first `count` batches, none for -1."""
        count = _count(count, "skip")
        return Part(self, len(self) if count == -1 else min(count, len(self)), len(self))

    def _of_first_epoch(self, index: int) -> Any:
        """Return a batch of the first epoch."""
        return self[index]


def _count(value: Any, method: str) -> int:
    if integer(value, "count", method) < -1:
        raise wrong_value(value, "count", method, "at least 0, or -1")
    return int(value)


class Derived(BatchDataset):
    """A data set made of another one, `base`, whose attributes it has."""

    _hidden: tuple[str, ...] = ()

    def __init__(self, base: BatchDataset) -> None:
        self.base = base

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)} batches of {self.base!r}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("base", *self._hidden):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(self.base, name)

    def __len__(self) -> int:
        return len(self.base)

    def on_epoch_end(self) -> None:
        self.base.on_epoch_end()

    def shuffle(
        self,
        buffer_size: Any = None,
        seed: int | None = None,
        reshuffle_each_iteration: bool = True,
    ) -> BatchDataset:
        """Return the batches in another order, of all of them, in every epoch another one."""
        return Shuffled(self, seed, reshuffle_each_iteration)

    def set_epoch(self, epoch: int) -> None:
        """Serve `epoch`, counted from 0."""
        if hasattr(self.base, "set_epoch"):
            self.base.set_epoch(epoch)

    def get_state(self) -> dict[str, Any]:
        """Return the position; it fits JSON."""
        state: dict[str, Any] = self.base.get_state() if hasattr(self.base, "get_state") else {}
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from where `get_state` was called."""
        if hasattr(self.base, "set_state"):
            self.base.set_state(state)


class Mapped(Derived):
    """The batches that a function makes of others."""

    _hidden = ("image_data_generator",)  # a model would take the batches for that generator's

    def __init__(self, base: BatchDataset, function: Callable[..., Any]) -> None:
        super().__init__(base)
        if not callable(function):
            raise TypeError(f"map: map_func is {function!r}; it must be a function")
        self._function = function

    def __getitem__(self, index: int) -> Any:
        return self._changed(self.base[index])

    def _of_first_epoch(self, index: int) -> Any:
        return self._changed(self.base._of_first_epoch(index))

    def _changed(self, batch: Any) -> Any:
        parts = batch if isinstance(batch, tuple) else (batch,)
        return self._function(*parts)


class Cached(Derived):
    """Batches that are made once."""

    def __init__(self, base: BatchDataset) -> None:
        super().__init__(base)
        self._kept: dict[int, Any] = {}

    def __getitem__(self, index: int) -> Any:
        index = range(len(self))[index]
        if index not in self._kept:
            self._kept[index] = _copied(self.base._of_first_epoch(index))
        return _copied(self._kept[index])


def _copied(batch: Any) -> Any:
    """Return a batch of its own memory, which nobody overwrites."""
    if isinstance(batch, (tuple, list)):
        return type(batch)(map(_copied, batch))
    return np.array(batch)


class Part(Derived):
    """Some batches, one after the other, of another data set's first epoch."""

    def __init__(self, base: BatchDataset, start: int, stop: int) -> None:
        super().__init__(base)
        self._places = range(start, stop)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Any:
        return self.base._of_first_epoch(self._places[index])

    def on_epoch_end(self) -> None:
        """Nothing: every epoch is the first."""

    def set_epoch(self, epoch: int) -> None:
        """Nothing: every epoch is the first."""


class Shuffled(Derived):
    """Batches in an order that is a function of (seed, epoch)."""

    def __init__(self, base: BatchDataset, seed: int | None, anew: bool) -> None:
        super().__init__(base)
        self._seed = random.next_seed() if seed is None else natural(seed, "seed", "shuffle")
        self._anew = truth(anew, "reshuffle_each_iteration", "shuffle")
        self._epoch = 0

    def __getitem__(self, index: int) -> Any:
        return self.base[self._place(index, self._epoch)]

    def _of_first_epoch(self, index: int) -> Any:
        return self.base._of_first_epoch(self._place(index, 0))

    def _place(self, index: int, epoch: int) -> int:
        draw = np.random.default_rng([self._seed, epoch if self._anew else 0])
        return int(draw.permutation(len(self))[index])

    def on_epoch_end(self) -> None:
        self._epoch += 1
        super().on_epoch_end()

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        super().set_epoch(epoch)

    def get_state(self) -> dict[str, Any]:
        return {"seed": self._seed, "epoch": self._epoch, "base": super().get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        seed, epoch = operator.index(state["seed"]), operator.index(state["epoch"])
        super().set_state(state["base"])
        self._seed, self._epoch = seed, epoch
