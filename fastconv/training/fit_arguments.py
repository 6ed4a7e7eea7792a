"""The arguments of `fit`, `evaluate` and `predict`, checked before anything is changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from .._core.validation import positive_integer
from ..callbacks import Callback, History, ProgressLine
from ..callbacks.names import LogNames
from .ports import ONE, Ports
from .streams import Stream, is_batch_iterator, stream_of


def validation_stream(
    data: Any,
    batch_size: Any,
    steps: Any,
    owner: str,
    default_batch_size: Any = None,
    ports: Ports = ONE,
) -> Stream | None:
    """Return the stream over `validation_data`; None is passed on, without options for nothing."""
    options = {"validation_steps": steps, "validation_batch_size": batch_size}
    if data is None:
        for name, value in options.items():
            if value is not None:
                raise ValueError(
                    f"{owner}: {name} is {value!r}; it must be left out without validation_data"
                )
        return None
    owner = f"{owner}: validation_data"
    parts = data if isinstance(data, (tuple, list)) else (data,)
    if parts is data and len(data) not in (2, 3):
        raise ValueError(
            f"{owner} has {len(data)} parts; it must be (x, y) or (x, y, sample_weight)"
        )
    if not is_batch_iterator(parts[0]):
        batch_size = default_batch_size if batch_size is None else batch_size
    elif batch_size is not None:
        raise ValueError(
            f"{owner} brings its own batches; validation_batch_size is {batch_size!r}; it must be "
            "left out"
        )
    stream = stream_of(
        *parts,
        batch_size=batch_size,
        steps=steps,
        owner=owner,
        steps_argument="validation_steps",
        ports=ports,
    )
    if stream.needs_steps:
        raise ValueError(f"{owner} is a generator; validation_steps must be given as well")
    return stream


class ValidationEpochs:
    """After which epochs there is a validation: every n-th, or those of a list, counted from 1."""

    def __init__(self, freq: Any, owner: str) -> None:
        listed = isinstance(freq, Collection) and not isinstance(freq, (str, bytes))
        values: Iterable[Any] = freq if listed else (freq,)
        numbers = [positive_integer(n, "validation_freq", owner) for n in values]
        self._listed = set(numbers) if listed else None
        self._every = 1 if listed else numbers[0]

    def __contains__(self, epoch: int) -> bool:
        """Whether epoch number `epoch`, counted from 0, ends with a validation."""
        if self._listed is not None:
            return epoch + 1 in self._listed
        return (epoch + 1) % self._every == 0

    def log_names(self, names: Sequence[str], first: int, end: int) -> LogNames:
        """Return what the logs of the epochs from `first` to before `end` will hold."""
        if self._listed is not None:
            count = sum(first < number <= end for number in self._listed)
        else:
            count = end // self._every - first // self._every
        of_validation = tuple(f"val_{name}" for name in names)
        if count >= end - first:
            return LogNames((*names, *of_validation))
        return LogNames(tuple(names), of_validation if count else ())


def callback_sequence(callbacks: Any, owner: str) -> list[Any]:
    """Return the callbacks as a list; one alone may be given without one."""
    if callbacks is None:
        return []
    if isinstance(callbacks, (Callback, type)) or not isinstance(callbacks, Iterable):
        callbacks = [callbacks]
    found: list[Any] = []
    for callback in callbacks:
        found.extend(callback if isinstance(callback, (list, tuple)) else [callback])
    for callback in found:
        if not isinstance(callback, Callback):
            hint = "; give an instance: add parentheses" if isinstance(callback, type) else ""
            raise TypeError(
                f"{owner}: callbacks has {callback!r}; it must be a fastconv.callbacks.Callback"
                f"{hint}"
            )
    return found


def backup_of(callbacks: Iterable[Callback]) -> str | None:
    """Return the file of an interrupted run that a callback has kept, None if none has one."""
    found = (callback.checkpoint_to_resume() for callback in callbacks)
    return next((path for path in found if path is not None), None)


def with_history(callbacks: list[Callback]) -> tuple[list[Callback], History]:
    """Return the callbacks with a History among them, the caller's own if there is one."""
    for callback in callbacks:
        if isinstance(callback, History):
            return callbacks, callback
    history = History()
    return [*callbacks, history], history


def progress(verbosity: int) -> list[Callback]:
    """Return the callback that tells of the progress, if any is to."""
    return [ProgressLine(live=verbosity == 1)] if verbosity else []


def verbosity(verbose: Any, owner: str) -> int:
    """Return `verbose` as 0, 1 or 2."""
    if isinstance(verbose, str) and verbose == "auto":
        return 1
    if not isinstance(verbose, (int, np.integer)) or verbose not in (0, 1, 2):
        raise ValueError(f"{owner}: verbose is {verbose!r}; it must be 0, 1, 2 or 'auto'")
    return int(verbose)
