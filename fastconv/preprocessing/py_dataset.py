"""The base of a user's own batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._core.validation import natural, positive_integer, truth


class PyDataset:
    """Batches of your own: a class that defines `__len__` and `__getitem__(index)`.

        class Photos(PyDataset):
            def __len__(self):
                return 100  # batches in an epoch

            def __getitem__(self, index):
                return x, y  # or (x, y, sample_weight)

    `on_epoch_end` is called after every epoch. `workers`, `use_multiprocessing` and
    `max_queue_size` are Keras's and change nothing: a batch is asked for when its turn comes.
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        kind = type(self).__name__
        self.workers = natural(workers, "workers", kind)
        self.use_multiprocessing = truth(use_multiprocessing, "use_multiprocessing", kind)
        self.max_queue_size = positive_integer(max_queue_size, "max_queue_size", kind)

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__: batches in an epoch")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__: a batch")

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of one epoch."""
        return (self[index] for index in range(len(self)))

    @property
    def num_batches(self) -> int:
        """How many batches an epoch has."""
        return len(self)

    def on_epoch_end(self) -> None:
        """Do what is due between two epochs, such as drawing a new order."""
