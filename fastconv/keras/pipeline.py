"""`tf.data.Dataset` in NumPy: elements made one after the other, anew in every loop."""

from __future__ import annotations

import glob
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .._core import random
from .eager import as_tensor

AUTOTUNE = -1
#: How many elements there are: where nobody knows, and where they never end.
_UNKNOWN, _INFINITE = -2, -1


class Options:
    """What `with_options` takes; anything may be set, and changes nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self.__dict__[name] = Options()
        return found


class Dataset:
    """Elements, arrays or tuples and dicts of them; each method gives another data set.

    Batches are made of elements by `batch`; `fit`, `evaluate` and `predict` take a data set of
    batches. How many elements are made ahead, or at once, changes nothing here.
    """

    def __init__(self, make: Callable[[], Iterable[Any]], count: int = _UNKNOWN) -> None:
        self._make, self._count = make, count

    # Where elements come from

    @staticmethod
    def from_tensor_slices(tensors: Any, name: Any = None) -> Dataset:
        """Return the rows of arrays, which must be of one length."""
        arrays = _each(np.asarray, tensors)
        sizes = {len(one) for one in _leaves(arrays)}
        if len(sizes) != 1:
            raise ValueError(
                f"from_tensor_slices: the arrays have {sorted(sizes)} rows; they must have as many"
            )
        count = sizes.pop()
        return Dataset(lambda: (_row(arrays, row) for row in range(count)), count)

    @staticmethod
    def from_tensors(tensors: Any, name: Any = None) -> Dataset:
        """Return arrays as the only element."""
        return Dataset(lambda: [_each(np.asarray, tensors)], 1)

    @staticmethod
    def from_generator(
        generator: Callable[..., Iterable[Any]], *types: Any, **options: Any
    ) -> Dataset:
        """Return what a function's generator yields; types and shapes are those it has."""
        arguments = options.get("args") or ()
        return Dataset(lambda: (_each(np.asarray, one) for one in generator(*arguments)))

    @staticmethod
    def range(*bounds: int, **options: Any) -> Dataset:
        """Return whole numbers, as Python's range."""
        numbers = range(*bounds)
        return Dataset(lambda: (np.int64(one) for one in numbers), len(numbers))

    @staticmethod
    def zip(*datasets: Any, name: Any = None) -> Dataset:
        """Return tuples of an element of each, until one has no more."""
        parts = tuple(datasets[0]) if len(datasets) == 1 else datasets
        known = [one._count for one in parts if one._count != _INFINITE]
        count = _INFINITE if not known else _UNKNOWN if _UNKNOWN in known else min(known)
        return Dataset(lambda: zip(*(one._make() for one in parts), strict=False), count)

    @staticmethod
    def list_files(file_pattern: Any, shuffle: bool = True, seed: int | None = None) -> Dataset:
        """Return paths that match a pattern, or patterns."""
        patterns = [file_pattern] if isinstance(file_pattern, str) else list(file_pattern)
        paths = sorted(path for one in patterns for path in glob.glob(str(one)))
        if not paths:
            raise ValueError(f"list_files: no file matches {file_pattern!r}")
        found = Dataset(lambda: iter(paths), len(paths))
        return found.shuffle(len(paths), seed) if shuffle else found

    # What becomes of them

    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: Any = None,
        deterministic: Any = None,
        name: Any = None,
    ) -> Dataset:
        """Return what a function makes of elements: of (x, y), map_func(x, y)."""
        if not callable(map_func):
            raise TypeError(f"map: map_func is {map_func!r}; it must be a function")
        return Dataset(lambda: (_applied(map_func, one) for one in self._make()), self._count)

    def filter(self, predicate: Callable[..., Any], name: Any = None) -> Dataset:
        """Return the elements of which a function is true."""
        return Dataset(lambda: (one for one in self._make() if _applied(predicate, one)))

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: Any = None,
        deterministic: Any = None,
        name: Any = None,
    ) -> Dataset:
        """Return elements in batches, the last of what is left."""
        size = int(batch_size)
        if size < 1:
            raise ValueError(f"batch: batch_size is {batch_size!r}; it must be at least 1")

        def batches() -> Iterator[Any]:
            elements = iter(self._make())
            while rows := list(itertools.islice(elements, size)):
                if len(rows) == size or not drop_remainder:
                    yield _stacked(rows)

        count = self._count
        if count >= 0:
            count = count // size if drop_remainder else -(-count // size)
        return Dataset(batches, count)

    def unbatch(self, name: Any = None) -> Dataset:
        """Return the rows of batches one by one."""

        def rows() -> Iterator[Any]:
            for one in self._make():
                for row in range(len(next(_leaves(one)))):
                    yield _row(one, row)

        return Dataset(rows)

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool | None = None,
        name: Any = None,
    ) -> Dataset:
        """Return elements in a random order, each drawn from the next `buffer_size`."""
        if int(buffer_size) < 1:
            raise ValueError(f"shuffle: buffer_size is {buffer_size!r}; it must be at least 1")
        start = random.next_seed() if seed is None else int(seed)
        anew = reshuffle_each_iteration is not False
        passes = itertools.count()

        def shuffled() -> Iterator[Any]:
            draw = np.random.default_rng([start % (1 << 63), next(passes) if anew else 0])
            elements = iter(self._make())
            waiting = list(itertools.islice(elements, int(buffer_size)))
            for one in elements:
                place = int(draw.integers(len(waiting)))
                yield waiting[place]
                waiting[place] = one
            draw.shuffle(waiting)  # type: ignore[arg-type]
            yield from waiting

        return Dataset(shuffled, self._count)

    def repeat(self, count: int | None = None, name: Any = None) -> Dataset:
        """Return the elements `count` times over, without end for None and -1."""
        if count is None or count < 0:
            return Dataset(self._without_end, _INFINITE if self._count else 0)

        def repeated() -> Iterator[Any]:
            for _ in range(count):
                yield from self._make()

        return Dataset(repeated, self._count * count if self._count >= 0 else self._count)

    def _without_end(self) -> Iterator[Any]:
        some = True
        while some:
            some = False
            for one in self._make():
                some = True
                yield one

    def cache(self, filename: Any = "", name: Any = None) -> Dataset:
        """Return the elements as a first loop to their end made them, kept in memory."""
        kept: list[Any] = []
        whole: list[bool] = []

        def cached() -> Iterator[Any]:
            if whole:
                yield from kept
                return
            found = []
            for one in self._make():
                found.append(one)
                yield one
            kept[:] = found
            whole.append(True)

        return Dataset(cached, self._count)

    def prefetch(self, buffer_size: Any = None, name: Any = None) -> Dataset:
        """Return the same."""
        return Dataset(self._make, self._count)

    def with_options(self, options: Any, name: Any = None) -> Dataset:
        """Return the same."""
        return Dataset(self._make, self._count)

    def take(self, count: int, name: Any = None) -> Dataset:
        """Return the first elements; all for -1."""
        if count < 0:
            return Dataset(self._make, self._count)
        known = count if self._count == _INFINITE else self._count
        return Dataset(lambda: itertools.islice(self._make(), count), min(known, count))

    def skip(self, count: int, name: Any = None) -> Dataset:
        """Return the elements behind the first ones."""
        left = max(self._count - count, 0) if self._count >= 0 else self._count
        return Dataset(lambda: itertools.islice(self._make(), count, None), left)

    def concatenate(self, dataset: Dataset, name: Any = None) -> Dataset:
        """Return these elements, and then those of another data set."""
        both = (self._count, dataset._count)
        count = sum(both) if min(both) >= 0 else max(x for x in both if x < 0)
        return Dataset(lambda: itertools.chain(self._make(), dataset._make()), count)

    def enumerate(self, start: int = 0, name: Any = None) -> Dataset:
        """Return (number, element)."""
        return Dataset(lambda: enumerate(self._make(), start), self._count)

    # Going through them

    def __iter__(self) -> Iterator[Any]:
        return map(as_tensor, self._make())

    def as_numpy_iterator(self) -> Iterator[Any]:
        """Go through the elements as NumPy's arrays."""
        return (_each(_plain, one) for one in self._make())

    def __len__(self) -> int:
        if self._count < 0:
            how = "has no end" if self._count == _INFINITE else "is not known"
            raise TypeError(f"the data set's length {how}")
        return self._count

    def __bool__(self) -> bool:
        return True

    def __length_hint__(self) -> int:
        return max(self._count, 0)

    def cardinality(self) -> Any:
        """Return how many elements there are; -1: without end, -2: not known."""
        return as_tensor(np.int64(self._count))

    def __repr__(self) -> str:
        return f"<tf.data.Dataset of fastconv, {self._count} elements>"


def _each(function: Callable[[Any], Any], value: Any) -> Any:
    """Return what a function makes of every array in tuples and dicts."""
    if isinstance(value, dict):
        return {key: _each(function, one) for key, one in value.items()}
    if isinstance(value, tuple):
        return tuple(_each(function, one) for one in value)
    return function(value)


def _row(arrays: Any, row: int) -> Any:
    """Return a row of every array in tuples and dicts."""
    return _each(lambda one: one[row], arrays)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, tuple)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _leaves(one)
    else:
        yield value


def _plain(value: Any) -> Any:
    array = np.asarray(value)
    return array if array.ndim else array[()]


def _stacked(rows: list[Any]) -> Any:
    first = rows[0]
    if isinstance(first, dict):
        return {key: _stacked([row[key] for row in rows]) for key in first}
    if isinstance(first, tuple):
        return tuple(map(_stacked, zip(*rows, strict=True)))
    return np.stack([np.asarray(row) for row in rows])


def _applied(function: Callable[..., Any], element: Any) -> Any:
    seen = as_tensor(element)
    return function(*seen) if isinstance(seen, tuple) else function(seen)
