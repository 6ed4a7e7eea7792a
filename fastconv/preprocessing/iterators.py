"""Endless, reproducible batches of images."""

from __future__ import annotations

import operator
import os
import threading
from collections import abc
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .._core import random
from .._core.runtime import get_num_threads
from .._core.validation import is_integer, one_of, wrong_value
from .arrays import check_same_classes, column, image_array
from .assignable import Assignable
from .batching import is_one_pass, process_batch
from .mixing import mix_batch, mixes
from .prefetch import Prefetcher
from .saved_batches import SavedBatches
from .transform import ImageTransform

# The random streams of an epoch: for the order of the images, for their changes, and one a batch
# for what is mixed in it.
_ORDER_STREAM, _IMAGE_STREAM, _MIX_STREAM = 0, 1, 2
# How many random numbers are set aside for an image, more than its changes ever draw.
_DRAWS_PER_IMAGE = 1 << 32


class Iterator(Assignable):
    """Batches of `n` images: the base of all iterators here.

    `iterator[i]` and `len(iterator)` serve one epoch; `next(iterator)` goes on
    for ever. What they give is a function of (seed, epoch, step) alone, which
    `batch(epoch, step)` computes: any batch may be asked for in any order and
    by any thread.

    Subclasses define `_assemble`, and `_prepare` for what is done once.

    Args:
        n: number of images.
        batch_size: images in a batch; the last one of an epoch may be short.
        shuffle: draw a new order for each epoch.
        seed: of the order and of the random changes; None takes the next seed
            of `fastconv.utils.set_random_seed`.
        prefetch: how many batches a background thread makes ahead once a
            second batch was asked for; 0 makes each when it is asked for.
            "auto" is 2 where a batch waits for files or for the user's Python
            and there is more than one thread, else 0: a batch that is one
            compiled pass takes all threads so short a time that it costs more
            to take a thread from the model. The batches are the same.

    `batch_size` (where an epoch begins), `shuffle`, `seed`, the generator and its
    attributes may be assigned: the next batch is made accordingly. Anything else is an
    AttributeError, except in a class of your own.
    """

    def __init__(
        self, n: int, batch_size: int, shuffle: bool, seed: int | None, prefetch: int | str = "auto"
    ) -> None:
        owner = type(self).__name__
        self.n = n
        self._places = n  # in an epoch; an image that breaks later leaves its own empty
        self.batch_size, self.shuffle = batch_size, bool(shuffle)
        if seed is None:
            seed = random.next_seed()
        self.seed = seed
        self._epoch = 0
        self._step = 0
        self._position_lock = threading.Lock()
        self._last_order: tuple[int, int, np.ndarray] | None = None
        self._looked = False
        self._always_ahead = prefetch != "auto"
        depth = prefetch_depth(prefetch, owner)
        self._prefetcher = Prefetcher(depth) if depth else None
        self._constructed = True

    def __repr__(self) -> str:
        order = f"shuffled by seed {self.seed}" if self.shuffle else "in their order"
        return (
            f"<{type(self).__name__}: {self.n} images{self._described()}, {len(self)} "
            f"batch{'es' if len(self) > 1 else ''} of up to {self.batch_size}, {order}>"
        )

    def _described(self) -> str:
        """Say, for `repr`, what the images are."""
        return ""

    def __len__(self) -> int:
        return -(-self._places // self.batch_size)

    def __getitem__(self, step: int) -> Any:
        """Return batch `step` of the epoch set by `set_epoch`."""
        if step < 0:
            step += len(self)
        if not 0 <= step < len(self):
            raise IndexError(
                f"{type(self).__name__}: batch {step} was asked for; an epoch has {len(self)}"
            )
        epoch = self._epoch
        return self._serve(epoch, step, ((epoch, after) for after in range(step + 1, len(self))))

    def __iter__(self) -> abc.Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with self._position_lock:
            epoch, step = self._epoch, self._step
            self._epoch, self._step = self._after(epoch, step)
        return self._serve(epoch, step, self._from(*self._after(epoch, step)))

    def next(self) -> Any:
        """Return the next batch, as `next(iterator)` does: the old spelling."""
        return self.__next__()

    def batch(self, epoch: int, step: int) -> Any:
        """Return the batch: the same for the same numbers, whatever came before."""
        batch = self._make(epoch, step, None)
        self._save(batch, epoch, step)
        return batch

    def _make(self, epoch: int, step: int, threads: int | None) -> Any:
        batch = self._assemble(self._indices(epoch, step), epoch, threads)
        generator = getattr(self, "image_data_generator", None)
        if not mixes(generator):
            return batch
        stream = self._stream(epoch, _MIX_STREAM, step)
        return mix_batch(generator, batch, stream, self._has_class_numbers())

    def _has_class_numbers(self) -> bool:
        """Whether the targets are numbers of more than two classes, between which nothing is."""
        return False

    def _indices(self, epoch: int, step: int) -> np.ndarray:
        """Return which images a batch is made of."""
        first = step * self.batch_size
        return self._order(epoch)[first : first + self.batch_size]

    def _make_ahead(self, epoch: int, step: int) -> Any:
        # A quarter of the threads: the model needs the others, and whoever calls kernels beside it
        # with more than one gets a team of its own.
        return self._make(epoch, step, max(1, get_num_threads() // 4))

    def _serve(self, epoch: int, step: int, following: Iterable[tuple[int, int]]) -> Any:
        """Return a batch that was asked for, and have those `following` made."""
        looked, self._looked = self._looked, True
        if looked:
            self._prepare()
        prefetcher = self._active_prefetcher() if looked else None
        if prefetcher is None:
            return self.batch(epoch, step)
        if self._settings_changed():
            prefetcher.forget()
        ready = prefetcher.take((epoch, step))
        batch = self.batch(epoch, step) if ready is None else None
        prefetcher.expect(following, self._make_ahead)
        if ready is not None:
            batch = ready.result()
            self._save(batch, epoch, step)
        return batch

    def _active_prefetcher(self) -> Prefetcher | None:
        """Return what makes batches ahead, if they are to be made ahead."""
        ahead = self._prefetcher is not None and (self._always_ahead or self._waits())
        return self._prefetcher if ahead else None

    def _waits(self) -> bool:
        """Whether a batch takes more than a compiled pass over pixels that are there."""
        return True

    def _after(self, epoch: int, step: int) -> tuple[int, int]:
        return (epoch + 1, 0) if step + 1 == len(self) else (epoch, step + 1)

    def _from(self, epoch: int, step: int) -> Iterable[tuple[int, int]]:
        """Yield places from this one on, for ever."""
        while True:
            yield epoch, step
            epoch, step = self._after(epoch, step)

    def close(self) -> None:
        """End the background thread; the iterator can be used on."""
        if self._prefetcher is not None:
            self._prefetcher.close()

    @property
    def epoch(self) -> int:
        """The epoch of the next batch, from 0."""
        return self._epoch

    @property
    def batch_index(self) -> int:
        """The number, in its epoch, of the batch that `next` gives."""
        return self._step

    def seek(self, epoch: int, step: int = 0) -> None:
        """Go on with batch `step` of `epoch`, both counted from 0."""
        if epoch < 0 or not 0 <= step < len(self):
            raise ValueError(
                f"{type(self).__name__}: cannot seek to epoch {epoch}, step {step}; epochs count "
                f"from 0 and have {len(self)} steps"
            )
        with self._position_lock:
            self._epoch, self._step = int(epoch), int(step)
        prefetcher = self._active_prefetcher() if self._looked else None
        if prefetcher is not None:
            prefetcher.expect(self._from(int(epoch), int(step)), self._make_ahead)

    def set_epoch(self, epoch: int) -> None:
        """Serve `epoch` (from 0) from its beginning."""
        self.seek(epoch)

    def on_epoch_end(self) -> None:
        """Go on to the beginning of the next epoch."""
        self.seek(self._epoch + 1)

    def reset(self) -> None:
        """Go back to the beginning of the epoch."""
        self.seek(self._epoch)

    def get_state(self) -> dict[str, int]:
        """Return the position as JSON-able numbers."""
        with self._position_lock:
            return {"seed": self.seed, "epoch": self._epoch, "step": self._step}

    def set_state(self, state: dict[str, int]) -> None:
        """Go on from where `get_state` was called; on an error nothing is changed."""
        seed, epoch, step = (operator.index(state[name]) for name in ("seed", "epoch", "step"))
        if seed < 0:
            raise ValueError(f"{type(self).__name__}: the state's seed is {seed}")
        before, self.seed = self.seed, seed
        if self._prefetcher is not None and seed != before:
            self._prefetcher.close()  # what it made ahead is of the other seed
        try:
            self.seek(epoch, step)
        except ValueError:
            self.seed = before
            raise

    def _prepare(self) -> None:
        """Do what makes all batches cheaper; called before the second one and later ones."""

    def _save(self, batch: Any, epoch: int, step: int) -> None:
        """Write a batch that is given out as files, where that is asked for."""

    def _assemble(self, indices: np.ndarray, epoch: int, threads: int | None) -> Any:
        """Return the batch of the images with these numbers, with so many kernel threads."""
        raise NotImplementedError(f"{type(self).__name__} must define _assemble")

    def _order(self, epoch: int) -> np.ndarray:
        """Return the order of the images in `epoch`."""
        if not self.shuffle:
            return np.arange(self._places)
        kept = self._last_order
        if kept is None or kept[:2] != (self.seed, epoch):
            draw = np.random.default_rng(self._stream(epoch, _ORDER_STREAM))
            kept = self._last_order = (self.seed, epoch, self._shuffled(draw))
        return kept[2]

    def _shuffled(self, draw: np.random.Generator) -> np.ndarray:
        """Return the places of an epoch in the order that `draw` gives them."""
        return draw.permutation(self._places)

    def _stream(self, epoch: int, *purpose: int) -> np.random.SeedSequence:
        return np.random.SeedSequence(self.seed, spawn_key=(epoch, *purpose))

    def _image_generators(
        self, indices: np.ndarray, epoch: int
    ) -> Callable[[int], np.random.Generator]:
        """Return a function that gives the random numbers of the i-th image of a batch.

        One generator jumps to the place of each image, far cheaper than
        seeding one for each; it must be used up before the next is asked for.
        """
        bits = np.random.PCG64(self._stream(epoch, _IMAGE_STREAM))
        start = bits.state
        generator = np.random.Generator(bits)

        def at(i: int) -> np.random.Generator:
            bits.state = start
            bits.advance(int(indices[i]) * _DRAWS_PER_IMAGE)
            return generator

        return at


def prefetch_depth(prefetch: int | str, owner: str) -> int:
    """Return how many batches are made ahead."""
    if prefetch == "auto":
        return 2 if get_num_threads() > 1 else 0
    if not is_integer(prefetch) or int(prefetch) < 0:
        raise wrong_value(prefetch, "prefetch", owner, "'auto' or a whole number of at least 0")
    return int(prefetch)


class NumpyArrayIterator(Iterator):
    """Batches of images from arrays.

    Args:
        x: images, (n, height, width, channels) with values of 0-255. uint8
            stays uint8 until a batch is made; anything else becomes float32.
        y: n targets, or None for batches without.
        image_data_generator: changes and normalizes the images.
        batch_size, shuffle, seed, prefetch: see Iterator.
        sample_weight: n weights, or None for batches without.
        save_to_dir, save_prefix, save_format: write every batch to this folder.
        subset: "training" or "validation", by the generator's validation_split.
        ignore_class_split: allow a subset that lacks a class of the other.
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray | None,
        image_data_generator: ImageTransform,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: np.ndarray | None = None,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        ignore_class_split: bool = False,
        prefetch: int | str = "auto",
    ) -> None:
        x = image_array(x)
        y = column(y, "y", len(x))
        sample_weight = column(sample_weight, "sample_weight", len(x))
        if subset is not None:
            first, last = subset_bounds(
                len(x), subset, image_data_generator.validation_split, "flow"
            )
            if y is not None and not ignore_class_split:
                check_same_classes(y, first, last)
            x = x[first:last]
            y = None if y is None else y[first:last]
            sample_weight = None if sample_weight is None else sample_weight[first:last]
        if len(x) == 0:
            raise ValueError("flow: x has no images; at least one is needed")
        self.x, self.y, self.sample_weight = x, y, sample_weight
        self.image_data_generator = image_data_generator
        self._saved = SavedBatches.where(save_to_dir, save_prefix, save_format)
        super().__init__(len(x), batch_size, shuffle, seed, prefetch)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(height, width, channels) of the images."""
        return self.x.shape[1:]

    def _described(self) -> str:
        return described(self.image_shape, self.image_data_generator)

    def _has_class_numbers(self) -> bool:
        y = self.y
        return y is not None and y.dtype.kind in "iu" and y.size == len(y) and bool((y > 1).any())

    def _waits(self) -> bool:
        return self._saved is not None or not is_one_pass(self.image_data_generator)

    def _save(self, batch: Any, epoch: int, step: int) -> None:
        if self._saved is not None:
            images = batch[0] if isinstance(batch, tuple) else batch
            self._saved.write(images, self._indices(epoch, step), (self.seed, epoch))

    def _assemble(self, indices: np.ndarray, epoch: int, threads: int | None) -> Any:
        batch = process_batch(
            self.image_data_generator,
            self.x,
            indices,
            self._image_generators(indices, epoch),
            lambda i: f"image {indices[i]} of x",
            threads,
        )
        if self.y is None and self.sample_weight is None:
            return batch
        targets = None if self.y is None else self.y[indices]
        if self.sample_weight is None:
            return batch, targets
        return batch, targets, self.sample_weight[indices]


def described(shape: tuple[int, ...], generator: ImageTransform) -> str:
    """Say, for `repr`, how large images are and what is done to them."""
    return f" of {' x '.join(map(str, shape))} by {generator!r}"


def subset_bounds(count: int, subset: str, validation_split: float, owner: str) -> tuple[int, int]:
    """Return the first and the end of a subset; validation takes the front."""
    one_of("training", "validation")(subset, "subset", owner)
    if not validation_split:
        raise ValueError(
            f"{owner}: subset={subset!r} needs ImageDataGenerator(validation_split=...), a "
            "fraction between 0 and 1"
        )
    middle = int(count * validation_split)
    return (0, middle) if subset == "validation" else (middle, count)
