"""Images that are smaller in the first epochs of a training."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

from .._core.validation import natural
from .files import FileIterator


class GrowingImages:
    """Iterators over the same files, each of another size of image, one after the other.

    A network that ends in averages over the picture takes any size: it learns the first epochs
    on small pictures, in a part of the time, and the rest on larger ones.

    Args:
        iterators: {epoch: iterator}, epochs counted from 0, which are to be among them; an
            iterator serves from its epoch on. All must have the same images, batch size,
            shuffling and seed.

    What is asked of it besides its batches is told by the last iterator.

    >>> small = generator.flow_from_directory("photos", target_size=(64, 64))  # doctest: +SKIP
    >>> large = generator.flow_from_directory(
    ...     "photos", target_size=(100, 100), seed=small.seed
    ... )  # doctest: +SKIP
    >>> model = architectures.pawnet((None, None, 3))  # doctest: +SKIP
    >>> model.fit(GrowingImages({0: small, 60: large}), epochs=100)  # doctest: +SKIP
    """

    def __init__(self, iterators: Mapping[int, FileIterator]) -> None:
        owner = type(self).__name__
        self._iterators = {
            natural(epoch, "an epoch", owner): one for epoch, one in sorted(iterators.items())
        }
        if 0 not in self._iterators:
            raise ValueError(f"{owner}: there is no iterator for epoch 0; give one")
        self._last = list(self._iterators.values())[-1]
        for one in self._iterators.values():
            for name in ("n", "batch_size", "shuffle", "seed", "class_indices"):
                mine, other = getattr(self._last, name), getattr(one, name)
                if mine != other:
                    raise ValueError(
                        f"{owner}: one iterator's {name} is {other!r}, another one's {mine!r}; "
                        "they must be the same"
                    )
        self._epoch = 0

    @property
    def _current(self) -> FileIterator:
        """The iterator of the epoch that is served."""
        return [one for first, one in self._iterators.items() if first <= self._epoch][-1]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self._last, name)

    def __len__(self) -> int:
        return len(self._current)

    def __getitem__(self, step: int) -> Any:
        return self._current[step]

    def set_epoch(self, epoch: int) -> None:
        """Serve `epoch` (from 0) from its beginning."""
        before = self._current
        self._epoch = epoch
        if self._current is not before:
            before.close()
        self._current.set_epoch(epoch)

    def on_epoch_end(self) -> None:
        """Go on to the beginning of the next epoch."""
        self.set_epoch(self._epoch + 1)

    def get_state(self) -> dict[str, int]:
        """Return the position as JSON-able numbers."""
        return self._current.get_state()

    def set_state(self, state: dict[str, int]) -> None:
        """Go on from where `get_state` was called; on an error nothing is changed."""
        before, self._epoch = self._epoch, max(0, operator.index(state["epoch"]))
        try:
            self._current.set_state(state)
        except BaseException:
            self._epoch = before
            raise
        for one in self._iterators.values():
            one.seed = self._current.seed

    def close(self) -> None:
        """End the background threads; the iterators can be used on."""
        for one in self._iterators.values():
            one.close()
